"""How mediapipe is imported: its matplotlib waits, but never where another thread could meet it."""

import subprocess
import sys

CODE = """
import sys, threading
from ferce.faces.networks import _mediapipe
waiting = threading.Event()
if "thread" in sys.argv:
    threading.Thread(target=waiting.wait, daemon=True).start()
_mediapipe()
print("matplotlib" in sys.modules)
import matplotlib
print(matplotlib.get_backend() != "")
"""


def _said(*arguments: str) -> list[str]:
    command = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_matplotlib_waits_until_it_draws() -> None:
    assert _said() == ["False", "True"]


def test_beside_other_threads_it_is_the_real_one() -> None:
    assert _said("thread") == ["True", "True"]
