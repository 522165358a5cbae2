"""What one face shows in one frame, as numbers, and means of such numbers over time.

Each row counts exp(-|t - s| / tau) at the time t when it was seen at s, and the weights are divided
by their sum (simple exponential smoothing, Brown 1956, for times that need not be even). Live, only
the past is there; of a whole clip both sides count, so that nothing is late. Such a mean lies
between the rows it is made of, so probabilities keep their sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import OUTCOMES
from ferce.core.parts import Prediction
from ferce.core.types import Face, Scores, UnitEvidence, Units
from ferce.facs import decision
from ferce.facs.prototypes import UNITS

Row = NDArray[np.float64]

_NUMBERS = tuple(UNITS)
_ENDS = [len(OUTCOMES), len(OUTCOMES) + len(_NUMBERS)]
# Only the units are read of it; a decision looks at no pixels.
_BLANK = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class Expression:
    """Probabilities and action units of a face.

    A weighted mean of expressions is an expression: all that sums to one keeps doing so.

    Attributes:
        shares: (21,) probability of each of `labels.OUTCOMES`; sums to 1.
        intensities: (K,) of the action units in the order of `UNITS`, 0..1.
        confidences: (K,) likewise; 0 for a unit that cannot be read.
    """

    shares: Row
    intensities: Row
    confidences: Row

    @classmethod
    def of(cls, scores: Scores, i: int, units: Units) -> Self:
        """Join row `i` of a classifier's scores with the face's action units."""
        seen = [units.get(number) or UnitEvidence(number, 0.0, 0.0) for number in _NUMBERS]
        return cls(
            decision.complete(scores, i, units),
            np.array([unit.intensity for unit in seen]),
            np.array([unit.confidence for unit in seen]),
        )

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Split the vector that `row` made."""
        return cls(*np.split(row, _ENDS))

    @property
    def row(self) -> Row:
        """Everything in one vector, for arithmetic."""
        return np.concatenate([self.shares, self.intensities, self.confidences])

    @property
    def units(self) -> Units:
        """The action units as evidence, without sides."""
        values = zip(_NUMBERS, self.intensities, self.confidences, strict=True)
        return {
            number: UnitEvidence(number, _unit(seen), _unit(sure), source="video")
            for number, seen, sure in values
        }

    def share(self, label: str) -> float:
        """Sum what speaks for a label: of a basic emotion, with every compound that holds it."""
        return _unit(Scores.of_outcomes(self.shares[None]).of(label)[0])

    def decide(self, mass: float | None, model: str) -> Prediction:
        """Decide as on a photo with these numbers; `mass` is `Scores.outcome_mass`."""
        scores = Scores.of_outcomes(self.shares[None], outcome_mass=mass)
        return decision.decide(scores, 0, Face(_BLANK, units=self.units), model)


def difference(a: Expression, b: Expression) -> float:
    """Compute the total variation distance of the shares: 0 the same, 1 nothing in common."""
    return float(np.abs(a.shares - b.shares).sum() / 2)


def mean(expressions: Sequence[Expression]) -> Expression:
    """Average at least one expression."""
    return Expression.from_row(np.mean([each.row for each in expressions], axis=0))


def _unit(value: float) -> float:
    """Hold a mean in 0..1, which a rounding error may leave."""
    return min(max(float(value), 0.0), 1.0)


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
        """Average with one more row; a time before the last counts as the last."""
        kept = _kept(seconds - self._seconds, self._tau) if self._sum is not None else 0.0
        before: Row | float = 0.0 if self._sum is None else self._sum
        self._sum = np.asarray(row + kept * before)
        self._weight = 1.0 + kept * self._weight
        self._seconds = max(seconds, self._seconds)
        return self._sum / self._weight


def smooth(seconds: Sequence[float], rows: Sequence[Row], tau: float = TAU) -> list[Row]:
    """Average over all rows, earlier and later, at each of N rising times.

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
    """Sum the weighted rows up to each, (N, D), and of the weights, (N,)."""
    sums, weights = rows.astype(np.float64), np.ones(len(rows))
    for i in range(1, len(rows)):
        kept = _kept(float(seconds[i] - seconds[i - 1]), tau)
        sums[i] += kept * sums[i - 1]
        weights[i] += kept * weights[i - 1]
    return sums, weights


def _kept(gap: float, tau: float) -> float:
    """Compute the weight of a row after `gap` seconds."""
    return float(np.exp(-max(gap, 0.0) / tau)) if tau > 0 else 0.0


def _require_tau(tau: float) -> None:
    if not 0 <= tau < float("inf"):
        raise ValueError(f"tau must be a time in seconds, 0 or more; got {tau}")
