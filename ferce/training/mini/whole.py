"""The last thing taught: the whole network at once, on pictures, questions and answers."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ferce.training import progress
from ferce.training.language.rows import Row, Tokeniser, grouped
from ferce.training.language.speaker import Speaker
from ferce.training.mini import bridge, code, design, jitter, lines, voice
from ferce.training.mini.album import Album
from ferce.training.mini.course import Course, Pace

Module: Any = torch.nn.Module


class Whole(Module):  # type: ignore[misc]
    """A network and the read-out behind its queries, which keeps the code from drifting."""

    def __init__(self, network: Any, link: bridge.Bridge) -> None:
        super().__init__()
        self.network = network
        self.facts = link.facts


@dataclass(frozen=True, eq=False)
class Lesson:
    """Rows of a step, their pictures (N, S, S, 3) uint8, which are to be mirrored, and facts."""

    rows: list[Row]
    pixels: Any
    mirrored: Any
    facts: Any


def lessons(
    albums: Sequence[Album], tokeniser: Tokeniser, pace: Pace, first: int = 0
) -> Iterator[Lesson]:
    """Steps from number `first` on, without end; the first album gives three rounds of four."""
    step = number = 0
    while True:
        album = albums[0] if len(albums) == 1 or number % 4 else albums[1]
        made = lines.spoken(album, album.where("train"), number, pace.seed + 1)
        steps = grouped([len(t.answer) for t in made.turns], pace.batch, (pace.seed, number))
        for place, members in enumerate(steps):
            if step + place >= first:
                yield _lesson(album, made, members, tokeniser)
        step, number = step + len(steps), number + 1


def _lesson(album: Album, made: lines.Round, members: Any, tokeniser: Tokeniser) -> Lesson:
    turns = [made.turns[i] for i in members]
    faces = [int(made.faces[turn.number // 2]) for turn in turns]
    flags = torch.tensor([turn.number % 2 == 1 for turn in turns])
    facts = code.mirrored(code.facts([album.samples[i] for i in faces]), flags)
    pixels = torch.from_numpy(np.stack([album.pixels[i] for i in faces]))
    return Lesson([tokeniser.row(turn) for turn in turns], pixels, flags, facts)


def teach(
    backend: Any,
    link: bridge.Bridge,
    albums: Mapping[str, Album],
    pace: Pace,
    path: Path,
    report: progress.Report = progress.silent,
) -> None:
    """Teach a `blip2.Blip2` in place, from `path` on where that is a checkpoint.

    The learning rates should be a third of those of the stages before.
    """
    torch.manual_seed(pace.seed)
    network = backend.network
    tokeniser, speaker = Tokeniser(backend), Speaker(backend)
    network.requires_grad_(True)
    whole = Whole(network, link)
    whole.to(backend.device)
    course = Course(whole, pace, path)
    if course.resume():
        report(f"whole: going on from step {course.step}")
    pair = (albums["renders"], albums["faces"])
    sums, begun = np.zeros(3), time.monotonic()
    network.train()
    stream = lessons(pair, tokeniser, pace, course.step)
    while not course.done:
        said, wrong = loss(whole, speaker, tokeniser, next(stream), pace.seed + course.step)
        (said + wrong).backward()
        course.advance()
        sums += (said.item(), wrong.item(), 1)
        if course.due:
            course.save()
            speed = sums[2] / (time.monotonic() - begun)
            with course.ema.used():
                network.eval()
                found = voice.judged(backend, albums)
                network.train()
            report(
                f"whole step {course.step}: says {sums[0] / sums[2]:.4f}, facts "
                f"{sums[1] / sums[2]:.4f}, {speed:.2f} steps/s; {found}"
            )
            sums, begun = np.zeros(3), time.monotonic()
    course.finish()
    network.eval()


def loss(
    whole: Whole, speaker: Speaker, tokeniser: Tokeniser, lesson: Lesson, seed: int
) -> tuple[Any, Any]:
    """Negative log-likelihood of what is said, and cross-entropy of the facts behind the queries.

    The pictures are varied, but mirrored only as the text says.
    """
    device = next(whole.parameters()).device
    dice = torch.Generator(str(device)).manual_seed(seed)
    images, flags = jitter.varied(lesson.pixels.to(device), design.SIDE, dice)
    wrong_way = flags != lesson.mirrored.to(device)
    images = torch.where(wrong_way[:, None, None, None], images.flip(3), images)
    batch = tokeniser.batch(lesson.rows, device)
    seen = speaker.see({"pixel_values": images})
    speaker.projected = True
    said = speaker({**batch, "features": seen}).mean()
    speaker.projected = False
    scores, facts = whole.facts(seen.flatten(1)), lesson.facts.to(device)
    told = ~facts.isnan()
    wrong = torch.nn.functional.binary_cross_entropy_with_logits(scores[told], facts[told])
    return said, wrong
