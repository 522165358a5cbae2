"""Plan the pictures of a data set: one recipe an index, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.data.record import SPLITS
from ferce.data.rendering.degrade import DEGRADATIONS
from ferce.data.rendering.express import Activation, sample_label, sample_random
from ferce.data.rendering.fit import hashed_split
from ferce.data.rendering.occluders import OCCLUDERS
from ferce.data.rendering.person import Pose
from ferce.data.rendering.raster import Light, random_light

PHOTO, CLAY = "photo", "clay"
LABELS: dict[str, tuple[str, ...]] = {
    "compound": COMPOUNDS,
    "basic": BASICS,
    "neutral": (NEUTRAL,),
    "random": (),
}
KINDS = tuple(LABELS)


@dataclass(frozen=True)
class Subject:
    """A person that can be rendered: a fitted portrait, or a painted head."""

    name: str
    style: str
    split: str


@dataclass(frozen=True)
class Settings:
    """Settings of a data set; shares are of all pictures."""

    count: int = 1000
    seed: int = 0
    size: int = 224  # pixels a side
    kinds: tuple[float, ...] = (0.5, 0.15, 0.1, 0.25)  # shares, in the order of KINDS
    splits: tuple[float, ...] = (0.75, 0.1, 0.15)  # shares of train, val, test
    clay: float = 0.3
    occluded: float = 0.12
    degraded: float = 0.35
    yaw: float = 30.0  # largest, degrees; drawn from a normal of 0.4 of it
    strength: tuple[float, float] = (0.4, 1.0)  # intensities of a label's units
    frame: tuple[float, float] = (1.3, 1.5)  # side of the picture, in sides of the face mesh
    roll: float = 4.0  # degrees, after the eyes were levelled
    relit: float = 0.6

    def __post_init__(self) -> None:
        if len(self.kinds) != len(KINDS) or not np.isclose(sum(self.kinds), 1):
            raise ValueError(
                f"kinds: expected {len(KINDS)} shares that sum to 1, came {self.kinds}"
            )
        if not 0 <= self.yaw <= 45:
            raise ValueError(
                f"yaw: expected 0..45 degrees, came {self.yaw}; the far cheek is unseen"
            )


@dataclass(frozen=True)
class Recipe:
    """All that one picture is made from."""

    index: int
    seed: tuple[int, int]  # of everything random that is left: occluder, degradation, colours
    subject: Subject
    kind: str
    expression: str | None  # the label that was acted; None for random action units
    activations: tuple[Activation, ...]
    pose: Pose
    light: Light | None
    folds: float  # strength of the folds of skin, about age
    occluder: str | None
    degradations: tuple[tuple[str, float], ...]
    frame: float
    shift: tuple[float, float] = field(default=(0.0, 0.0))  # of the frame, share of its side

    @property
    def label(self) -> str | None:
        """Compound class, or None."""
        return self.expression if self.kind == "compound" else None


def clay_subjects(count: int) -> list[Subject]:
    """List painted people clay_0000 .., split by a hash of the name."""
    names = [f"clay_{i:04d}" for i in range(count)]
    return [Subject(n, CLAY, hashed_split(n)) for n in names]


def plan(settings: Settings, subjects: Sequence[Subject]) -> list[Recipe]:
    """Plan all recipes of a data set; a longer plan begins with those of a shorter one.

    The labels of a kind come in turn within each split, so that each is there equally often.
    """
    people = _grouped(subjects)
    if not people:
        raise ValueError("expected people to render, came none; fit portraits or allow clay heads")
    turns: Counter[tuple[str, str]] = Counter()
    out = []
    for index in range(settings.count):
        rng = np.random.default_rng([settings.seed, index])
        subject = _choose(settings, people, rng)
        kind = str(rng.choice(KINDS, p=settings.kinds))
        labels = LABELS[kind]
        expression = labels[turns[subject.split, kind] % len(labels)] if labels else None
        turns[subject.split, kind] += 1
        out.append(_recipe(settings, index, subject, kind, expression, rng))
    return out


PeopleByGroup = dict[tuple[str, str], list[Subject]]


def _grouped(subjects: Sequence[Subject]) -> PeopleByGroup:
    """Group people by (split, style)."""
    out: PeopleByGroup = {}
    for subject in subjects:
        out.setdefault((subject.split, subject.style), []).append(subject)
    return out


def _choose(settings: Settings, people: PeopleByGroup, rng: np.random.Generator) -> Subject:
    """Choose a split and a style by their shares, then any person; empty groups are skipped."""
    there = [s for s in SPLITS if any(key[0] == s for key in people)]
    shares = np.array([settings.splits[SPLITS.index(s)] for s in there]) + 1e-9
    split = str(rng.choice(there, p=shares / shares.sum()))
    style = CLAY if rng.random() < settings.clay else PHOTO
    group = people.get((split, style)) or people[split, PHOTO if style == CLAY else CLAY]
    return group[int(rng.integers(len(group)))]


def _recipe(
    settings: Settings,
    index: int,
    subject: Subject,
    kind: str,
    expression: str | None,
    rng: np.random.Generator,
) -> Recipe:
    return Recipe(
        index=index,
        seed=(settings.seed, index),
        subject=subject,
        kind=kind,
        expression=expression,
        activations=_act(expression, settings.strength, rng),
        pose=_pose(settings, rng),
        light=_lighting(settings.relit, rng),
        folds=float(rng.uniform(0.35, 1.1)),
        occluder=str(rng.choice(list(OCCLUDERS))) if rng.random() < settings.occluded else None,
        degradations=_degradations(settings.degraded, rng),
        frame=float(rng.uniform(*settings.frame)),
        shift=(float(rng.normal(0, 0.012)), float(rng.normal(0, 0.012))),
    )


def _lighting(share: float, rng: np.random.Generator) -> Light | None:
    return random_light(rng, float(rng.uniform(0.2, 1))) if rng.random() < share else None


def _act(
    expression: str | None, strength: tuple[float, float], rng: np.random.Generator
) -> tuple[Activation, ...]:
    if expression is None:
        return tuple(sample_random(rng))
    return tuple(sample_label(expression, rng, strength)) if expression != NEUTRAL else ()


def _pose(settings: Settings, rng: np.random.Generator) -> Pose:
    yaw = float(np.clip(rng.normal(0, 0.4 * settings.yaw), -settings.yaw, settings.yaw))
    pitch = float(np.clip(rng.normal(0, 4.5), -12, 12))
    roll = float(np.clip(rng.normal(0, settings.roll / 2), -settings.roll, settings.roll))
    gaze = np.clip(rng.normal(0, 0.25, 2), -0.7, 0.7)
    return Pose(yaw, pitch, roll, (float(gaze[0]), float(gaze[1])))


def _degradations(share: float, rng: np.random.Generator) -> tuple[tuple[str, float], ...]:
    """Choose none, one, or sometimes two degradations."""
    if rng.random() >= share:
        return ()
    names = rng.choice(list(DEGRADATIONS), size=2 if rng.random() < 0.25 else 1, replace=False)
    return tuple((str(n), round(float(rng.uniform(0.2, 1)), 2)) for n in names)
