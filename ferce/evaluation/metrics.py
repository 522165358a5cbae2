"""Scores of predictions against labels: pure functions of arrays, each with its source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.intp]  # (N,) class numbers
Probabilities = NDArray[np.float64]  # (N, K), rows sum to 1


@dataclass(frozen=True)
class Interval:
    """A measured value with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Value of model a minus model b on the same items, with interval and p-value."""

    value: float
    low: float
    high: float
    p: float


def confusion(truth: Labels, predicted: Labels, classes: int) -> NDArray[np.intp]:
    """Count (K, K), rows are true classes; items predicted as -1 (unparsed) are left out."""
    table = np.zeros((classes, classes), np.intp)
    kept = predicted >= 0
    np.add.at(table, (truth[kept], predicted[kept]), 1)
    return table


def accuracy(truth: Labels, predicted: Labels) -> float:
    """Compute the share predicted right; an unparsed answer (-1) is wrong."""
    return float((truth == predicted).mean()) if len(truth) else float("nan")


def top_k(truth: Labels, probabilities: Probabilities, k: int = 2) -> float:
    """Compute the share whose true class is among the k most probable."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((best == truth[:, None]).any(1).mean())


def per_class(truth: Labels, predicted: Labels, classes: int) -> dict[str, NDArray[np.float64]]:
    """Compute precision, recall, F1 and support of each class, (K,) each.

    Precision and F1 are 0 for a class never predicted; recall is NaN for one that never occurs.
    """
    hits = np.array([((truth == k) & (predicted == k)).sum() for k in range(classes)], float)
    support = np.array([(truth == k).sum() for k in range(classes)], float)
    chosen = np.array([(predicted == k).sum() for k in range(classes)], float)
    return {
        "precision": hits / np.maximum(chosen, 1),
        "recall": np.where(support > 0, hits / np.maximum(support, 1), np.nan),
        "f1": 2 * hits / np.maximum(support + chosen, 1),
        "support": support,
    }


def macro_f1(
    truth: Labels, predicted: Labels, classes: int, only: NDArray[np.intp] | None = None
) -> float:
    """Average F1 over the classes in `truth` or predicted (of `only`, if given)."""
    scores = per_class(truth, predicted, classes)
    present = (scores["support"] > 0) | (
        np.bincount(predicted[predicted >= 0], minlength=classes) > 0
    )
    if only is not None:
        present &= np.isin(np.arange(classes), only)
    return float(scores["f1"][present].mean()) if present.any() else float("nan")


def unweighted_recall(truth: Labels, predicted: Labels, classes: int) -> float:
    """Average recall over the classes that occur: UAR, balanced accuracy."""
    recall = per_class(truth, predicted, classes)["recall"]
    return float(np.nanmean(recall)) if np.isfinite(recall).any() else float("nan")


def calibration_error(truth: Labels, probabilities: Probabilities, bins: int = 15) -> float:
    """Compute the ECE in equal bins of confidence (Guo et al. 2017, arXiv 1706.04599)."""
    confidence, predicted = probabilities.max(1), probabilities.argmax(1)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for b in np.unique(index):
        inside = index == b
        gap = confidence[inside].mean() - (predicted[inside] == truth[inside]).mean()
        error += float(inside.mean() * abs(gap))
    return error


def brier(truth: Labels, probabilities: Probabilities) -> float:
    """Average the squared distance to the one-hot truth, 0..2 (Brier 1950)."""
    wanted = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - wanted) ** 2).sum(1).mean())


def negative_log_likelihood(truth: Labels, probabilities: Probabilities) -> float:
    """Average -log p(true class), natural logarithm; p is held above 1e-12."""
    chosen = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def fit_temperature(truth: Labels, logits: NDArray[np.float64]) -> float:
    """Fit the temperature T > 0 that minimises the NLL of softmax(logits / T) (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(log_t: float) -> float:
        scaled = log_softmax(logits / np.exp(log_t), axis=1)
        return float(-scaled[np.arange(len(truth)), truth].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def fit_set_mass(truth: Labels, probabilities: Probabilities, coverage: float = 0.9) -> float:
    """Fit the mass whose prediction sets hold the truth with `coverage`, on held-out data.

    The conformal quantile of the mass gathered before the true class, most probable first: a class
    is in the set when that lies below the mass. With the true class's own mass added, as in Romano,
    Sesia & Candès 2020 (arXiv 2006.02544) without randomisation, sets of sure models grow wide.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    sorted_ = np.take_along_axis(probabilities, order, 1)
    before = sorted_.cumsum(1) - sorted_
    place = (order == truth[:, None]).argmax(1)
    needed = np.sort(before[np.arange(len(truth)), place])
    rank = int(np.ceil((len(truth) + 1) * coverage)) - 1
    return min(float(needed[rank]) + 1e-6, 1.0) if rank < len(needed) else 1.0


def set_sizes(probabilities: Probabilities, mass: float) -> NDArray[np.intp]:
    """Count (N,) the sizes of the smallest sets that gather `mass`."""
    gathered = -np.sort(-probabilities, axis=1)
    return np.asarray((gathered.cumsum(1) < mass - 1e-9).sum(1) + 1, np.intp)


