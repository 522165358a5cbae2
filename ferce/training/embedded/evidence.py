"""Annotated faces as evidence for the linear readers: found, aligned, seen by the models."""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS, NEUTRAL, OUTCOMES
from ferce.core.types import Face
from ferce.data import load_data
from ferce.data.align import Aligned, Settings, align
from ferce.data.record import Sample
from ferce.models.fusion import Matrix
from ferce.training.classifier.batches import unit_targets
from ferce.training.embedded import readers
from ferce.training.embedded.readers import EMOTIONS, Table
from ferce.training.progress import TrainingError

BATCH = 64
NEUTRAL_PLACE = OUTCOMES.index(NEUTRAL)
# Weight of a face in a reader beside an annotated one. "worn" are degraded copies of the faces.
WEIGHTS: Mapping[str, float] = {
    "annotated": 1.0,
    "posed": 1.0,
    "captioned": 2.0,
    "worn": 0.5,
    "worn posed": 0.3,
    "worn captioned": 0.5,
}
BOTH, ALONE = 0.1, 0.05  # of a rendered face with two emotions, and with one or none
POSED = 0.3  # of a posed face in the fit of an action unit
UNIT_RENDERED = 0.005  # of a rendered face in the fit of an action unit
FOLDS = 5
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


@dataclass(frozen=True, eq=False)
class Data:
    """Faces to fit on, with standardised evidence, and the fold of each person."""

    names: tuple[str, ...]
    mean: Matrix
    scale: Matrix
    tables: Mapping[str, Table]  # those of `WEIGHTS`, and rendered
    folds: Mapping[str, NDArray[np.intp]]

    def joined(self, without: int | None = None) -> Table:
        """All faces, but those of one fold."""
        kept = [table.rows(self.folds[name] != without) for name, table in self.tables.items()]
        return readers.joined(*kept)

    def only(self, *kinds: str) -> "Data":
        """The same with the evidence whose names begin so."""
        columns = np.array([name.startswith(kinds) for name in self.names])
        return replace(self, tables={name: t.only(columns) for name, t in self.tables.items()})

    @property
    def real(self) -> Table:
        """The annotated faces."""
        return self.tables["annotated"]

    @property
    def rendered(self) -> Table:
        """The rendered faces, of little weight as for action units."""
        found = self.tables["rendered"]
        return replace(found, weight=np.full(len(found.x), UNIT_RENDERED))

    @property
    def posed(self) -> Table:
        """The posed faces, weighed as for action units."""
        found = self.tables["posed"]
        return replace(found, weight=np.full(len(found.x), POSED))

    @property
    def resting(self) -> Matrix:
        """Evidence of annotated and posed faces that are neutral."""
        found = [self.tables[name] for name in ("annotated", "posed")]
        return np.concatenate([t.x[t.shares[:, NEUTRAL_PLACE] == 1] for t in found])


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


def tabled(names: tuple[str, ...], seen: Mapping[str, Seen]) -> Data:
    """Standardise the evidence; degraded copies of faces take no part in its mean and scale."""
    both = np.concatenate([one.x for name, one in seen.items() if not name.startswith("worn")])
    mean, scale = np.nanmean(both, 0), np.nanstd(both, 0) + 1e-6
    tables = {
        name: table(one, np.nan_to_num((one.x - mean) / scale), WEIGHTS.get(name, ALONE), OUTCOMES)
        for name, one in seen.items()
    }
    rendered = tables["rendered"]
    two = rendered.shares[:, : len(COMPOUNDS)].sum(1) > 0
    tables["rendered"] = replace(rendered, weight=np.where(two, BOTH, ALONE))
    return Data(names, mean, scale, tables, {name: _folds(one) for name, one in seen.items()})


def shared(seen: Seen, others: Seen) -> Seen:
    """The faces of people that the others show too."""
    people = {sample.subject or sample.name for sample in others.samples}
    which = [i for i, s in enumerate(seen.samples) if (s.subject or s.name) in people]
    return replace(seen, samples=tuple(seen.samples[i] for i in which), x=seen.x[which])


def _folds(seen: Seen) -> NDArray[np.intp]:
    """(N,) 0 .. FOLDS - 1 of the person, the same in every table."""
    names = [sample.subject or sample.name for sample in seen.samples]
    return np.array([zlib.crc32(name.encode()) % FOLDS for name in names], np.intp)


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
