"""Action units weighed against 21 hypotheses: 14 compounds, 6 single emotions and neutral."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ferce.core.labels import BASICS, COMPOUNDS, MEMBERSHIP, NEUTRAL
from ferce.core.types import Units
from ferce.facs.prototypes import ACTIVE, EMFACS, PROTOTYPES, UNITS

HYPOTHESES: tuple[str, ...] = (*COMPOUNDS, *BASICS, NEUTRAL)

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
    table = np.empty((len(HYPOTHESES), len(UNITS)))
    for row, label in zip(table, HYPOTHESES, strict=True):
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


@dataclass(frozen=True, eq=False)
class Posterior:
    """Probabilities of N faces: `compound` (N, 14), `single` (N, 6) and `neutral` (N,) sum to 1."""

    compound: NDArray[np.float64]
    single: NDArray[np.float64]
    neutral: NDArray[np.float64]

    def classes(self) -> NDArray[np.float64]:
        """Compute (N, 14) with rows that sum to 1; see `spread`."""
        return spread(self.compound, self.single, self.neutral)


def spread(
    compound: NDArray[np.float64], single: NDArray[np.float64], neutral: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share all evidence among the compounds, (N, 14), from (N, 14), (N, 6) and (N,) probabilities.

    What speaks for one emotion alone is shared evenly by the compounds that hold it, and what
    speaks for neutral by all: a plain smile makes happiness certain and no compound strong.
    """
    shared = single @ (MEMBERSHIP / MEMBERSHIP.sum(0)).T
    return np.asarray(compound + shared + neutral[:, None] / len(COMPOUNDS))


def posterior(faces: list[Units]) -> Posterior:
    """Weigh the hypotheses for N faces.

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
    present = special.expit(STEEPNESS * (intensity - ACTIVE))
    support = (confidence * present) @ np.log(_TABLE).T
    support += (confidence * (1 - present)) @ np.log(1 - _TABLE).T
    logit = support + _LOG_PRIOR
    joint = np.asarray(special.softmax(logit, axis=1))
    n = len(COMPOUNDS)
    return Posterior(joint[:, :n], joint[:, n:-1], joint[:, -1])
