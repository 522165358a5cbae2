"""Two evaluations of the same pictures against each other: differences with p-values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferce.evaluation import metrics
from ferce.evaluation.classification import Choice, measures
from ferce.evaluation.pictures import COLUMNS, FILE, Scored
from ferce.evaluation.plan import EvaluationError
from ferce.evaluation.table import Table


def load(folder: Path) -> Scored:
    """The pictures of an evaluation folder; raises EvaluationError when it has none."""
    require(folder)
    return Scored.of(Table(folder / FILE, COLUMNS).rows())


def require(folder: Path) -> None:
    """Refuse a folder that holds no evaluation; raises EvaluationError."""
    if not (folder / FILE).is_file():
        raise EvaluationError(f"{folder} holds no {FILE}; give the folder of an evaluation.")


def compare(
    a: Scored, b: Scored, draws: int, seed: int, only: Sequence[str] = ()
) -> dict[str, Any]:
    """Model a minus model b on the compound faces that both could read.

    Exact McNemar for errors (McNemar 1947), paired bootstrap over people for the other figures, of
    which `only` may name some.

    Raises:
        EvaluationError: the two have no face in common, or label one differently.
    """
    one, two, rows = _shared(a, b)
    right = [choice.truth == choice.best for choice in (one, two)]
    found: dict[str, Any] = {
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
        found[name] = {"difference": d.value, "interval": [d.low, d.high], "p": d.p}
    return found


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
