"""How often each outcome is met among the faces that a reading is for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS, OUTCOMES

EVERYDAY = "everyday"  # stored with a classifier: the shares among its annotated real faces
# Faces of each compound in the training part of RAF-CE (Li et al., CVPRW 2023), ids 0 to 13.
_RAF_CE = (394, 171, 109, 136, 71, 495, 120, 352, 24, 124, 582, 108, 6, 17)
_FEWEST = 1e-4  # share of an outcome that nobody happened to show


@dataclass(frozen=True, eq=False)
class Mix:
    """Shares of the 21 outcomes.

    Attributes:
        name: for messages and tables.
        shares: (21,) in the order of `labels.OUTCOMES`; at least 0, sum to 1.
    """

    name: str
    shares: NDArray[np.float64]

    def __post_init__(self) -> None:
        good = self.shares.shape == (len(OUTCOMES),) and bool((self.shares >= 0).all())
        if not good or not np.isclose(self.shares.sum(), 1):
            raise ValueError(f"mix {self.name!r}: expected {len(OUTCOMES)} shares that sum to 1")

    def applied(self, even: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn (N, 21) probabilities under an even mix into those under this one.

        A shift of the scores by the logarithm of the shares (Saerens et al. 2002).
        """
        weighed = even * self.shares
        return np.asarray(weighed / weighed.sum(1, keepdims=True))

    def as_json(self) -> dict[str, float]:
        """Build what JSON holds of it."""
        return {name: round(float(p), 6) for name, p in zip(OUTCOMES, self.shares, strict=True)}


def of_counts(name: str, counts: Mapping[str, float]) -> Mix:
    """Build the mix in which outcomes were counted; one not met keeps a small share."""
    shares = np.array([float(counts.get(outcome, 0.0)) for outcome in OUTCOMES])
    shares = np.maximum(shares / shares.sum(), _FEWEST)
    return Mix(name, shares / shares.sum())


def _even() -> Mix:
    return Mix("even", np.full(len(OUTCOMES), 1 / len(OUTCOMES)))


def _raf_ce() -> Mix:
    shares = np.zeros(len(OUTCOMES))
    shares[: len(COMPOUNDS)] = np.array(_RAF_CE) / sum(_RAF_CE)
    return Mix("raf-ce", shares)


EVEN = _even()
KNOWN: Mapping[str, Mix] = {mix.name: mix for mix in (EVEN, _raf_ce())}


def named(name: str, everyday: Mix = EVEN) -> Mix:
    """Find the mix of that name.

    Args:
        name: "everyday", "even" (each outcome as often as any) or "raf-ce" (compounds alone).
        everyday: what a classifier has stored.

    Raises:
        ValueError: unknown; the message lists the names.
    """
    mixes = {EVERYDAY: everyday, **KNOWN}
    if name not in mixes:
        raise ValueError(f"mix must be one of {', '.join(mixes)}; got {name!r}.")
    return mixes[name]
