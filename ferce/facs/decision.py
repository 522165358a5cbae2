"""From a classifier's scores and a face's action units to the decision that is shown."""

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, MEMBERSHIP, NEUTRAL, NOUNS, components
from ferce.core.types import Face, Prediction, Scores, State
from ferce.facs.posterior import posterior
from ferce.facs.prototypes import UNITS, active

# A compound, or one emotion with all that holds it, must reach these shares to be named. Chosen so
# that two readings of equal weight are called unclear.
_NAMED_COMPOUND, _NAMED_BASIC, _NAMED_NEUTRAL = 0.35, 0.60, 0.45


def decide(scores: Scores, i: int, face: Face, model: str) -> Prediction:
    """Decide on row `i` of the scores.

    The classifier says *which* compound; whether two emotions show at all, one, or none is said by
    its own outputs where it has them, else by the face's action units. A face without either is
    judged by the 14 probabilities alone.
    """
    classes = scores.classes[i]
    compound, single, neutral = _shares(scores, i, face)
    state, label = _state(compound * classes, single, neutral)
    return Prediction(
        state=state,
        label=label,
        probabilities=dict(zip(COMPOUNDS, map(float, classes), strict=True)),
        set=prediction_set(classes, scores.mass),
        components=dict(zip(BASICS, np.minimum(classes @ MEMBERSHIP, 1.0).tolist(), strict=True)),
        reason=_reason(state, label, face, classes),
        model=model,
        calibrated=scores.calibrated,
    )


def _shares(scores: Scores, i: int, face: Face) -> tuple[float, NDArray[np.float64], float]:
    """Compute P(any compound), P(each emotion alone) (6,) and P(neutral); they sum to 1."""
    if scores.neutral is not None and scores.single is not None:
        single, neutral = scores.single[i], float(scores.neutral[i])
        return max(1 - float(single.sum()) - neutral, 0.0), single, neutral
    if not face.units:
        return 1.0, np.zeros(len(BASICS)), 0.0
    gate = posterior([face.units])
    return float(gate.compound.sum()), gate.single[0], float(gate.neutral[0])


def _state(
    compound: NDArray[np.float64], single: NDArray[np.float64], neutral: float
) -> tuple[State, str | None]:
    """Choose one of the four states, from probabilities that sum to 1 over all three arguments."""
    if neutral >= _NAMED_NEUTRAL and neutral >= single.max() and neutral >= compound.max():
        return "neutral", NEUTRAL
    if compound.max() >= _NAMED_COMPOUND and compound.max() >= single.max():
        return "compound", COMPOUNDS[int(compound.argmax())]
    leading = single + compound @ MEMBERSHIP
    if leading.max() >= _NAMED_BASIC and single.sum() + leading.max() >= compound.sum():
        return "basic", BASICS[int(leading.argmax())]
    return "unclear", None


def prediction_set(classes: NDArray[np.float64], mass: float = 0.9) -> tuple[str, ...]:
    """Find the fewest compounds, most probable first, whose probabilities reach `mass` together.

    With the `mass` found on held-out data this is the adaptive prediction set of Romano, Sesia &
    Candès 2020 (arXiv 2006.02544).
    """
    order = np.argsort(-classes, kind="stable")
    count = int(np.searchsorted(np.cumsum(classes[order]), mass - 1e-9)) + 1
    return tuple(COMPOUNDS[k] for k in order[:count])


def _neutral_reason(seen: str) -> str:
    if seen:
        return f"Only {seen} is seen, too little for an expression; the face is read as neutral."
    return "No action unit is clearly active, so the face is read as neutral."


def _reason(state: State, label: str | None, face: Face, classes: NDArray[np.float64]) -> str:
    seen = ", ".join(UNITS[u.unit].code for u in active(face.units)[:4])
    basis = f" ({seen})" if seen else ""
    if state == "neutral":
        return _neutral_reason(seen)
    if state == "basic" and label:
        return f"{NOUNS[label].capitalize()} leads{basis} and no second emotion is clear."
    if state == "compound" and label:
        first, second = (NOUNS[basic] for basic in components(label))
        return f"{first.capitalize()} and {second} show together{basis}."
    best = COMPOUNDS[int(classes.argmax())]
    return f"No reading stands out{basis}; the nearest compound is {best} ({classes.max():.0%})."
