"""Annotated faces as evidence for the linear readers: found, aligned, seen by the models."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferce.core.types import Face
from ferce.data import load_data
from ferce.data.align import Aligned, Settings, align
from ferce.data.record import Sample
from ferce.models.fusion import Matrix
from ferce.training.classifier.batches import unit_targets
from ferce.training.embedded.readers import EMOTIONS, Table
from ferce.training.progress import TrainingError

BATCH = 64
See = Callable[[Sequence[Face]], Matrix]


@dataclass(frozen=True, eq=False)
class Seen:
    """N samples and their evidence (N, F), not standardised; `lost` faces were not found."""

    samples: tuple[Sample, ...]
    x: Matrix
    lost: int

    def of(self, split: str) -> "Seen":
        """Those of one split."""
        which = [i for i, sample in enumerate(self.samples) if sample.split == split]
        return Seen(tuple(self.samples[i] for i in which), self.x[which], self.lost)


def gather(spec: str, see: See, cache: Path, splits: Sequence[str]) -> Seen:
    """Find the face in every picture of the splits and let the models see it.

    Args:
        spec: of the data set.
        see: from faces to evidence (N, F).
        cache: folder of aligned faces.
        splits: to read.

    Raises:
        TrainingError: no face was found at all.
    """
    rows = [row for row in load_data(spec).rows() if row.split in splits]
    samples: list[Sample] = []
    found: list[Matrix] = []
    for batch in _batches(align(rows, cache, Settings(detect=True))):
        samples += [item.sample for item in batch]
        found.append(see([item.face() for item in batch]))
    if not samples:
        raise TrainingError(f"{spec} has no face in {', '.join(splits)}; {len(rows)} pictures.")
    return Seen(tuple(samples), np.concatenate(found), len(rows) - len(samples))


def half(subject: str) -> int:
    """Tell the half of people, 0 or 1, that a person is in; the same on every run and machine."""
    return hashlib.sha256(subject.encode()).digest()[0] % 2


def table(seen: Seen, x: Matrix, weight: float = 1.0, names: Sequence[str] = EMOTIONS) -> Table:
    """What is known of the faces, with standardised evidence `x`."""
    shares = np.stack([sample.over(names) for sample in seen.samples])
    units = np.stack([unit_targets(s.units, frozenset(), s.coded) for s in seen.samples])
    return Table(x, shares, units.astype(float), np.full(len(x), weight))


def _batches(rows: Iterator[object]) -> Iterator[list[Aligned]]:
    batch: list[Aligned] = []
    for row in rows:
        if isinstance(row, Aligned):
            batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
