"""Teach the tower, with a checkpoint every few minutes; ends well whenever it is cut off."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ferce.evaluation import cues
from ferce.training import progress
from ferce.training.mini import design, jitter, tower
from ferce.training.mini.album import Album
from ferce.training.mini.course import Course, Pace
from ferce.training.mini.teacher import Teacher

CHECKED = 1200  # faces that are looked at for the limits of each cue
SETTLING = 384  # faces that give the teacher's channels their spread, and the first patches


def teach(
    albums: Mapping[str, Album],
    teacher: Teacher | None,
    pace: Pace,
    path: Path,
    device: str = "cpu",
    report: progress.Report = progress.silent,
) -> tower.Sight:
    """The tower with its averaged weights, from `path` on where that is a checkpoint.

    Args:
        albums: "renders", "faces" (real, with units of a teacher) and "annotated".
        teacher: to copy.
        pace: how long.
        path: the checkpoint.
        device: of the training.
        report: takes a line every few minutes.
    """
    torch.manual_seed(pace.seed)
    pool = tower.faces(albums["renders"], albums["faces"], 0.25)
    some = pool.pixels(pool.draw(SETTLING, (pace.seed, 0))).to(device)
    some = jitter.plain(some, design.SIDE)
    if teacher is not None:
        teacher.to(device)
        teacher.settle(some)
    net = tower.Sight(teacher.width if teacher else 0)
    net.to(device)
    design.whiten(net.tower, some)
    course = Course(net, pace, path)
    if course.resume():
        report(f"tower: going on from step {course.step}")
    sums, begun = np.zeros(3), time.monotonic()
    while not course.done:
        told, copied = tower.loss(net, teacher, batch_of(pool, pace, course.step, device), 0.5, 1.0)
        (told + copied).backward()
        course.advance()
        sums += (told.item(), copied.item(), 1)
        if course.due:
            course.save()
            speed = sums[2] * pace.batch / (time.monotonic() - begun)
            report(
                f"tower step {course.step}: units {sums[0] / sums[2]:.4f}, teacher "
                f"{sums[1] / sums[2]:.4f}, {speed:.0f} faces/s; {judged(course, albums, device)}"
            )
            sums, begun = np.zeros(3), time.monotonic()
    course.finish()
    return net


def batch_of(pool: tower.Faces, pace: Pace, step: int, device: str) -> tuple[Any, Any]:
    """Images (N, 3, S, S) and wanted (N, 2, A) of a step; the same whenever it is made."""
    some = pool.draw(pace.batch, (pace.seed + 1, step))
    dice = torch.Generator(device).manual_seed(pace.seed * 1_000_003 + step)
    images, flags = jitter.varied(pool.pixels(some).to(device), design.SIDE, dice)
    return images, tower.mirrored(pool.wanted[some].to(device), flags)


def judged(course: Course, albums: Mapping[str, Album], device: str, split: str = "val") -> str:
    """The read-out of the averaged weights on faces held out, in one line."""
    with course.ema.used():
        found = scores(course.net, albums, device, split)
    return "; ".join(f"{name} {score.told()}" for name, score in found.items())


def scores(
    net: tower.Sight, albums: Mapping[str, Album], device: str, split: str = "val"
) -> dict[str, cues.Score]:
    """Read-out on the renders and the annotated photos of a split.

    The limits of yes come from training renders.
    """
    renders = albums["renders"]
    known = np.random.default_rng(0).permutation(renders.where("train"))[:CHECKED]
    seen = cues.of_units(tower.read(net, renders, known, device))
    at = cues.limits(seen, cues.truths(tower.told(renders, known)))
    made = {}
    for name in ("renders", "annotated"):
        numbers = albums[name].where(split)
        read = cues.of_units(tower.read(net, albums[name], numbers, device))
        wanted = cues.truths(tower.told(albums[name], numbers))
        made[name] = cues.measure(read, wanted, at)
    return made
