"""How far a run is: one line with faces a second and the time left, on the main process."""

from collections.abc import Callable
from typing import Any

Report = Callable[[str], object]  # takes one line for the person who waits


def bar(total: int, done: int, shown: bool, name: str) -> Any:
    """A tqdm bar over faces; `done` of them are behind us already."""
    from tqdm.auto import tqdm

    return tqdm(
        total=total,
        initial=done,
        disable=not shown,
        desc=name,
        unit="face",
        unit_scale=True,
        dynamic_ncols=True,
    )


def say(text: str) -> None:
    """One line on standard error, above the bar."""
    import sys

    from tqdm.auto import tqdm

    tqdm.write(text, file=sys.stderr)


def silent(text: str) -> None:
    """Say nothing."""
    del text
