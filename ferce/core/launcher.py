"""The program that launched this process beside others, such as torchrun."""

import os
import sys
import threading
import time
from functools import cache

LOOK = 0.2  # seconds between two looks
_LAUNCHER = os.getppid()  # read as early as can be: it may end before the models are there


@cache
def end_with_launcher() -> None:
    """End this process, one of several that were launched together, when their launcher ends.

    torchrun that is killed leaves its processes behind: they would wait for each other for ever,
    or write to the folder in which the run has been taken up again.
    """
    if "RANK" in os.environ and hasattr(os, "fork"):  # elsewhere a dead parent keeps its number
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.getppid() == _LAUNCHER:
        time.sleep(LOOK)
    sys.stderr.write("The launcher of this process has ended, and so does the process.\n")
    sys.stderr.flush()
    os._exit(1)
