"""Figures of a classifier on the 14 compounds, each with its interval, and two of them compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS, RAFDB_COMPOUNDS
from ferce.evaluation import metrics
from ferce.evaluation.metrics_file import wilson
from ferce.evaluation.pictures import COLUMNS, FILE, UNPARSED, Rows, Scored
from ferce.evaluation.plan import EvaluationError, Table

K = len(COMPOUNDS)
RAFDB = np.array([COMPOUNDS.index(name) for name in RAFDB_COMPOUNDS])
FEW = 25  # faces; a class with fewer says little, and is listed as rare


@dataclass(frozen=True, eq=False)
class Choice:
    """Truth, predicted class and (N, 14) probabilities of N faces, and whom each shows."""

    truth: Rows
    best: Rows
    p: NDArray[np.float64]
    who: NDArray[np.str_]

    @classmethod
    def of(cls, scored: Scored) -> "Choice":
        """Select the faces that were read and show a compound."""
        rows = scored.compounds
        p = scored.probabilities[rows]
        best = p.argmax(1) if len(rows) else np.zeros(0, np.intp)
        return cls(scored.truth(rows), best, p, scored.groups(rows))


def figures(scored: Scored, draws: int, seed: int) -> dict[str, Any]:
    """Compute all figures on the compounds, those of `metrics_file.Measurements` and more.

    `f1` and `confusion` count the faces that were read; `lost_are_wrong` has the headline figures
    with every picture that could not be read counted as an error.
    """
    choice = Choice.of(scored)
    each = metrics.per_class(choice.truth, choice.best, K)
    return {
        "faces": len(choice.truth),
        "people": len(np.unique(choice.who)),
        **_headline(choice, draws, seed),
        **_plain(choice, scored.mass),
        "set_calibrated": scored.calibrated,
        "f1": {name: float(v) for name, v in zip(COMPOUNDS, each["f1"], strict=True)},
        "confusion": metrics.confusion(choice.truth, choice.best, K).tolist(),
        "per_class": per_class(choice),
        "rare": rare(choice),
        "reliability": reliability(choice),
    }


def _headline(choice: Choice, draws: int, seed: int) -> dict[str, Any]:
    """Compute the figures that get a bootstrap interval over people."""
    figures: dict[str, Any] = {}
    for name, measure in measures(choice).items():
        interval = metrics.bootstrap(measure, choice.who, draws, seed)
        figures[name] = interval.value
        figures[f"{name}_interval"] = [interval.low, interval.high]
    return figures


def measures(choice: Choice) -> dict[str, Callable[[Rows], float]]:
    """Name -> score of some of the faces, by their numbers."""
    truth, best, p = choice.truth, choice.best, choice.p
    enough = np.flatnonzero(np.bincount(truth, minlength=K) >= FEW)

    def f1(only: Rows | None) -> Callable[[Rows], float]:
        return lambda i: metrics.macro_f1(truth[i], best[i], K, only)

    scores: dict[str, Callable[[Rows], float]] = {
        "macro_f1": f1(None),
        "accuracy": lambda i: metrics.accuracy(truth[i], best[i]),
        "uar": lambda i: metrics.unweighted_recall(truth[i], best[i], K),
        "top2": lambda i: metrics.top_k(truth[i], p[i], 2),
        "macro_f1_11": f1(RAFDB),
        "brier": lambda i: metrics.brier(truth[i], p[i]),
    }
    return scores | ({"macro_f1_25": f1(enough)} if len(enough) else {})


def _plain(choice: Choice, mass: float) -> dict[str, Any]:
    """Compute figures without an interval, and the 11-way choice of RAF-DB."""
    truth, p = choice.truth, choice.p
    some = np.isin(truth, RAFDB)
    among = RAFDB[p[some][:, RAFDB].argmax(1)] if some.any() else truth[some]
    sizes = metrics.set_sizes(p, mass)
    return {
        # Without an interval: resampling thins the bins, so that every resample's error is larger.
        "ece": metrics.calibration_error(truth, p),
        "nll": metrics.negative_log_likelihood(truth, p),
        "macro_f1_11_way": metrics.macro_f1(truth[some], among, K, RAFDB),
        "accuracy_11_way": metrics.accuracy(truth[some], among),
        "set_coverage": metrics.set_coverage(truth, p, mass),
        "set_size": float(sizes.mean()),
        "set_mass": mass,
    }


def per_class(choice: Choice) -> dict[str, dict[str, float | None]]:
    """Compute precision, recall, F1 and support of each compound; recall None without faces."""
    each = metrics.per_class(choice.truth, choice.best, K)
    return {
        name: {key: _finite(values[k]) for key, values in each.items()}
        for k, name in enumerate(COMPOUNDS)
    }


def rare(choice: Choice) -> list[dict[str, Any]]:
    """List classes with fewer than `FEW` faces: recall with interval, and main error."""
    table = metrics.confusion(choice.truth, choice.best, K)
    rows = []
    for k in np.flatnonzero((table.sum(1) < FEW) & (table.sum(1) > 0)):
        n, wrong = int(table[k].sum()), np.where(np.arange(K) == k, -1, table[k])
        rows.append(
            {
                "label": COMPOUNDS[k],
                "faces": n,
                "recall": float(table[k, k] / n),
                "recall_interval": list(wilson(int(table[k, k]), n)),
                "mostly_taken_for": COMPOUNDS[int(wrong.argmax())] if wrong.max() > 0 else None,
            }
        )
    return rows


def reliability(choice: Choice, bins: int = 15) -> list[dict[str, float]]:
    """Average confidence and accuracy in equal bins of confidence, without empty bins."""
    confidence, right = choice.p.max(1), choice.best == choice.truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            "confidence": float(confidence[place == b].mean()),
            "accuracy": float(right[place == b].mean()),
            "faces": int((place == b).sum()),
        }
        for b in np.unique(place)
    ]


def lost_are_wrong(truth: Rows, predicted: Rows) -> dict[str, float | int | None]:
    """Compute headline figures where -1 stands for an unreadable picture, or no answer."""
    return {
        "faces": len(truth),
        "unanswered": int((predicted == UNPARSED).sum()),
        "accuracy": _finite(metrics.accuracy(truth, predicted)),
        "macro_f1": _finite(metrics.macro_f1(truth, predicted, K)),
        "uar": _finite(metrics.unweighted_recall(truth, predicted, K)),
    }


def class_numbers(names: NDArray[np.str_]) -> Rows:
    """Number the compounds, (N,); -1 for anything else."""
    number = {name: k for k, name in enumerate(COMPOUNDS)}
    return np.array([number.get(str(name), UNPARSED) for name in names], np.intp)


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def require(folder: Path) -> None:
    """Refuse a folder that holds no evaluation; raises EvaluationError."""
    if not (folder / FILE).is_file():
        raise EvaluationError(f"{folder} holds no {FILE}; give the folder of an evaluation.")


def load(folder: Path) -> Scored:
    """Load the pictures of an evaluation; raises EvaluationError when it has none."""
    require(folder)
    return Scored.of(Table(folder / FILE, COLUMNS).rows())


def compare(
    a: Scored, b: Scored, draws: int, seed: int, only: Sequence[str] = ()
) -> dict[str, Any]:
    """Compare model a with model b, a minus b, on the compound faces that both could read.

    Exact McNemar for errors (McNemar 1947), paired bootstrap over people for the other figures, of
    which `only` may name some.

    Raises:
        EvaluationError: the two have no face in common, or label one differently.
    """
    one, two, rows = _shared(a, b)
    right = [choice.truth == choice.best for choice in (one, two)]
    figures: dict[str, Any] = {
        "faces": len(rows),
        "only_here": len(a.compounds) - len(rows),
        "only_there": len(b.compounds) - len(rows),
        "mcnemar_p": metrics.mcnemar(right[0], right[1]),
    }
    theirs = measures(two)
    for name, measure in measures(one).items():
        if only and name not in only:
            continue
        d = metrics.paired_bootstrap(measure, theirs[name], one.who, draws, seed)
        figures[name] = {"difference": d.value, "interval": [d.low, d.high], "p": d.p}
    return figures


def _shared(a: Scored, b: Scored) -> tuple[Choice, Choice, list[str]]:
    places = [{str(s.names[i]): i for i in s.compounds} for s in (a, b)]
    names = [name for name in places[0] if name in places[1]]
    if not names:
        raise EvaluationError("The two evaluations have no face in common; evaluate one split.")
    one, two = (
        _choice(s, np.array([place[name] for name in names], np.intp))
        for s, place in zip((a, b), places, strict=True)
    )
    if (odd := np.flatnonzero(one.truth != two.truth)).size:
        raise EvaluationError(f"{names[odd[0]]} has another label there; evaluate the same data.")
    return one, two, names


def _choice(scored: Scored, rows: Any) -> Choice:
    p = scored.probabilities[rows]
    return Choice(scored.truth(rows), p.argmax(1), p, scored.groups(rows))
