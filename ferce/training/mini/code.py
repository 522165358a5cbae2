"""Action units put where a picture's tokens go, so that a language model learns to read first.

The code is linear in how sure each unit is. So what predicts it with the least squared error is
the code of the probabilities: a Q-Former that learns it passes on what the picture leaves open.
"""

import numpy as np
import torch
from torch import Tensor

from ferce.core.types import REGIONS
from ferce.data.record import Sample, hidden_in
from ferce.training.mini import design
from ferce.training.mini.album import targets
from ferce.training.mini.tower import UNITS

FACTS = 2 * UNITS + len(REGIONS)  # units on the left, on the right, covered regions
SURE, DOUBT = 2.5, 1.5  # log-odds of a known fact, and the spread of their noise


class Code(torch.nn.Module):  # type: ignore[misc]
    """(N, FACTS) in 0..1 to (N, QUERIES, WIDTH) in the language model's space."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Linear(FACTS, design.QUERIES * design.WIDTH)
        with torch.no_grad():
            self.words.weight.normal_(0.0, 0.2)
            self.words.bias.normal_(0.0, 0.2)

    def forward(self, facts: Tensor) -> Tensor:
        """Encode facts; the code is linear in them."""
        return self.words(facts).view(-1, design.QUERIES, design.WIDTH)


def facts(samples: list[Sample]) -> Tensor:
    """Encode samples as (N, FACTS) float32, NaN where unknown; covered units count as not there."""
    rows = []
    for sample in samples:
        hidden = hidden_in(sample) or frozenset()
        sides = targets(sample)
        if hidden:
            sides = np.nan_to_num(sides, nan=0.0)
        covered = np.array([region in hidden for region in REGIONS], np.float32)
        rows.append(np.concatenate([sides.reshape(-1), covered]))
    return torch.from_numpy(np.stack(rows))


def mirrored(known: Tensor, flags: Tensor) -> Tensor:
    """Swap left and right of facts (N, FACTS) where `flags` (N,) says so."""
    swapped = torch.cat([known[:, UNITS : 2 * UNITS], known[:, :UNITS], known[:, 2 * UNITS :]], 1)
    return torch.where(flags[:, None], swapped, known)


def doubted(facts: Tensor, dice: torch.Generator) -> Tensor:
    """Add label noise to half the rows of facts (N, FACTS).

    Both sides of a unit are doubted alike. Unknown facts become an even chance of what is rare.
    """
    known = facts.nan_to_num(nan=0.2)
    n, device = len(known), facts.device
    noise = torch.randn(n, FACTS - UNITS, generator=dice, device=device)
    noise = torch.cat([noise[:, :UNITS], noise], 1)
    odds = (known * 2 - 1) * SURE + noise * DOUBT
    doubtful = torch.rand(n, 1, generator=dice, device=device) < 0.5
    return torch.where(doubtful, odds.sigmoid(), known)
