"""The second thing taught: a language model that reads facts, from text and codes alone."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ferce.core.labels import COMPOUNDS
from ferce.models.prompts import QUESTIONNAIRE, TEMPLATES
from ferce.training import progress
from ferce.training.language.rows import Row, Tokeniser, grouped
from ferce.training.language.speaker import Speaker
from ferce.training.language.turns import PHRASES, PROMPTS
from ferce.training.mini import code, design, lines
from ferce.training.mini.album import Album
from ferce.training.mini.course import Course, Pace

CORPUS_ROUNDS = 4  # rounds of turns that the tokenizer is trained on
Module: Any = torch.nn.Module


class Reader(Module):  # type: ignore[misc]
    """A language model and the code of facts that it reads in place of a picture."""

    def __init__(self, network: Any) -> None:
        """`network` is a whole BLIP-2, of which the language model is taken."""
        super().__init__()
        self.language = network.language_model
        self.code = code.Code()


@dataclass(frozen=True, eq=False)
class Lesson:
    """Rows of a step, and the facts (N, FACTS) of the face that each row is about."""

    rows: list[Row]
    facts: Any


def corpus(album: Album, seed: int) -> list[str]:
    """Texts that hold every word of training: descriptions, questions, prompts, labels."""
    among = album.where("train")
    turns = [t for k in range(CORPUS_ROUNDS) for t in lines.spoken(album, among, k, seed).turns]
    texts = [text for turn in turns for text in (turn.prompt, turn.answer)]
    labels = [label for phrases in PHRASES.values() for label in phrases]
    asked = [*PROMPTS.values(), *QUESTIONNAIRE]
    named = [t.format(label=label, context="") for t in TEMPLATES.values() for label in COMPOUNDS]
    return [*texts, *named, *(f"Question: {q} Answer: {a}" for q in asked for a in labels)]


def lessons(
    albums: Sequence[Album], tokeniser: Tokeniser, pace: Pace, first: int = 0
) -> Iterator[Lesson]:
    """Steps from number `first` on, without end; the same however often they were cut off.

    The first album gives three rounds of four.
    """
    step = number = 0
    while True:
        album = albums[0] if len(albums) == 1 or number % 4 else albums[1]
        made = lines.spoken(album, album.where("train"), number, pace.seed)
        steps = grouped([len(t.answer) for t in made.turns], pace.batch, (pace.seed, number))
        if step + len(steps) > first:
            told = code.facts([album.samples[i] for i in made.faces])
            for place, members in enumerate(steps):
                if step + place >= first:
                    yield _lesson([made.turns[i] for i in members], told, tokeniser)
        step, number = step + len(steps), number + 1


def _lesson(turns: list[Any], told: Any, tokeniser: Tokeniser) -> Lesson:
    rows = [tokeniser.row(turn) for turn in turns]
    numbers = torch.tensor([turn.number for turn in turns])
    return Lesson(rows, code.mirrored(told[numbers // 2], numbers % 2 == 1))


def teach(
    network: Any,
    processor: Any,
    albums: Sequence[Album],
    pace: Pace,
    path: Path,
    report: progress.Report = progress.silent,
) -> Reader:
    """The language model of the network, taught, with its code; from `path` on if that is there."""
    torch.manual_seed(pace.seed)
    backend = design.wrapped(network, processor)
    tokeniser, speaker = Tokeniser(backend), Speaker(backend)
    speaker.projected = True  # the code stands behind the projection
    reader = Reader(network)
    reader.to(backend.device)
    course = Course(reader, pace, path)
    if course.resume():
        report(f"speech: going on from step {course.step}")
    loss, begun = _Mean(), time.monotonic()
    network.language_model.train()
    stream = lessons(albums, tokeniser, pace, course.step)
    while not course.done:
        lesson = next(stream)
        dice = torch.Generator().manual_seed(pace.seed * 1_000_003 + course.step)
        batch = tokeniser.batch(lesson.rows, backend.device)
        batch["features"] = reader.code(code.doubted(lesson.facts, dice).to(backend.device))
        told = speaker(batch).mean()
        told.backward()
        course.advance()
        loss.add(told.item())
        if course.due:
            course.save()
            speed = loss.count / (time.monotonic() - begun)
            report(f"speech step {course.step}: loss {loss.take():.4f}, {speed:.2f} steps/s")
            begun = time.monotonic()
    course.finish()
    network.eval()
    return reader


class _Mean:
    """A running mean that is emptied when taken."""

    def __init__(self) -> None:
        self.values: list[float] = []

    @property
    def count(self) -> int:
        return len(self.values)

    def add(self, value: float) -> None:
        self.values.append(value)

    def take(self) -> float:
        mean = float(np.mean(self.values)) if self.values else float("nan")
        self.values.clear()
        return mean
