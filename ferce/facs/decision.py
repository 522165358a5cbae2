"""From a classifier's scores and a face's action units to the decision that is shown."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferce.core.compute import softmax
from ferce.core.labels import (
    BASICS,
    COMPOUNDS,
    HOLDING,
    NEUTRAL,
    NOUNS,
    OUTCOMES,
    alone,
    components,
)
from ferce.core.parts import Prediction, Reading, State
from ferce.core.protocols import Classifier
from ferce.core.types import Face, Scores, Units
from ferce.facs.prototypes import ACTIVE, EMFACS, PROTOTYPES, UNITS, active

# An outcome must reach the first share to be named, else one emotion with all that holds it the
# second. On annotated real faces fewer than one in a hundred stay unclear.
_NAMED, _HELD = 0.35, 0.60
_MASS = 0.9  # probability that a prediction set gathers at least
_FEW = 2  # units that may be active in a face without an expression

# P(unit active | hypothesis): a core unit is shown by more than 70 % of people (Du et al. 2014), a
# variant by its share, any other by chance. For single emotions EMFACS says which units are
# optional: a smile with closed lips is happy too, and anger may raise the upper lids.
# Neutral is defined by nothing being active, so a unit seen under it is a misreading.
_CORE, _OPTIONAL, _FORM, _CHANCE, _MISREAD = 0.85, 0.50, 0.25, 0.06, 0.025
# Before anything is seen: one face in four shows nothing, half show one emotion, a quarter two.
_PRIOR = {"compound": 0.25, "single": 0.50, "neutral": 0.25}
STEEPNESS = 12.0  # of the step from absent to present around the intensity ACTIVE


def predict(classifier: Classifier, faces: Sequence[Face]) -> list[Reading]:
    """Score faces in one batch, add the action units that the classifier measured, and decide.

    Returns:
        One reading a face, in order, with its prediction and its row of the scores; also of faces
        that have a `problem`.
    """
    if not faces:
        return []
    scores, model = classifier.scores(faces), classifier.name
    return [_decided(face, scores.row(i), model) for i, face in enumerate(faces)]


def _decided(face: Face, scores: Scores, model: str) -> Reading:
    """Decide on a face by its one row of scores."""
    face = _measured(face, scores)
    return Reading(face, decide(scores, 0, face, model), scores=scores)


def _measured(face: Face, scores: Scores) -> Face:
    """Add the action units that the classifier measured itself, where it is surer."""
    if scores.units is None:
        return face
    units = dict(face.units)
    for number, seen in scores.units[0].items():
        if number not in units or seen.confidence > units[number].confidence:
            units[number] = seen
    return face.replace(units=units)


def decide(scores: Scores, i: int, face: Face, model: str) -> Prediction:
    """Decide on row `i` of the scores.

    Label, state, components and prediction set follow from one distribution; see `complete`.
    """
    outcomes = complete(scores, i, face.units)
    state, label = _state(outcomes)
    return Prediction(
        state=state,
        label=label,
        outcomes=_named(OUTCOMES, outcomes),
        compounds=_named(COMPOUNDS, scores.classes[i]),
        set=_set(outcomes, set_mass(scores.outcome_mass), label),
        components=_named(BASICS, np.minimum(outcomes @ HOLDING, 1.0)),
        reason=_reason(state, label, face, outcomes),
        model=model,
        calibrated=scores.outcome_mass is not None,
    )


def complete(scores: Scores, i: int, units: Units) -> NDArray[np.float64]:
    """Compute (21,) probabilities of the outcomes, which sum to 1.

    A model of the 14 compounds alone says *which* compound; whether two emotions show at all, one,
    or none is then said by the action units, and where there are none, a compound shows.
    """
    if scores.outcomes is not None:
        return np.asarray(scores.outcomes[i], np.float64)
    count = len(COMPOUNDS)
    (row,) = posterior([units]) if units else np.eye(len(OUTCOMES))[:1]
    return np.concatenate([row[:count].sum() * scores.classes[i], row[count:]])


def set_mass(calibrated: float | None) -> float:
    """Choose the probability that a set of outcomes must gather, 0..1.

    Less than 90 % may hold the truth of nine faces in ten (`Scores.outcome_mass`), but not of the
    doubtful ones among them; so a set gathers both.
    """
    return max(_MASS, calibrated or 0.0)


def _named(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))


def _state(outcomes: NDArray[np.float64]) -> tuple[State, str | None]:
    """Choose one of the four states, and the label."""
    leading, held = int(outcomes.argmax()), outcomes @ HOLDING
    if outcomes[leading] >= _NAMED:
        label = OUTCOMES[leading]
        if label == NEUTRAL:
            return "neutral", label
        return ("basic" if label in BASICS else "compound"), label
    if held.max() >= _HELD:
        return "basic", BASICS[int(held.argmax())]
    return "unclear", None


def _set(outcomes: NDArray[np.float64], mass: float, label: str | None) -> tuple[str, ...]:
    """Find the prediction set, with the label in it."""
    chosen = prediction_set(outcomes, mass, OUTCOMES)
    return chosen if label is None or label in chosen else (label, *chosen)


def prediction_set(
    chances: NDArray[np.float64], mass: float = _MASS, names: Sequence[str] = COMPOUNDS
) -> tuple[str, ...]:
    """Find the fewest names, most probable first, whose probabilities reach `mass` together.

    With the `mass` found on held-out data this is the adaptive prediction set of Romano, Sesia &
    Candès 2020 (arXiv 2006.02544).
    """
    order = np.argsort(-chances, kind="stable")
    count = int(np.searchsorted(np.cumsum(chances[order]), mass - 1e-9)) + 1
    return tuple(names[k] for k in order[:count])


def _reason(state: State, label: str | None, face: Face, outcomes: NDArray[np.float64]) -> str:
    units = [UNITS[u.unit].code for u in active(face.units)]
    seen = ", ".join(units[:4])
    basis = f" ({seen})" if seen else ""
    if state == "neutral":
        return _neutral_reason(seen, len(units))
    if state == "basic" and label:
        single = outcomes[OUTCOMES.index(label)]
        return f"{NOUNS[label].capitalize()} leads{basis} {_second(single)}"
    if state == "compound" and label:
        first, second = (NOUNS[basic] for basic in components(label))
        return f"{first.capitalize()} and {second} show together{basis}."
    best = OUTCOMES[int(outcomes.argmax())]
    return f"No reading stands out{basis}; the nearest is {alone(best)} ({outcomes.max():.0%})."


def _neutral_reason(seen: str, count: int) -> str:
    if count > _FEW:
        return f"Neutral is the most probable reading, though {seen} are seen."
    if seen:
        return f"Only {seen} is seen, too little for an expression; the face is read as neutral."
    return "No action unit is clearly active, so the face is read as neutral."


def _second(single: float) -> str:
    if single >= _NAMED:
        return "and no second emotion is clear."
    return "but whether alone or with a second emotion is not clear."


def _likelihoods() -> NDArray[np.float64]:
    """Tabulate P(unit active | hypothesis), (21, K), units in the order of `UNITS`."""
    table = np.empty((len(OUTCOMES), len(UNITS)))
    for row, label in zip(table, OUTCOMES, strict=True):
        for k, unit in enumerate(UNITS):
            row[k] = _likelihood(label, unit)
    return table


def _likelihood(label: str, unit: int) -> float:
    if label == NEUTRAL:
        return _MISREAD
    prototype, form = PROTOTYPES[label], EMFACS.get(label)
    if unit in prototype.core:
        return _CORE if form is None or unit in form else _OPTIONAL
    if unit in prototype.variants:
        return prototype.variants[unit]
    return _FORM if form is not None and unit in form else _CHANCE


def _priors() -> NDArray[np.float64]:
    compound = np.full(len(COMPOUNDS), _PRIOR["compound"] / len(COMPOUNDS))
    single = np.full(len(BASICS), _PRIOR["single"] / len(BASICS))
    return np.concatenate([compound, single, [_PRIOR["neutral"]]])


_TABLE, _LOG_PRIOR = _likelihoods(), np.log(_priors())


def posterior(faces: Sequence[Units]) -> NDArray[np.float64]:
    """Weigh the outcomes for N faces: (N, 21) probabilities, rows sum to 1.

    A naive Bayes classifier whose evidence counts as much as it is trusted: log P(h | units) = log
    P(h) + sum over units of confidence * [s log p + (1 - s) log(1 - p)], with s the presence of the
    unit and p its probability under h. A unit of confidence 0 says nothing, as if marginalised out.
    """
    shape = (len(faces), len(UNITS))
    intensity, confidence = np.zeros(shape), np.zeros(shape)
    for i, units in enumerate(faces):
        for k, number in enumerate(UNITS):
            if number in units:
                intensity[i, k] = units[number].intensity
                confidence[i, k] = units[number].confidence
    present = 1 / (1 + np.exp(-STEEPNESS * (intensity - ACTIVE)))
    support = (confidence * present) @ np.log(_TABLE).T
    support += (confidence * (1 - present)) @ np.log(1 - _TABLE).T
    logit = support + _LOG_PRIOR
    return softmax(logit)