def set_coverage(truth: Labels, probabilities: Probabilities, mass: float) -> float:
    """Compute the share whose true class lies in its prediction set."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    place = (order == truth[:, None]).argmax(1)
    return float((place < set_sizes(probabilities, mass)).mean())


def bootstrap(
    measure: Callable[[NDArray[np.intp]], float],
    groups: NDArray[np.generic],
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Compute the percentile interval of `measure(item numbers)`, resampling whole groups.

    Args:
        measure: maps item numbers (with repeats) to a score.
        groups: (N,) subject of each item, so that people and not pictures are drawn; pass
            `np.arange(N)` where subjects are unknown.
        draws: number of resamples (Efron & Tibshirani 1993).
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    _, index = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(index == g) for g in range(index.max() + 1)] if len(index) else []
    scores = []
    for _ in range(draws if members else 0):
        drawn = rng.integers(0, len(members), len(members))
        scores.append(measure(np.concatenate([members[g] for g in drawn])))
    value = measure(np.arange(len(groups)))
    if not scores:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.nanpercentile(scores, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """Test whether two models err equally often on the same items: exact two-sided p."""
    from scipy.stats import binomtest

    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def paired_bootstrap(
    measure_a: Callable[[NDArray[np.intp]], float],
    measure_b: Callable[[NDArray[np.intp]], float],
    groups: NDArray[np.generic],
    draws: int = 1000,
    seed: int = 0,
) -> Difference:
    """Compare a - b on the same resamples; p is twice the smaller tail."""
    signs: list[float] = []

    def difference(items: NDArray[np.intp]) -> float:
        signs.append(measure_a(items) - measure_b(items))
        return signs[-1]

    interval = bootstrap(difference, groups, draws, seed)
    drawn = np.array(signs[:-1])  # the last one is the value on all items
    tail = min(float((drawn <= 0).mean()), float((drawn >= 0).mean())) if len(drawn) else 0.5
    return Difference(interval.value, interval.low, interval.high, min(2 * tail, 1.0))


def auc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Compute the area under the ROC curve by ranks; NaN when a class is missing."""
    from scipy.stats import rankdata

    count, rest = int(positive.sum()), int((~positive).sum())
    if not count or not rest:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * rest))


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm's step-down procedure (Holm 1979)."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    corrected, largest = [0.0] * len(p), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[i]))
        corrected[i] = largest
    return corrected


Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Resampling:
    """A bootstrap of N items: whole `groups` (N,) are drawn, `draws` times, from a `seed`."""

    groups: NDArray[np.generic]
    draws: int = 1000
    seed: int = 0

    def only(self, kept: NDArray[np.bool_]) -> "Resampling":
        """Keep some of the items."""
        return Resampling(self.groups[kept], self.draws, self.seed)

    def interval(self, measure: Callable[[NDArray[np.intp]], float]) -> Interval:
        """Resample `measure`; see `bootstrap`."""
        return bootstrap(measure, self.groups, self.draws, self.seed)


def mean(values: Values, how: Resampling) -> dict[str, Any]:
    """Average the values that are not NaN, with 95 % interval and count."""
    known = np.isfinite(values)
    if not known.any():
        return {"value": None, "interval": None, "n": 0}
    kept = values[known]
    interval = how.only(known).interval(lambda i: float(kept[i].mean()))
    return _figure(interval, int(known.sum()))


def share(part: Values, whole: Values, how: Resampling) -> dict[str, Any]:
    """Divide the sum of `part` by that of `whole`, with interval; n is the latter."""
    if not whole.sum():
        return {"value": None, "interval": None, "n": 0}

    def ratio(i: NDArray[np.intp]) -> float:
        below = whole[i].sum()
        return float(part[i].sum() / below) if below else float("nan")

    return _figure(how.interval(ratio), int(whole.sum()))


def beside(own: Values, control: Values, how: Resampling) -> dict[str, Any]:
    """Average values, their control and the differences, with intervals."""
    return {
        **mean(own, how),
        "control": mean(control, how),
        "over_control": mean(own - control, how),
    }


def column(rows: Sequence[dict[str, str]], name: str) -> Values:
    """Read the cells of a column as numbers, NaN for empty ones."""
    return np.array([float(row[name]) if row[name] else np.nan for row in rows], np.float64)


def people(rows: Sequence[dict[str, str]]) -> NDArray[np.str_]:
    """Read (N,) whom each row shows; unknown people stand for themselves."""
    return np.array([row["subject"] or f"picture {row['name']}" for row in rows], np.str_)


def derangement(n: int, seed: int) -> NDArray[np.intp]:
    """Draw (n,) a partner of each item, never itself (for n > 1): ring neighbours."""
    order = np.random.default_rng(seed).permutation(n)
    partner = np.empty(n, np.intp)
    partner[order] = np.roll(order, 1)
    return partner


def _figure(interval: Interval, n: int) -> dict[str, Any]:
    return {"value": interval.value, "interval": [interval.low, interval.high], "n": n}
