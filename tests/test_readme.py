"""The README is tested like code: what it names must exist, and its tables must be complete."""

import re
import subprocess
from pathlib import Path

import gradio
import pytest
import yaml

from ferce.models import KINDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def table(name):
    """First column of the table after `<!-- table: name -->`, without backticks."""
    rows = README.split(f"<!-- table: {name} -->")[1].strip().split("\n\n")[0].splitlines()[2:]
    return [row.split("|")[1].strip().strip("`") for row in rows]


def test_front_matter_is_what_a_space_needs():
    front = yaml.safe_load(README.split("---")[1])
    assert front["sdk"] == "gradio"
    assert front["sdk_version"].split(".")[0] == gradio.__version__.split(".")[0]
    assert front["python_version"] == "3.12"
    assert (ROOT / front["app_file"]).is_file()
    assert len(front["short_description"]) <= 60


def test_every_kind_is_listed():
    assert set(table("kinds")) == set(KINDS)


def test_every_setting_is_listed():
    code = "".join(path.read_text() for path in (ROOT / "ferce").rglob("*.py"))
    used = set(re.findall(r'"((?:FERCE|GRADIO_SERVER)_[A-Z_]+)"', code))
    assert used <= set(table("settings"))


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_and_pictures_exist(target):
    assert (ROOT / target).exists()


def named_in_the_tree():
    """Every path that the tree names, from its indentation."""
    parents = []
    for line in README.split("## The tree")[1].split("```")[1].strip("\n").splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        if depth < 10:  # a phrase that goes on in the next line stands further right
            parents[depth:] = [name]
            yield "".join(parents)


def test_the_tree_names_every_folder_and_every_file_at_the_root():
    named = list(named_in_the_tree())
    for path in named:
        assert (ROOT / path).exists(), path
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    files = {path for path in tracked if "/" not in path and not path.startswith(".")}
    folders = {f"{folder}/" for path in tracked for folder in Path(path).parents} - {"./"}
    inside = ("ferce/weights/", "ferce/data/demo/", "tests/")  # their own READMEs tell of them
    deep = {path for path in folders if path.startswith(inside) and path not in inside}
    assert set(named) == files | (folders - deep)


def test_commands_are_there():
    install = r"\.venv/bin/pip install (-q )?-r {} -c \.ci/tested\.txt && "
    start = install.format("requirements\\.txt") + r"\.venv/bin/python app\.py"
    assert re.search(r"```bash\npython3 -m venv \.venv && " + start, README)
    assert re.search(r"<!-- command: tests -->\n```bash\n" + install.format("tests/.*"), README)
