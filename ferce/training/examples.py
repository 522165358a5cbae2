"""The faces a run learns from and is chosen on, and which come when; `test` is not opened."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.data import align, load_data
from ferce.data.record import DataSet, Problem, Row, Sample
from ferce.training.classifier.plan import Plan
from ferce.training.options import Json, Settings
from ferce.training.progress import TrainingError

ALIGNED_KINDS = ("demo", "rendered")  # their pictures are crops as the detector cuts them

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Examples:
    """Aligned faces of the training and validation split.

    `problems` counts rows that could not be used, by reason; `fingerprint` changes with any face,
    label or split of the two.
    """

    spec: str
    train: tuple[align.Aligned, ...]
    val: tuple[align.Aligned, ...]
    problems: Counter[str]
    fingerprint: str

    def summary(self) -> Json:
        """Describe the data, as `metrics.json` has it."""
        return {
            "spec": self.spec,
            "fingerprint": self.fingerprint,
            "train": _counts(self.train),
            "val": _counts(self.val),
            "unusable": dict(self.problems),
        }

    def people(self) -> NDArray[np.str_]:
        """(N,) who each validation face shows; one of an unknown person counts as one person."""
        return np.array([item.sample.subject or item.sample.name for item in self.val])


def read(
    spec: str, plan: Settings, data: DataSet | None = None, wanted: Sequence[str] = COMPOUNDS
) -> Examples:
    """Read and align what is not the test split.

    Args:
        spec: for `ferce.data.load_data`.
        plan: gives alignment, cache and the share held out where there is no val split.
        data: in place of `load_data(spec)`.
        wanted: labels of which either split must show at least one.

    Raises:
        TrainingError: there is nothing to learn from, or nothing to be chosen on.
    """
    problems: Counter[str] = Counter()
    kept = _aligned(_not_test(data or load_data(spec)), spec, plan, problems)
    train, val = _split(kept, plan.val_share)
    for name, items in (("train", train), ("val", val)):
        if not any(item.sample.label in wanted for item in items):
            reason = f", the first as it {next(iter(problems))}" if problems else ""
            raise TrainingError(
                f"{spec} must have {name} faces with labels such as {wanted[0]!r}; found none in "
                f"{len(items)} faces, with {sum(problems.values())} rows unusable{reason}."
            )
    return Examples(spec, tuple(train), tuple(val), problems, _fingerprint(train, val))


def _aligned(
    rows: Iterable[Row], spec: str, plan: Settings, problems: Counter[str]
) -> list[align.Aligned]:
    """Align rows that teach something; counts in `problems` why others cannot be used."""
    kept: list[align.Aligned] = []
    settings = align.Settings(detect=_detects(spec, plan))
    for row in align.align(rows, _cache(plan), settings, plan.jobs):
        if isinstance(row, Problem):
            problems[row.reason] += 1
        elif any(v is not None for v in (row.sample.label, row.sample.units, row.sample.shares)):
            kept.append(row)
    return kept


def joined(read: Examples, plan: Settings, data: DataSet | None = None) -> Examples:
    """Add the training faces of `plan.more`, each as often as the plan says.

    Args:
        read: of the plan's own data.
        plan: names the faces that join.
        data: in place of `load_data(plan.more)`.
    """
    if not plan.more:
        return read
    rows = (row for row in (data or load_data(plan.more)).rows() if row.split in (None, "train"))
    problems = Counter(read.problems)
    kept = _aligned(rows, plan.more, plan, problems)
    train = (*read.train, *kept * plan.more_times)
    fingerprint = _fingerprint(train, read.val)
    return Examples(f"{read.spec} + {plan.more}", train, read.val, problems, fingerprint)


def test(plan: Settings, data: DataSet) -> list[align.Aligned]:
    """Align the compounds of the test split, which no training opens."""
    rows = (row for row in data.rows() if row.split == "test")
    kept = _aligned(rows, plan.data, plan, Counter())
    return [item for item in kept if item.sample.label in COMPOUNDS]


def labels_of(examples: Examples, plan: Plan) -> tuple[str, ...]:
    """List the network's outputs: the 14 compounds, and what else the training faces show.

    Neutral joins if any face has it, the single emotions if all six occur.
    """
    seen = {item.sample.label for item in examples.train}
    more: tuple[str, ...] = ()
    if plan.labels == "auto":
        more += (NEUTRAL,) if NEUTRAL in seen else ()
        more += BASICS if seen.issuperset(BASICS) else ()
    return COMPOUNDS + more


def basic_labels(examples: Examples) -> tuple[str, ...]:
    """List the outputs of the first of two stages: the basic emotions, and neutral if it occurs."""
    seen = {item.sample.label for item in examples.train}
    return BASICS + ((NEUTRAL,) if NEUTRAL in seen else ())


def targets(items: Sequence[align.Aligned], labels: Sequence[str]) -> NDArray[np.float32]:
    """Compute the (N, K) shares of all items."""
    return np.stack([item.sample.over(labels) for item in items]).astype(np.float32)


def few(items: Sequence[align.Aligned], shots: int, seed: int) -> tuple[align.Aligned, ...]:
    """Draw at most `shots` items a label by chance; 0 keeps all."""
    if not shots:
        return tuple(items)
    order = np.random.default_rng(seed).permutation(len(items))
    taken: Counter[str | None] = Counter()
    kept = []
    for i in order:
        label = items[i].sample.label
        taken[label] += 1
        if taken[label] <= shots:
            kept.append(int(i))
    return tuple(items[i] for i in sorted(kept))


def _counts(items: Sequence[align.Aligned]) -> dict[str, int]:
    return dict(sorted(Counter(item.sample.label or "unlabelled" for item in items).items()))


def _not_test(data: DataSet) -> Iterator[Row]:
    return (row for row in data.rows() if row.split != "test")


def _cache(plan: Settings) -> Path:
    if plan.cache:
        return Path(plan.cache).expanduser()
    return Path.home() / ".cache" / "ferce" / "aligned"


def _detects(spec: str, plan: Settings) -> bool:
    if plan.detect == "auto":
        return spec.split(":")[0].split("?")[0] not in ALIGNED_KINDS
    return plan.detect == "yes"


def _split(
    items: Sequence[align.Aligned], val_share: float
) -> tuple[list[align.Aligned], list[align.Aligned]]:
    """Split as the source does; people are held out where it has no val split."""
    if any(item.sample.split == "val" for item in items):
        return (
            [item for item in items if item.sample.split != "val"],
            [item for item in items if item.sample.split == "val"],
        )
    held = [_chance(item.sample) < val_share for item in items]
    train = [item for item, out in zip(items, held, strict=True) if not out]
    return train, [item for item, out in zip(items, held, strict=True) if out]


def _chance(sample: Sample) -> float:
    """Hash the person, else the name, to 0..1; the same on every run and machine."""
    key = hashlib.sha256(os.fsencode(sample.subject or sample.name)).digest()
    return int.from_bytes(key[:8], "big") / 2**64


def _annotation(sample: Sample) -> str:
    shares = [] if sample.shares is None else [str(sorted(sample.shares.items()))]
    coded = [] if sample.coded is None else [str(sorted(sample.coded))]
    return " ".join([str(sample.label), str(sample.units), *shares, *coded])


def _fingerprint(*splits: Sequence[align.Aligned]) -> str:
    """16 hex digits of pictures (the cache names them by content), labels, units and split."""
    digest = hashlib.sha256()
    for i, items in enumerate(splits):
        for line in sorted(f"{i} {x.path.stem} {_annotation(x.sample)}" for x in items):
            digest.update(line.encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Order:
    """The order of N faces.

    Attributes:
        count: N.
        step: faces in one optimiser step, of all processes together.
        seed: of the order.
        weights: (N,) chances of being drawn, with replacement; None for each face once.
    """

    count: int
    step: int
    seed: int = 0
    weights: NDArray[np.float64] | None = None

    def steps(self, epoch: int) -> list[Indices]:
        """List the faces of each optimiser step of an epoch.

        Steps differ by at most one face, so that no step is a small remainder.
        """
        order = draw(self.count, self.weights, (self.seed, epoch))
        return list(np.array_split(order, self.length))

    @property
    def length(self) -> int:
        """Optimiser steps in one epoch."""
        return -(-self.count // self.step)


def share(step: Indices, rank: int, world: int, parts: int) -> list[Indices]:
    """Share out a step: the passes of one process, cut into `parts`.

    Every process makes the same number of passes, else those with more would wait for ever; where
    the smallest share has fewer faces than `parts`, there are fewer passes.

    Raises:
        TrainingError: the step has fewer faces than there are processes.
    """
    if len(step) < world:
        raise TrainingError(f"A step of {len(step)} faces cannot be shared by {world} processes.")
    return list(np.array_split(step[rank::world], min(parts, len(step) // world)))


def chances(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute (N,) chances that draw every class equally often.

    Args:
        shares: (N, K) of each face's label; a row of zeros is an unlabelled face.
    """
    classes = np.where(shares.sum(1) > 0, shares.argmax(1), -1)
    return even_weights(classes, shares.shape[1])


def draw(count: int, weights: NDArray[np.float64] | None, seed: tuple[int, ...]) -> Indices:
    """Draw the order of N faces: each once, or N draws by weights with replacement."""
    rng = np.random.default_rng(seed)
    if weights is None:
        return rng.permutation(count)
    return rng.choice(count, count, p=weights / weights.sum())


def even_weights(classes: Indices, count: int) -> NDArray[np.float64]:
    """Compute (N,) chances that draw every class equally often.

    Args:
        classes: (N,) class numbers; -1 for unlabelled faces, which keep their share of the draws.
        count: K.
    """
    sizes = np.bincount(classes[classes >= 0], minlength=count)
    present = int((sizes > 0).sum())
    labelled = int(sizes.sum())
    weights = np.ones(len(classes))
    known = classes >= 0
    weights[known] = labelled / present / sizes[classes[known]] if present else 1.0
    return weights
