"""How long tests wait: for states, not for times, so that a busy machine is no failure.

A bound only ends what will never come; whatever waits goes on as soon as its state is there.
"""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 600  # seconds for one state: a page that answers, a face that is read, a file
PROGRAM = 6 * PATIENCE  # seconds for a program that trains, evaluates or publishes

T = TypeVar("T")


def until(state: Callable[[], T], what: str) -> T:
    """The first value of `state` that is true, looked at fifty times a second.

    Raises:
        TimeoutError: there was none within `PATIENCE`; the message ends with `what`.
    """
    end = time.monotonic() + PATIENCE
    while not (value := state()):
        if time.monotonic() > end:
            raise TimeoutError(f"after {PATIENCE} s there is still no {what}")
        time.sleep(0.02)
    return value
