"""What is done about unequal classes: weights and shifts of answers, and how often faces come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferce.data.align import Aligned
from ferce.models.vlm.phrases import Tokens
from ferce.training import examples
from ferce.training.classifier.losses import balanced_weights, log_prior
from ferce.training.examples import chances
from ferce.training.language.conversation import PHRASES, PROMPTS, Example
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.rows import IGNORED, Row, Tokeniser

Shift = tuple[int, int, float]  # place within the answer, id, what is added to its logit


@dataclass(frozen=True, eq=False)
class Balance:
    """Nothing by default.

    Attributes:
        weights: answer of the label task -> factor of its loss.
        shifts: answer of the label task -> what is added to its logits.
        chances: (N,) of each face to be drawn, with replacement; None for each once.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    shifts: Mapping[str, Sequence[Shift]] = field(default_factory=dict)
    chances: NDArray[np.float64] | None = None

    def row_weights(
        self, rows: Sequence[Row], tasks: Mapping[str, float], device: torch.device
    ) -> Tensor:
        """Compute the weight of each row by its task and answer, (N,) float32."""
        values = [tasks[r.example.task] * self.weights.get(_label(r), 1.0) for r in rows]
        return torch.tensor(values, dtype=torch.float32, device=device)

    def row_shifts(self, rows: Sequence[Row], device: torch.device) -> dict[str, Tensor]:
        """Give the `shifts` (S, 3) of `answer_losses` for a batch, where there are any."""
        if not self.shifts:
            return {}
        start, made = 0, []
        for row in rows:
            every = self.shifts.get(_label(row), ())
            made += [(start + place, number, value) for place, number, value in every]
            start += sum(label != IGNORED for label in row.labels)
        return {"shifts": torch.tensor(made, device=device).reshape(-1, 3)}


def balance_of(
    plan: LanguagePlan, stage: str, items: Sequence[Aligned], tokeniser: Tokeniser
) -> Balance:
    """Build what the plan says about unequal classes from the training faces of a stage."""
    labels = PHRASES[stage]
    shares = examples.targets(items, labels)
    counts = np.maximum(shares.sum(0).astype(np.float64), 1.0)
    weights, shifts = {}, {}
    if plan.loss == "class-balanced":
        weights = dict(zip(labels, balanced_weights(counts, plan.beta).tolist(), strict=True))
    if plan.loss == "logit-adjusted":
        rows = [tokeniser.row(Example(0, "label", PROMPTS[stage], label)) for label in labels]
        said = [[label for label in row.labels if label != IGNORED] for row in rows]
        made = [[(p, i, plan.tau * v) for p, i, v in row] for row in token_priors(said, counts)]
        shifts = dict(zip(labels, made, strict=True))
    return Balance(weights, shifts, chances(shares) if plan.sampler == "weighted" else None)


def token_priors(phrases: Tokens, counts: NDArray[np.float64]) -> list[list[Shift]]:
    """Spread the log class prior over the tokens of K phrases.

    At each place of a phrase, every token with which some phrase goes on from here is given the log
    share of its faces among those of all that go on. Added to the logits this is logit adjustment
    (Menon et al. 2021, arXiv:2007.07314, eq. 10) token by token: over a phrase the values of its
    own tokens sum to its log prior.
    """
    made: list[list[Shift]] = []
    for phrase in phrases:
        row: list[Shift] = []
        for place in range(len(phrase)):
            after: dict[int, float] = {}
            for other, count in zip(phrases, counts.tolist(), strict=True):
                if len(other) > place and other[:place] == phrase[:place]:
                    after[other[place]] = after.get(other[place], 0.0) + count
            prior = log_prior(np.array(list(after.values())))
            row += [(place, *pair) for pair in zip(after, prior.tolist(), strict=True)]
        made.append(row)
    return made


def _label(row: Row) -> str:
    """Give the answer of a row of the label task, nothing for other tasks."""
    return row.example.answer if row.example.task == "label" else ""
