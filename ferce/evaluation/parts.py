"""The packaged classifier beside each of its parts alone, on faces with a known outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS, HOLDING, NEUTRAL, OUTCOMES
from ferce.core.protocols import Classifier
from ferce.data.align import Aligned
from ferce.evaluation import metrics
from ferce.evaluation.plan import EvaluationError, Plan, Tools, aligned, batches, rows_of, watched
from ferce.models.embedded import OUTCOME, Embedded
from ferce.models.fusion import Matrix

WHOLE = "fused"
OWN = "prior as it comes"
# Name -> head of the fusion.
PARTS = {WHOLE: OUTCOME, "prior": "prior", "network": "network", "measures": "measures"}
_SURE = 0.99  # share of a label that all annotators named


@dataclass(frozen=True, eq=False)
class Known:
    """N faces of which something is known.

    Attributes:
        shares: (N, 21) of the outcomes, by how many annotators named each.
        people: (N,) who is shown.
    """

    shares: Matrix
    people: NDArray[np.str_]

    def unanimous(self, compounds: bool = False) -> NDArray[np.bool_]:
        """Mark, (N,), where all named the same single emotion or neutral, or the same compound."""
        count = len(COMPOUNDS)
        columns = self.shares[:, :count] if compounds else self.shares[:, count:]
        return np.asarray((columns > _SURE).any(1))


def measure(plan: Plan, model: Classifier, tools: Tools) -> dict[str, Any]:
    """Score the whole and each of its parts on the faces of a split that could be read.

    Raises:
        EvaluationError: the model was packaged without readers of its parts.
    """
    assert isinstance(model, Embedded), "`Plan` refuses other kinds"
    if lacking := set(PARTS.values()) - set(model.fusion.heads):
        raise EvaluationError(f"{plan.model} has no reader of {min(lacking)}; fit it again.")
    samples, evidence = [], []
    rows = aligned(rows_of(plan.data, plan.split), plan.detects, tools)
    faces = (row for row in watched(rows, "parts", tools.shown) if isinstance(row, Aligned))
    for batch in batches(faces):
        samples += [item.sample for item in batch]
        evidence.append(model.evidence([item.face() for item in batch]))
    people = [sample.subject or sample.name for sample in samples]
    known = Known(np.stack([sample.over(OUTCOMES) for sample in samples]), np.array(people))
    return figures(readings(np.concatenate(evidence), model), known, plan)


def readings(evidence: Matrix, model: Embedded) -> dict[str, Matrix]:
    """Read (N, 21) probabilities by the whole, by each part, and by the prior as it comes."""
    x = model.fusion.standardised(evidence)
    plain = np.zeros((len(x), len(OUTCOMES)))
    for place, name in enumerate(model.fusion.features):
        kind, _, label = name.partition(" ")
        if kind == "prior":
            plain[:, OUTCOMES.index(label)] = np.exp(evidence[:, place])
    return {**{name: model.read(x, head) for name, head in PARTS.items()}, OWN: plain}


def figures(read: Mapping[str, Matrix], known: Known, plan: Plan) -> dict[str, Any]:
    """Compute figures of each reading, and by how much the whole calls more faces right."""
    rows = np.flatnonzero(known.unanimous())
    truth, people = known.shares[rows].argmax(1), known.people[rows]
    right = {name: (p[rows].argmax(1) == truth).astype(float) for name, p in read.items()}
    made = {name: _figures(p, known) for name, p in read.items()}
    for name in set(read) - {WHOLE}:
        d = metrics.paired_bootstrap(
            partial(_share, right[WHOLE]),
            partial(_share, right[name]),
            people,
            plan.draws,
            plan.seed,
        )
        made[name]["whole_better"] = {"difference": d.value, "interval": [d.low, d.high]}
    return made


def _share(right: Matrix, rows: NDArray[np.intp]) -> float:
    return float(right[rows].mean())


def _figures(chances: Matrix, known: Known) -> dict[str, Any]:
    rows = known.unanimous()
    truth, said = known.shares[rows].argmax(1), chances[rows].argmax(1)
    neutral = truth == OUTCOMES.index(NEUTRAL)
    emotions = truth[~neutral] - len(COMPOUNDS)
    leading = (chances[rows][~neutral] @ HOLDING).argmax(1)
    sure = known.shares.max(1) > _SURE
    return {
        "faces": int(rows.sum()),
        "label": _mean(said == truth),
        "neutral": _mean(said[neutral] == truth[neutral]),
        "six_lead": _mean(leading == emotions),
        "six_balanced": _balanced(leading, emotions),
        "each": {
            OUTCOMES[k]: f"{int((said[truth == k] == k).sum())}/{int((truth == k).sum())}"
            for k in np.unique(truth)
        },
        "calibration_error": round(
            metrics.calibration_error(known.shares[sure].argmax(1), chances[sure]), 3
        ),
        **_compounds(chances, known),
    }


def _compounds(chances: Matrix, known: Known) -> dict[str, Any]:
    """Count hits on compounds that all named, and said ones whose parts somebody saw both."""
    count = len(COMPOUNDS)
    rows = known.unanimous(compounds=True)
    truth = known.shares[rows].argmax(1)
    order = np.argsort(-chances[rows][:, :count], axis=1)
    said = np.flatnonzero(chances.argmax(1) < count)
    seen = (known.shares @ HOLDING) > 0
    both = [bool(seen[i][HOLDING[chances[i].argmax()] > 0].all()) for i in said]
    return {
        "compounds": int(rows.sum()),
        "hit_1": int((chances[rows].argmax(1) == truth).sum()),
        "hit_3_if_compound": int((order[:, :3] == truth[:, None]).any(1).sum()),
        "said": len(said),
        "both_parts_seen": sum(both),
    }


def _balanced(predicted: NDArray[np.intp], truth: NDArray[np.intp]) -> float:
    recalls = [(predicted[truth == k] == k).mean() for k in np.unique(truth)]
    return round(float(np.mean(recalls)), 3) if recalls else float("nan")


def _mean(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 3) if len(right) else float("nan")
