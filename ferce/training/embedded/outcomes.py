"""Fit the reader of the 21 outcomes on real and rendered faces; see `ferce.models.embedded`.

Network, prior and measures get a reader each. Single emotions and neutral are learned first, from
a start at the network's or the prior's scores. Scores of a compound start at its two emotions' and
the network's own; then all 21 are fitted at once, held to their start. The whole is a weighted sum
of the three readers' scores, with weights learned on people whom the readers did not see.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, HOLDING, MEMBERSHIP, NEUTRAL, OUTCOMES
from ferce.models.calibration import Mix, softmax
from ferce.models.fusion import Head, Matrix
from ferce.models.prior import LABELS as EMOTIONS
from ferce.training.embedded.evidence import FOLDS, Data
from ferce.training.embedded.readers import Table

SIMPLE: tuple[str, ...] = (NEUTRAL, *BASICS)
BOTH = np.array([name in COMPOUNDS for name in OUTCOMES], float)  # (21,) of compounds
_PAIRS = 0.4  # weight of its two emotions in a compound, at the start of a fit
_BALANCE = 0.5  # power to which inverse frequencies of the outcomes weigh faces
_BIAS = 1e-4  # penalty of a bias
_RARE = 2e-4  # share of an outcome that nobody shows
_STEPS = 40
# Weight of all faces of a table together where the readers are added up.
SETS: Mapping[str, float] = {
    "annotated": 1.0,
    "posed": 0.5,
    "captioned": 1.0,
    "worn": 1.0,
    "worn posed": 0.5,
    "worn captioned": 1.0,
}
SURE = 0.99  # share of an outcome that all annotators named
# A sum of readers: how strongly the weights of a reader are held together, and the readers to one
# another; how steeply a wrong label counts.
_TOGETHER, _ALIKE, _STEEP = 1.0, 0.05, 10.0


@dataclass(frozen=True)
class Settings:
    """What decides the fit of one reader; chosen by cross-validation on the `val` faces.

    Attributes:
        kind: how the names of its evidence begin.
        emotions: penalty on leaving the start, single emotions and neutral.
        outcomes: the same of all outcomes.
        own: weight of the evidence's own score of an outcome, at the start.
        compounds: weight of this reader's scores of compounds in the sum of the readers.
    """

    kind: str
    emotions: float
    outcomes: float
    own: float
    compounds: float


PARTS: Mapping[str, Settings] = {
    "network": Settings("network", 0.1, 1.0, 1.0, 1.0),
    "prior": Settings("prior", 0.1, 0.3, 1.0, 0.05),
    "measures": Settings("face", 0.003, 0.003, 0.0, 0.1),
}


@dataclass(frozen=True, eq=False)
class Sum:
    """Weights (P, 21) of the scores of P readers, and a bias (21,) added to them."""

    weight: Matrix
    bias: Matrix

    def __call__(self, scores: Matrix) -> Matrix:
        """(P, N, 21) to (N, 21)."""
        return np.asarray(np.einsum("pk,pnk->nk", self.weight, scores) + self.bias)

    def head(self, heads: Sequence[Head]) -> Head:
        """The readers and their sum as one reader."""
        weight = np.einsum("pk,pkf->kf", self.weight, np.stack([h.weight for h in heads]))
        return Head(OUTCOMES, weight, self(np.stack([h.bias for h in heads])[:, None])[0])


def fit(table: Table, names: Sequence[str], scale: Matrix, settings: Settings) -> Head:
    """The reader of one part under an even mix.

    Args:
        table: faces with shares (N, 21) of the outcomes, and standardised evidence.
        names: of the evidence, as `embedded.evidence_names` gives them.
        scale: (F,) by which the evidence was divided.
        settings: of the fit.
    """
    known = table.rows(table.shares.sum(1) > 0)
    known = known.only(np.array([name.startswith(settings.kind) for name in names]))
    own = np.array([[name == f"{settings.kind} {label}" for name in names] for label in OUTCOMES])
    own = own * scale * settings.own
    emotions = _emotions(known, np.roll(own[len(COMPOUNDS) :], 1, 0), settings)
    start = HOLDING @ (emotions[1:] - emotions[:1]) * _PAIRS + own
    start[len(COMPOUNDS) : -1] = emotions[1:] - emotions[:1]
    start[-1] = 0.0
    return Head(OUTCOMES, *_softmax(known, start, settings.outcomes))


def add(scores: Matrix, truth: NDArray[np.intp], weight: Matrix, mix: Mix) -> Matrix:
    """(P, 21) weights of the scores of the readers in `PARTS`.

    Those of compounds are the settings'. The others make the truth likely and the most probable
    outcome right, with an offset of all compounds learned beside them.

    Args:
        scores: (P, N, 21) under an even mix, of faces that the readers did not see.
        truth: (N,) places in `OUTCOMES`.
        weight: (N,) of the faces.
        mix: under which the faces are read.
    """
    given, places, share = map(torch.from_numpy, (scores, truth[:, None], weight / weight.sum()))
    both, shift = torch.from_numpy(BOTH), torch.from_numpy(np.log(mix.shares))
    fixed = torch.tensor([[part.compounds] for part in PARTS.values()]) * both[: len(COMPOUNDS)]
    single = torch.full((len(PARTS), len(SIMPLE)), 1 / len(PARTS), dtype=torch.float64)
    bias = torch.zeros(1, dtype=torch.float64)

    def loss() -> Any:
        total = (torch.cat([fixed, single], 1)[:, None] * given).sum(0) + bias * both
        chances = torch.log_softmax(total + shift, 1)
        right = chances.gather(1, places)[:, 0]
        others = chances.scatter(1, places, -torch.inf).max(1).values
        wrong = torch.sigmoid(_STEEP * (others - right))
        mean = single.mean(1, keepdim=True)
        held = _TOGETHER * ((single - mean) ** 2).sum()
        alike = _ALIKE * ((mean - 1 / len(PARTS)) ** 2).sum()
        return (share * (wrong - right)).sum() + held + alike

    _minimise(loss, [single, bias])
    return np.asarray(torch.cat([fixed, single], 1).detach().numpy())


def offset(scores: Matrix, shares: Matrix, mix: Mix) -> Matrix:
    """Find what to add to scores (N, 21): (21,), so that compounds get their share of `shares`."""
    from scipy.optimize import brentq

    wanted = (shares @ BOTH).mean()
    bias = brentq(lambda b: (mix.applied(softmax(scores + b * BOTH)) @ BOTH).mean() - wanted, -9, 9)
    return np.asarray(bias * BOTH)


def parts(data: Data, without: int | None = None) -> dict[str, Head]:
    """Readers of one part of the evidence each, of all people but those of one fold."""
    table = data.joined(without)
    return {name: fit(table, data.names, data.scale, settings) for name, settings in PARTS.items()}


def held_out(data: Data) -> dict[str, Matrix]:
    """(P, N, 21) scores of the faces of each table, by readers that did not see the person."""
    size = len(PARTS), len(OUTCOMES)
    scores = {name: np.zeros((size[0], len(f), size[1])) for name, f in data.folds.items()}
    for k in range(FOLDS):
        for place, head in enumerate(parts(data, k).values()):
            for name, folds in data.folds.items():
                scores[name][place, folds == k] = head(data.tables[name].x[folds == k])
    return scores


def summed(data: Data, held_out: Mapping[str, Matrix], mix: Mix, without: int | None = None) -> Sum:
    """The sum of the readers, learned on the people of all folds but one.

    Compounds are as frequent as among the annotated faces whose annotators agree.
    """
    scores, truth, weight = [], [], []
    for name, share in SETS.items():
        shares = data.tables[name].shares * (data.folds[name] != without)[:, None]
        rows, places = np.nonzero(shares)
        scores.append(held_out[name][:, rows])
        truth.append(places)
        weight.append(share * shares[rows, places] / shares.sum())
    joined = np.concatenate(scores, 1), np.concatenate(truth), np.concatenate(weight)
    plain = Sum(add(*joined, mix), np.zeros(len(OUTCOMES)))
    rows = np.flatnonzero((data.real.shares.max(1) > SURE) & (data.folds["annotated"] != without))
    bias = offset(plain(held_out["annotated"][:, rows]), data.real.shares[rows], mix)
    return Sum(plain.weight, bias)


def whole(data: Data, held_out: Mapping[str, Matrix], mix: Mix) -> dict[str, Matrix]:
    """(N, 21) scores of the sum for each table, nothing of which saw the person."""
    found = {name: np.zeros(scores.shape[1:]) for name, scores in held_out.items()}
    for k in range(FOLDS):
        added = summed(data, held_out, mix, k)
        for name, folds in data.folds.items():
            found[name][folds == k] = added(held_out[name][:, folds == k])
    return found


def _emotions(table: Table, start: Matrix, settings: Settings) -> Matrix:
    """(7, F) weights of `SIMPLE`; a compound counts half for each of its emotions."""
    count = len(COMPOUNDS)
    basics = table.shares[:, count:-1] + table.shares[:, :count] @ MEMBERSHIP / 2
    shares = np.hstack([table.shares[:, -1:], basics])
    seven = Table(table.x, shares, table.units, table.weight)
    return _softmax(seven, start, settings.emotions)[0]


def _softmax(table: Table, start: Matrix, penalty: float) -> tuple[Matrix, Matrix]:
    """Weights (K, F), held to `start`, and biases (K,), of scores under an even mix."""
    mass = table.shares.T @ table.weight
    factor = np.where(mass > 0, mass.sum() / np.maximum(mass, 1e-9), 0.0) ** _BALANCE
    wanted = table.shares * factor * (table.weight / table.weight.sum())[:, None]
    inputs, targets, base = map(torch.from_numpy, (table.x, wanted, start))
    weight, bias = base.clone(), torch.zeros(len(start), dtype=torch.float64)

    def loss() -> Any:
        scores = torch.log_softmax(inputs @ weight.T + bias, 1)
        held = penalty * ((weight - base) ** 2).sum() + _BIAS * (bias**2).sum()
        return held - (targets * scores).sum()

    _minimise(loss, [weight, bias])
    mix = (mass / mass.sum() + _RARE) ** (1 - _BALANCE)
    return weight.detach().numpy(), bias.detach().numpy() - np.log(mix / mix.sum())


def _minimise(loss: Callable[[], Any], free: Sequence[Any]) -> None:
    """Change the tensors `free` in place until the loss is least."""
    solver = torch.optim.LBFGS(
        [tensor.requires_grad_() for tensor in free],
        max_iter=_STEPS,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def step() -> Any:
        solver.zero_grad()
        total = loss()
        total.backward()
        return total

    solver.step(step)


assert set(EMOTIONS) == set(SIMPLE), "the prior names single emotions and neutral"
