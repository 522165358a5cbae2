"""Fit the reader of the 21 outcomes on real and rendered faces; see `ferce.models.embedded`.

Single emotions and neutral are learned first, from a start at prior's and network's scores. Scores
of a compound start at its two emotions' and the network's own; then all 21 are fitted at once.
Each kind of evidence is held to its start as strongly as cross-validation asks for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ferce.core.labels import BASICS, COMPOUNDS, HOLDING, MEMBERSHIP, NEUTRAL, OUTCOMES
from ferce.models.fusion import Head, Matrix
from ferce.models.prior import LABELS as EMOTIONS
from ferce.training.embedded.readers import Table

SIMPLE: tuple[str, ...] = (NEUTRAL, *BASICS)
UNUSED = 1e4  # penalty of evidence that takes no part
_FREE = 1e-4  # penalty of a bias
_RARE = 2e-4  # share of an outcome that nobody shows
_STEPS = 40


@dataclass(frozen=True)
class Penalties:
    """How strongly each kind of evidence is held to the start of a fit."""

    prior: float
    simple: float  # the network's scores of single emotions and neutral
    compound: float  # its scores of compounds
    units: float  # its action units
    measures: float  # blendshapes and distances

    def of(self, names: Sequence[str]) -> Matrix:
        """(F,) of the evidence with these names."""
        return np.array([self._one(name) for name in names])

    def _one(self, name: str) -> float:
        kind, _, what = name.partition(" ")
        if kind == "network":
            if what in COMPOUNDS:
                return self.compound
            return self.simple if what in SIMPLE else self.units
        return self.prior if kind == "prior" else self.measures


@dataclass(frozen=True)
class Settings:
    """What decides a fit; chosen by cross-validation on the annotated `val` faces.

    Attributes:
        emotions: penalties of the first step.
        outcomes: penalties of the second.
        prior: weight of the prior's own scores of single emotions and neutral, at the start.
        network: the same of the network's.
        parts: weight of its two emotions in a compound, at the start.
        own: weight of the network's own score of a compound, at the start.
        balance: power to which inverse frequencies of the outcomes weigh faces, 0..1.
    """

    emotions: Penalties = Penalties(0.1, 0.1, UNUSED, 0.1, UNUSED)
    outcomes: Penalties = Penalties(0.3, 0.3, 0.1, 0.3, 0.1)
    prior: float = 0.3
    network: float = 0.6
    parts: float = 0.4
    own: float = 0.8
    balance: float = 0.5


def alone(kind: str) -> Settings:
    """Settings for evidence of one kind, the beginning of its names; the rest takes no part."""
    if kind == "prior":
        return Settings(prior=1.0, network=0.0, own=0.0)
    if kind == "network":
        return Settings(prior=0.0, network=1.0)
    free = Penalties(UNUSED, UNUSED, UNUSED, UNUSED, 0.003)
    return Settings(free, free, prior=0.0, network=0.0, own=0.0)


def fit(table: Table, names: Sequence[str], scale: Matrix, settings: Settings) -> Head:
    """The reader under an even mix.

    Args:
        table: faces with shares (N, 21) of the outcomes, and standardised evidence.
        names: of the evidence, as `embedded.evidence_names` gives them.
        scale: (F,) by which the evidence was divided.
        settings: of the fit.
    """
    known = table.rows(table.shares.sum(1) > 0)
    start = _emotions(known, names, scale, settings)
    weight = settings.parts * HOLDING @ (start[1:] - start[:1])
    weight[len(COMPOUNDS) : -1] = start[1:] - start[:1]
    for row, label in enumerate(COMPOUNDS):
        place = names.index(f"network {label}")
        weight[row, place] += settings.own * scale[place]
    found = _softmax(known, weight, settings.outcomes.of(names), settings.balance)
    return Head(OUTCOMES, *found)


def _emotions(table: Table, names: Sequence[str], scale: Matrix, settings: Settings) -> Matrix:
    """(7, F) weights of `SIMPLE`; a compound counts half for each of its emotions."""
    count = len(COMPOUNDS)
    basics = table.shares[:, count:-1] + table.shares[:, :count] @ MEMBERSHIP / 2
    shares = np.hstack([table.shares[:, -1:], basics])
    start = np.zeros((len(SIMPLE), len(names)))
    for row, label in enumerate(SIMPLE):
        for kind, share in (("prior", settings.prior), ("network", settings.network)):
            place = names.index(f"{kind} {label}")
            start[row, place] = share * scale[place]
    seven = Table(table.x, shares, table.units, table.weight)
    return _softmax(seven, start, settings.emotions.of(names), settings.balance)[0]


def _softmax(table: Table, start: Matrix, penalty: Matrix, balance: float) -> tuple[Matrix, Matrix]:
    """Weights (K, F), held to `start`, and biases (K,), of scores under an even mix."""
    used = penalty < UNUSED
    mass = table.shares.T @ table.weight
    weight = np.where(mass > 0, mass.sum() / np.maximum(mass, 1e-9), 0.0) ** balance
    wanted = table.shares * weight * (table.weight / table.weight.sum())[:, None]
    found, bias = _minimised(table.x * used, wanted, start * used, penalty)
    mix = (mass / mass.sum() + _RARE) ** (1 - balance)
    return found, bias - np.log(mix / mix.sum())


def _minimised(x: Matrix, wanted: Matrix, start: Matrix, penalty: Matrix) -> tuple[Matrix, Matrix]:
    """Cross-entropy of softmax scores with `wanted` (N, K), and the penalty on leaving `start`."""
    inputs, targets, base, held = map(torch.from_numpy, (x, wanted, start, penalty))
    weight = base.clone().requires_grad_()
    bias = torch.zeros(len(start), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=_STEPS, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> Any:
        solver.zero_grad()
        scores = torch.log_softmax(inputs @ weight.T + bias, 1)
        total = (held * (weight - base) ** 2).sum() + _FREE * (bias**2).sum()
        total = total - (targets * scores).sum()
        total.backward()
        return total

    solver.step(loss)
    return weight.detach().numpy(), bias.detach().numpy()


assert set(EMOTIONS) == set(SIMPLE), "the prior names single emotions and neutral"
