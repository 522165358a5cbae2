"""Means over time in which what is near in time counts most.

Each row counts exp(-|t - s| / tau) at the time t when it was seen at s, and the weights are divided
by their sum (simple exponential smoothing, Brown 1956, for times that need not be even). Live, only
the past is there; of a whole clip both sides count, so that nothing is late. Such a mean lies
between the rows it is made of, so probabilities keep their sum.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float64]

TAU = 0.25  # seconds; spontaneous expressions last 0.5 to 4 s (Ekman 2003, Emotions Revealed)


class Smoother:
    """The mean of the rows so far, for a stream.

    y(t) = sum of w(s) x(s) / sum of w(s) with w(s) = exp(-(t - s) / tau), kept as two running sums.
    `tau` is in seconds; 0 smooths nothing.
    """

    def __init__(self, tau: float = TAU) -> None:
        _require_tau(tau)
        self._tau = tau
        self._sum: Row | None = None
        self._weight = 0.0
        self._seconds = 0.0

    def add(self, seconds: float, row: Row) -> Row:
        """The mean with one more row; a time before the last counts as the last."""
        kept = _kept(seconds - self._seconds, self._tau) if self._sum is not None else 0.0
        before: Row | float = 0.0 if self._sum is None else self._sum
        self._sum = np.asarray(row + kept * before)
        self._weight = 1.0 + kept * self._weight
        self._seconds = max(seconds, self._seconds)
        return self._sum / self._weight


def smooth(seconds: Sequence[float], rows: Sequence[Row], tau: float = TAU) -> list[Row]:
    """The mean at each of N rising times over all rows, earlier and later.

    The sums over the past and over the future are each made in one pass; the row itself is in both.
    """
    _require_tau(tau)
    if not rows:
        return []
    past, past_weights = _sums(np.asarray(seconds), np.asarray(rows), tau)
    later, later_weights = _sums(-np.asarray(seconds)[::-1], np.asarray(rows)[::-1], tau)
    total = past + later[::-1] - np.asarray(rows)
    weights = past_weights + later_weights[::-1] - 1.0
    return list(total / weights[:, None])


def _sums(seconds: Row, rows: Row, tau: float) -> tuple[Row, Row]:
    """Weighted sums of the rows up to each, (N, D), and of the weights, (N,)."""
    sums, weights = rows.astype(np.float64), np.ones(len(rows))
    for i in range(1, len(rows)):
        kept = _kept(float(seconds[i] - seconds[i - 1]), tau)
        sums[i] += kept * sums[i - 1]
        weights[i] += kept * weights[i - 1]
    return sums, weights


def _kept(gap: float, tau: float) -> float:
    """The weight that is left of a row after `gap` seconds."""
    return float(np.exp(-max(gap, 0.0) / tau)) if tau > 0 else 0.0


def _require_tau(tau: float) -> None:
    if not 0 <= tau < float("inf"):
        raise ValueError(f"tau must be a time in seconds, 0 or more; got {tau}")
