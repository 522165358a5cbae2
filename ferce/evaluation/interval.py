"""Means and shares of per-picture values with intervals over people, as `metrics.json` has them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce import metrics

Values = NDArray[np.float64]


def mean(values: Values, who: NDArray[np.generic], draws: int, seed: int) -> dict[str, Any]:
    """Mean of the values that are not NaN, its 95 % interval, and how many there are."""
    known = np.isfinite(values)
    if not known.any():
        return {"value": None, "interval": None, "n": 0}
    kept = values[known]
    found = metrics.bootstrap(lambda i: float(kept[i].mean()), who[known], draws, seed)
    return _told(found, int(known.sum()))


def share(
    part: Values, whole: Values, who: NDArray[np.generic], draws: int, seed: int
) -> dict[str, Any]:
    """Sum of `part` over sum of `whole`, with interval; n is the sum of `whole`."""
    if not whole.sum():
        return {"value": None, "interval": None, "n": 0}

    def ratio(i: NDArray[np.intp]) -> float:
        below = whole[i].sum()
        return float(part[i].sum() / below) if below else float("nan")

    return _told(metrics.bootstrap(ratio, who, draws, seed), int(whole.sum()))


def beside(
    own: Values, control: Values, who: NDArray[np.generic], draws: int, seed: int
) -> dict[str, Any]:
    """The mean, the control's mean, and the mean of their differences with its interval."""
    return {
        **mean(own, who, draws, seed),
        "control": mean(control, who, draws, seed),
        "over_control": mean(own - control, who, draws, seed),
    }


def column(rows: Sequence[dict[str, str]], name: str) -> Values:
    """The cells of a column as numbers, NaN for empty ones."""
    return np.array([float(row[name]) if row[name] else np.nan for row in rows], np.float64)


def people(rows: Sequence[dict[str, str]]) -> NDArray[np.str_]:
    """(N,) who each row shows; unknown people stand for themselves."""
    return np.array([row["subject"] or f"picture {row['name']}" for row in rows], np.str_)


def derangement(n: int, seed: int) -> NDArray[np.intp]:
    """(n,) partner of each item, never itself (for n > 1): neighbours on a random ring."""
    order = np.random.default_rng(seed).permutation(n)
    partner = np.empty(n, np.intp)
    partner[order] = np.roll(order, 1)
    return partner


def _told(found: metrics.Interval, n: int) -> dict[str, Any]:
    return {"value": found.value, "interval": [found.low, found.high], "n": n}
