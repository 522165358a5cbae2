"""Fit the linear readers of the packaged classifier; see `ferce.models.fusion`.

Few real faces are annotated, so the readers are linear, strongly regularised, and chosen by
cross-validation over faces; rendered faces with exact action units stand in where real ones lack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, NEUTRAL
from ferce.evaluation import metrics
from ferce.models.fusion import Head, Matrix

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

EMOTIONS: tuple[str, ...] = (NEUTRAL, *BASICS)
STRENGTHS = (0.01, 0.03, 0.1, 0.3)  # C of scikit-learn's LogisticRegression
FOLDS, REPEATS = 4, 3
FALSE_ALARMS = 0.05  # at most, on faces known to be neutral


@dataclass(frozen=True, eq=False)
class Table:
    """N faces as evidence with what is known of each.

    Attributes:
        x: (N, F) standardised evidence.
        shares: (N, K) shares of the labels, rows of zeros where unknown.
        units: (N, A) 1 present, 0 absent, NaN unknown.
        weight: (N,) of each face in a fit.
    """

    x: Matrix
    shares: Matrix
    units: Matrix
    weight: Matrix

    def only(self, columns: NDArray[np.bool_]) -> "Table":
        """The same faces with some of the evidence; the rest is 0, so no reader weighs it."""
        return Table(self.x * columns, self.shares, self.units, self.weight)

    def rows(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Table":
        """Some of the faces."""
        return Table(self.x[which], self.shares[which], self.units[which], self.weight[which])


def fit_labels(table: Table, names: Sequence[str], strength: float) -> Head:
    """A softmax reader of the labels, all of which weigh the same.

    A face with several labels counts with its shares.
    """
    x, y, weight = _repeated(table)
    weight = weight * _balance(y, weight, len(names), 1.0)
    model = _regression(strength).fit(x, y, sample_weight=weight)
    full = np.full((len(names), x.shape[1]), 0.0), np.full(len(names), -20.0)
    full[0][model.classes_], full[1][model.classes_] = _symmetric(model)
    return Head(tuple(names), *full)


def fit_unit(table: Table, place: int, strength: float) -> tuple[Matrix, float]:
    """Weights (F,) and bias of one action unit."""
    known = ~np.isnan(table.units[:, place])
    y, weight = table.units[known, place].astype(int), table.weight[known]
    weight = weight * _balance(y, weight, 2, 0.5)
    model = _regression(strength).fit(table.x[known], y, sample_weight=weight)
    return np.asarray(model.coef_[0]), float(model.intercept_[0])


def held_out_unit(
    real: Table, rendered: Table, place: int, strength: float, seed: int = 0
) -> Matrix:
    """(N,) scores of the real faces, each by readers that did not see it; the mean over repeats."""
    total = np.zeros(len(real.x))
    for folds in _folds(len(real.x), seed):
        for k in range(FOLDS):
            table = joined(real.rows(folds != k), rendered)
            weight, bias = fit_unit(table, place, strength)
            total[folds == k] += real.x[folds == k] @ weight + bias
    return total / REPEATS


def threshold(scores: Matrix, truth: Matrix, neutral: Matrix) -> float:
    """The score from which the unit is said to be there.

    The best F1 over the faces with known `truth`, among thresholds that few `neutral` faces reach.
    """
    known = ~np.isnan(truth)
    y, s = truth[known] > 0.5, scores[known]
    floor = np.quantile(neutral, 1 - FALSE_ALARMS) if len(neutral) else -np.inf
    tried = np.unique(np.concatenate([s[s >= floor], [floor]]))
    tried = tried[np.isfinite(tried)]
    best = max(tried, key=lambda t: (f1(s >= t, y), -t)) if len(tried) else 0.0
    below = s[s < best]
    return float((best + below.max()) / 2 if len(below) and below.max() > floor else best)


def reliability(scores: Matrix, truth: Matrix) -> float:
    """2 AUC - 1 over the faces with known truth, 0..1; 0 where there are too few."""
    known = ~np.isnan(truth)
    y = truth[known] > 0.5
    if y.sum() < 4 or (~y).sum() < 4:
        return 0.0
    return float(max(2 * metrics.auc(scores[known], y) - 1, 0.0))


def f1(said: NDArray[np.bool_], there: NDArray[np.bool_]) -> float:
    """2 tp / (2 tp + fp + fn); 0 where nothing is there or said."""
    total = said.sum() + there.sum()
    return float(2 * (said & there).sum() / total) if total else 0.0


def joined(*tables: Table) -> Table:
    """All their faces."""
    return Table(
        np.concatenate([t.x for t in tables]),
        np.concatenate([t.shares for t in tables]),
        np.concatenate([t.units for t in tables]),
        np.concatenate([t.weight for t in tables]),
    )


def _folds(count: int, seed: int) -> list[NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(np.arange(count) % FOLDS) for _ in range(REPEATS)]


def _repeated(table: Table) -> tuple[Matrix, NDArray[np.intp], Matrix]:
    """Each face once for each of its labels, weighted by the share."""
    i, k = np.nonzero(table.shares)
    return table.x[i], k, table.weight[i] * table.shares[i, k]


def _balance(y: NDArray[np.intp], weight: Matrix, classes: int, power: float) -> Matrix:
    """(N,) inverse frequencies of the classes to a power: with 1 all weigh the same."""
    mass = np.bincount(y, weight, classes)
    factor = np.where(mass > 0, mass.sum() / np.maximum(mass, 1e-9), 0.0) ** power
    return np.asarray(factor[y])


def _regression(strength: float) -> "LogisticRegression":
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2000)


def _symmetric(model: "LogisticRegression") -> tuple[Matrix, Matrix]:
    """Rows for each class, also of two, for which scikit-learn keeps one."""
    if len(model.classes_) == 2:
        return np.stack([-model.coef_[0], model.coef_[0]]) / 2, np.array(
            [-model.intercept_[0], model.intercept_[0]]
        ) / 2
    return model.coef_, model.intercept_
