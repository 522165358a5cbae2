"""Stop when the validation macro-F1 has not risen for a while; no other split is looked at."""

from dataclasses import dataclass, replace


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
        """The state after an epoch; NaN is no better than anything."""
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
