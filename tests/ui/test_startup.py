"""The lean import of Gradio: no stub files, no `mcp`, and a page all the same."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from patience import PROGRAM

ROOT = Path(__file__).parents[2]
LEAN = """
import ast, gc, sys
from ferce.ui import startup

def refuse(*_):
    raise AssertionError("a component's source was parsed")

ast.get_source_segment = refuse
with startup.lean(without=["mcp"]):
    from ferce.ui.web import Settings, build
assert gc.isenabled() and gc.get_freeze_count() > 10_000
assert "mcp" not in sys.modules
assert not any(type(finder).__module__ == "ferce.ui.startup" for finder in sys.meta_path)
page, _ = build(Settings())
assert not page.api_open
print(len(page.blocks))
"""


def test_a_lean_import_writes_no_stubs_and_makes_the_whole_page():
    done = subprocess.run(
        [sys.executable, "-c", LEAN], cwd=ROOT, capture_output=True, text=True, timeout=PROGRAM
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_what_is_left_out_is_there_again_afterwards():
    from ferce.ui import startup

    with startup.lean(without=["a_package"]), pytest.raises(ModuleNotFoundError, match="left out"):
        find_spec("a_package")
    assert find_spec("a_package") is None
