"""Turns as token ids, where the loss falls on the answers alone; what rare classes weigh in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from ferce.data.align import Aligned
from ferce.models.vlm.phrases import Tokens
from ferce.training import examples
from ferce.training.classifier.task import balanced_weights, log_prior
from ferce.training.examples import Indices, chances
from ferce.training.language.conversation import PHRASES, PROMPTS, Example
from ferce.training.language.plan import LanguagePlan
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from ferce.models.vlm.base import VisionLanguage
    from ferce.models.vlm.blip2 import Blip2

TOKENS = 1024  # in one pass on a CPU or a small GPU
POOL = 16  # steps whose rows are sorted together; more saves padding and mixes less
IGNORED = -100  # the label that cross-entropy leaves out
Shift = tuple[int, int, float]  # place within the answer, id, what is added to its logit


def grouped(lengths: Sequence[int], step: int, seed: Sequence[int]) -> list[Indices]:
    """Group rows into the optimiser steps of an epoch; a function of its arguments alone.

    Rows are shuffled, sorted by length within pools of `POOL` steps, and the steps shuffled again;
    steps differ by at most one row, so that none is a small remainder.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    pools = max(1, -(-len(order) // (step * POOL)))
    steps: list[Indices] = []
    for pool in np.array_split(order, pools):
        sorted_pool = pool[np.argsort(np.asarray(lengths)[pool], kind="stable")]
        steps += np.array_split(sorted_pool, max(1, -(-len(pool) // step)))
    return [steps[i] for i in rng.permutation(len(steps))]


def cut(members: Indices, lengths: Sequence[int], batch: int, tokens: int) -> list[Indices]:
    """Cut a step's rows into passes of at most `batch` rows and `tokens` tokens with padding.

    The longest pass decides how much memory a run needs; in more passes a step computes the same.
    """
    passes: list[list[int]] = []
    for row in sorted(members.tolist(), key=lambda i: lengths[i]):
        room = min(batch, tokens // lengths[row])
        if passes and len(passes[-1]) < room:
            passes[-1].append(row)
        else:
            passes.append([row])
    return [np.array(part) for part in passes]


def fitting_tokens(device: torch.device) -> int:
    """Choose how many tokens one pass may have: 64 for each GB of a GPU, and 1024 at least.

    So a pass of a language model of 3 to 7 billion weights, loaded in 4 or 8 bit, fits into 16 GB.
    """
    if device.type != "cuda":
        return TOKENS
    return max(TOKENS, int(torch.cuda.get_device_properties(device).total_memory / 1e9 * 64))


@dataclass(frozen=True)
class Row:
    """One example as ids.

    Attributes:
        example: what it says.
        ids: what is read: placeholders of the picture, prompt, and for a decoder-only model the
            answer with its end.
        labels: for a decoder-only model as long as `ids`, `IGNORED` but on the answer and its end;
            for an encoder-decoder the answer with its end.
        more: what else the network is given for each token of the prompt; 0 for the answer's.
    """

    example: Example
    ids: tuple[int, ...]
    labels: tuple[int, ...]
    more: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Tokens that are computed."""
        return max(len(self.ids), len(self.labels))


class Tokeniser:
    """Tokenises examples exactly as `vlm.blip2` reads prompts and scores answers."""

    def __init__(self, backend: "Blip2") -> None:
        self.backend: VisionLanguage = backend
        self.inner = backend.processor.tokenizer
        self.causal = backend.style == "opt"
        config = backend.network.config
        self.image, self.queries = config.image_token_id, config.num_query_tokens
        self.limit = getattr(config.text_config, "max_position_embeddings", None)
        self._prompts: dict[str, tuple[int, ...]] = {}

    def prompt(self, text: str) -> tuple[int, ...]:
        """Tokenise a prompt in the family's format, behind the picture's placeholders."""
        asked = self.backend.question(text)
        if asked not in self._prompts:
            made = (*[self.image] * self.queries, *self.inner(asked)["input_ids"])
            if made.count(self.image) != self.queries:
                raise TrainingError(
                    f"Each prompt must hold {self.queries} image placeholders; got "
                    f"{made.count(self.image)} in {asked!r}."
                )
            self._prompts[asked] = made
        return self._prompts[asked]

    def row(self, example: Example) -> Row:
        """Turn an example into ids.

        Raises:
            TrainingError: it is longer than the language model can read.
        """
        asked = self.backend.question(example.prompt)
        prompt = self.prompt(example.prompt)
        (answer,) = self.backend.continuations(asked, [example.answer])
        if self.causal:
            said = (*answer, self.backend.end)
            row = Row(example, (*prompt, *said), (*[IGNORED] * len(prompt), *said))
        else:
            row = Row(example, prompt, tuple(answer))
        if self.limit is not None and row.length > self.limit:
            raise TrainingError(
                f"The {example.task} of picture {example.number} has {row.length} tokens; the "
                f"language model reads {self.limit}."
            )
        return row

    def batch(self, rows: Sequence[Row], device: torch.device, width: int = 0) -> dict[str, Tensor]:
        """Stack N rows, padded on the right to the longest of them, or to `width`.

        Returns:
            input_ids and attention_mask (N, L), and what else a row has; labels (N, L), or (N, T)
            for an encoder-decoder.
        """
        pad = self.inner.pad_token_id
        ids = _padded([row.ids for row in rows], pad, width)
        mask = _padded([[1] * len(row.ids) for row in rows], 0, width)
        labels = _padded([row.labels for row in rows], IGNORED, width if self.causal else 0)
        made = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        for key in rows[0].more:
            made[key] = _padded([row.more[key] for row in rows], 0, ids.shape[1])
        return {name: tensor.to(device) for name, tensor in made.items()}


def _padded(rows: Sequence[Sequence[int]], value: int, width: int) -> Tensor:
    """Pad rows on the right to (N, L), the longest of them or `width`."""
    padded = pad_sequence([torch.tensor(row) for row in rows], True, value, padding_side="right")
    return functional.pad(padded, (0, max(0, width - padded.shape[1])), value=value)


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
