"""The packaged classifier beside each of its parts alone, on faces with a known outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS, HOLDING, NEUTRAL, OUTCOMES
from ferce.evaluation import metrics
from ferce.models.calibration import softmax
from ferce.models.embedded import OUTCOME
from ferce.models.fusion import Fusion, Matrix
from ferce.models.mix import Mix

WHOLE = "fused"
OWN = "prior as it comes"
PARTS: Mapping[str, str] = {
    WHOLE: OUTCOME,
    "prior": "prior",
    "network": "network",
    "measures": "measures",
}
DRAWS = 1000
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
        """(N,) whether all named the same single emotion or neutral, or the same compound."""
        count = len(COMPOUNDS)
        columns = self.shares[:, :count] if compounds else self.shares[:, count:]
        return np.asarray((columns > _SURE).any(1))


def readings(evidence: Matrix, fusion: Fusion, mix: Mix) -> dict[str, Matrix]:
    """(N, 21) probabilities of the whole, of readers of each part, and of the prior as it comes."""
    x = fusion.standardised(evidence)
    found = {name: mix.applied(softmax(fusion.heads[head](x))) for name, head in PARTS.items()}
    plain = np.zeros((len(x), len(OUTCOMES)))
    for place, name in enumerate(fusion.features):
        kind, _, label = name.partition(" ")
        if kind == "prior":
            plain[:, OUTCOMES.index(label)] = np.exp(evidence[:, place])
    return {**found, OWN: plain}


def figures(found: Mapping[str, Matrix], known: Known) -> dict[str, Any]:
    """Figures of each reading, and how much better the whole is, with paired intervals."""
    rows = np.flatnonzero(known.unanimous())
    truth = known.shares[rows].argmax(1)
    right = {name: chances[rows].argmax(1) == truth for name, chances in found.items()}
    told = {name: _figures(chances, known) for name, chances in found.items()}
    for name in found:
        if name != WHOLE:
            told[name]["whole_better_by"] = _gain(right[WHOLE], right[name], known.people[rows])
    return told


def _gain(
    whole: NDArray[np.bool_], part: NDArray[np.bool_], people: NDArray[np.str_]
) -> tuple[float, float, float]:
    """Gain of accuracy and its 95 % interval, people resampled."""
    gain = whole.astype(float) - part.astype(float)
    found = metrics.bootstrap(lambda rows: float(gain[rows].mean()), people, DRAWS)
    return tuple(round(v, 3) for v in (found.value, found.low, found.high))  # type: ignore[return-value]


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
    """Hits on compounds that all named, and how many said ones have both parts seen by anybody."""
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


def _balanced(told: NDArray[np.intp], truth: NDArray[np.intp]) -> float:
    recalls = [(told[truth == k] == k).mean() for k in np.unique(truth)]
    return round(float(np.mean(recalls)), 3) if recalls else float("nan")


def _mean(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 3) if len(right) else float("nan")
