"""The second stage: a language model that reads facts, from text and codes alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ferce.core.labels import COMPOUNDS
from ferce.models.prompts import QUESTIONNAIRE, TEMPLATES
from ferce.training import progress
from ferce.training.language.conversation import PHRASES, PROMPTS
from ferce.training.language.loss_model import LossModel
from ferce.training.language.rows import Row, Tokeniser
from ferce.training.mini import code, design, questions
from ferce.training.mini.album import Album
from ferce.training.mini.stage import Schedule, StageTask, fit
from ferce.training.sampling import Indices

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

CORPUS_ROUNDS = 4  # rounds of examples that the tokenizer is trained on


class Reader(torch.nn.Module):  # type: ignore[misc]
    """A language model and the code of facts that it reads in place of a picture."""

    def __init__(self, network: "Blip2ForConditionalGeneration") -> None:
        """`network` is a whole BLIP-2, of which the language model is taken."""
        super().__init__()
        self.language = network.language_model
        self.code = code.Code()


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
        facts = code.mirrored(code.facts([album.samples[i] for i in faces]), flags)
        noisy = code.doubted(facts, torch.Generator().manual_seed(seed))
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
