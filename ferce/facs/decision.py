"""From a classifier's scores and a face's action units to the decision that is shown."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, HOLDING, NEUTRAL, NOUNS, OUTCOMES, components
from ferce.core.types import Face, Prediction, Scores, State
from ferce.facs.posterior import posterior
from ferce.facs.prototypes import UNITS, active

# An outcome must reach the first share to be named, else one emotion with all that holds it the
# second. On annotated real faces fewer than one in a hundred stay unclear.
_NAMED, _HELD = 0.35, 0.60


def decide(scores: Scores, i: int, face: Face, model: str) -> Prediction:
    """Decide on row `i` of the scores.

    Label, state, components and, where the model has all 21 outcomes, the prediction set follow
    from one distribution. A model of the 14 compounds alone says *which* compound; whether two
    emotions show at all, one, or none is then said by the face's action units, and of a face
    without them by the 14 probabilities alone.
    """
    classes, outcomes = scores.classes[i], _outcomes(scores, i, face)
    state, label = _state(outcomes)
    return Prediction(
        state=state,
        label=label,
        probabilities=dict(zip(COMPOUNDS, map(float, classes), strict=True)),
        set=_set(scores, i, label),
        components=dict(zip(BASICS, np.minimum(outcomes @ HOLDING, 1.0).tolist(), strict=True)),
        reason=_reason(state, label, face, classes),
        model=model,
        calibrated=scores.calibrated,
    )


def _outcomes(scores: Scores, i: int, face: Face) -> NDArray[np.float64]:
    """(21,) probabilities that sum to 1."""
    if scores.outcomes is not None:
        return np.asarray(scores.outcomes[i])
    if not face.units:
        return np.concatenate([scores.classes[i], np.zeros(len(BASICS) + 1)])
    gate = posterior([face.units])
    both = float(gate.compound.sum())
    return np.concatenate([both * scores.classes[i], gate.single[0], gate.neutral])


def _state(outcomes: NDArray[np.float64]) -> tuple[State, str | None]:
    """Which of the four states, and the label."""
    leading, held = int(outcomes.argmax()), outcomes @ HOLDING
    if outcomes[leading] >= _NAMED:
        label = OUTCOMES[leading]
        if label == NEUTRAL:
            return "neutral", label
        return ("basic" if label in BASICS else "compound"), label
    if held.max() >= _HELD:
        return "basic", BASICS[int(held.argmax())]
    return "unclear", None


def _set(scores: Scores, i: int, label: str | None) -> tuple[str, ...]:
    """The prediction set, with the label in it."""
    if scores.outcomes is None:
        return prediction_set(scores.classes[i], scores.mass)
    found = prediction_set(scores.outcomes[i], scores.outcome_mass, OUTCOMES)
    return found if label is None or label in found else (label, *found)


def prediction_set(
    chances: NDArray[np.float64], mass: float = 0.9, names: Sequence[str] = COMPOUNDS
) -> tuple[str, ...]:
    """The fewest of the names, most probable first, whose probabilities reach `mass` together.

    With the `mass` found on held-out data this is the adaptive prediction set of Romano, Sesia &
    Candès 2020 (arXiv 2006.02544).
    """
    order = np.argsort(-chances, kind="stable")
    count = int(np.searchsorted(np.cumsum(chances[order]), mass - 1e-9)) + 1
    return tuple(names[k] for k in order[:count])


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
