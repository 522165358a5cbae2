"""How far a run is: one line with faces a second and the time left, on the main process."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm


class TrainingError(ValueError):
    """What was expected, what came, and what to do."""


@dataclass(frozen=True)
class Stopping:
    """The best score so far, the epoch it came in, and how long ago.

    `patience` epochs without a better score end the run; 0 never does.
    """

    patience: int
    best: float = -1.0
    epoch: int = -1
    since: int = 0

    def seen(self, score: float, epoch: int) -> "Stopping":
        """Count an epoch's score in; NaN is no better than anything."""
        if score > self.best:
            return replace(self, best=score, epoch=epoch, since=0)
        return replace(self, since=self.since + 1)

    @property
    def improved(self) -> bool:
        """The last epoch was the best so far."""
        return self.since == 0 and self.epoch >= 0

    @property
    def over(self) -> bool:
        """Enough epochs have passed without a better score."""
        return 0 < self.patience <= self.since


Report = Callable[[str], object]  # takes one line for the person who waits


def bar(shown: bool, name: str, unit: str = "face", total: int = 0) -> "tqdm[object]":
    """Open a tqdm bar over `total` units."""
    from tqdm.auto import tqdm

    return tqdm(
        total=total, disable=not shown, desc=name, unit=unit, unit_scale=True, dynamic_ncols=True
    )


def say(text: str) -> None:
    """Print one line on standard error, above the bar."""
    import sys

    from tqdm.auto import tqdm

    tqdm.write(text, file=sys.stderr)


def silent(text: str) -> None:
    """Say nothing."""
    del text
