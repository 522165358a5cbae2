"""The second stage: a language model that reads facts, from text and codes alone.

A code puts action units where a picture's tokens go. It is linear in how sure each unit is, so
what predicts it with the least squared error is the code of the probabilities: a Q-Former that
learns it passes on what the picture leaves open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ferce.core.labels import COMPOUNDS
from ferce.core.types import REGIONS
from ferce.data.record import Sample, hidden_in
from ferce.models.prompts import QUESTIONNAIRE, TEMPLATES
from ferce.training import progress
from ferce.training.examples import Indices
from ferce.training.language.conversation import PHRASES, PROMPTS
from ferce.training.language.loss_model import LossModel
from ferce.training.language.rows import Row, Tokeniser
from ferce.training.mini import design, questions
from ferce.training.mini.album import Album, targets
from ferce.training.mini.stage import Schedule, StageTask, fit
from ferce.training.mini.tower import UNITS

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

CORPUS_ROUNDS = 4  # rounds of examples that the tokenizer is trained on

FACTS = 2 * UNITS + len(REGIONS)  # units on the left, on the right, covered regions
SURE, DOUBT = 2.5, 1.5  # log-odds of a known fact, and the spread of their noise


class Reader(torch.nn.Module):  # type: ignore[misc]
    """A language model and the code of facts that it reads in place of a picture."""

    def __init__(self, network: "Blip2ForConditionalGeneration") -> None:
        """`network` is a whole BLIP-2, of which the language model is taken."""
        super().__init__()
        self.language = network.language_model
        self.code = Code()


@dataclass(frozen=True, eq=False)
class Lesson:
    """Rows of a step, and the facts (N, FACTS) of the face that each row is about."""

    rows: list[Row]
    facts: Tensor


def corpus(album: Album, seed: int) -> list[str]:
    """Collect texts that hold every word of training: descriptions, questions, prompts, labels."""
    among = album.where("train")
    every = [questions.spoken(album, among, k, seed) for k in range(CORPUS_ROUNDS)]
    texts = [t for made in every for one in made.examples for t in (one.prompt, one.answer)]
    labels = [label for phrases in PHRASES.values() for label in phrases]
    asked = [*PROMPTS.values(), *QUESTIONNAIRE]
    named = [t.format(label=label, context="") for t in TEMPLATES.values() for label in COMPOUNDS]
    return [*texts, *named, *(f"Question: {q} Answer: {a}" for q in asked for a in labels)]


class SpeechTask(StageTask[Lesson]):
    """Learns to answer and to describe from the code of a face's facts."""

    def __init__(
        self,
        network: "Blip2ForConditionalGeneration",
        processor: "Blip2Processor",
        albums: Sequence[Album],
        schedule: Schedule,
    ) -> None:
        """The first of the albums gives three rounds of four."""
        self.albums, self.network = albums, network
        self.backend = design.wrapped(network, processor)
        self.tokeniser, self.loss_model = Tokeniser(self.backend), LossModel(self.backend)
        self.loss_model.projected = True  # the code stands behind the projection
        self.reader: Reader = Reader(network).to(network.device)
        super().__init__("speech", self.reader, schedule)

    def batches(self, first: int) -> Iterator[Lesson]:
        """Make rows and noisy facts of each step."""
        self.network.language_model.train()
        batch, seed = self.schedule.batch, self.schedule.seed
        for step, number, made, members in questions.steps_of(self._round, batch, seed, first):
            yield self._lesson(self._album(number), made, members, seed * 1_000_003 + step)

    def loss(self, batch: Lesson) -> dict[str, Tensor]:
        """Compute the negative log-likelihood of the answers."""
        tensors = self.tokeniser.batch(batch.rows, self.backend.device)
        tensors["features"] = self.reader.code(batch.facts.to(self.backend.device))
        return {"loss": self.loss_model(tensors).mean()}

    def _album(self, number: int) -> Album:
        return self.albums[0] if len(self.albums) == 1 or number % 4 else self.albums[1]

    def _round(self, number: int) -> questions.Round:
        album = self._album(number)
        return questions.spoken(album, album.where("train"), number, self.schedule.seed)

    def _lesson(self, album: Album, made: questions.Round, members: Indices, seed: int) -> Lesson:
        examples = [made.examples[i] for i in members]
        faces = [int(made.faces[example.number // 2]) for example in examples]
        flags = torch.tensor([example.number % 2 == 1 for example in examples])
        facts = mirrored(facts_of([album.samples[i] for i in faces]), flags)
        noisy = doubted(facts, torch.Generator().manual_seed(seed))
        return Lesson([self.tokeniser.row(example) for example in examples], noisy)


def train(
    network: "Blip2ForConditionalGeneration",
    processor: "Blip2Processor",
    albums: Sequence[Album],
    schedule: Schedule,
    folder: Path,
    report: progress.Report = progress.silent,
) -> Reader:
    """Train the language model of the network, with its code; from a checkpoint if there is one."""
    torch.manual_seed(schedule.seed)
    task = SpeechTask(network, processor, albums, schedule)
    fit(task, folder, network.device.type, report)
    network.eval()
    return task.reader


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


def facts_of(samples: list[Sample]) -> Tensor:
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
