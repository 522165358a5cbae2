"""Action units weighed against the 21 outcomes: 14 compounds, 6 single emotions and neutral."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL, OUTCOMES
from ferce.core.softmax import softmax
from ferce.core.types import Units
from ferce.facs.prototypes import ACTIVE, EMFACS, PROTOTYPES, UNITS

# P(unit active | hypothesis): a core unit is shown by more than 70 % of people (Du et al. 2014), a
# variant by its share, any other by chance. For single emotions EMFACS says which units are
# optional: a smile with closed lips is happy too, and anger may raise the upper lids.
# Neutral is defined by nothing being active, so a unit seen under it is a misreading.
_CORE, _OPTIONAL, _FORM, _CHANCE, _MISREAD = 0.85, 0.50, 0.25, 0.06, 0.025
# Before anything is seen: one face in four shows nothing, half show one emotion, a quarter two.
_PRIOR = {"compound": 0.25, "single": 0.50, "neutral": 0.25}
STEEPNESS = 12.0  # of the step from absent to present around the intensity ACTIVE


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
