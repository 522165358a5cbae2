"""Count what a data set holds and list what is wrong with it, in one pass over its pictures."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce import images
from ferce.core.types import Pixels
from ferce.data.align import detector_here, ordered_map, packaged, release
from ferce.data.layout import units_text as coded
from ferce.data.record import DataError, Problem, Row, Sample, UnitLabel, pixels

SIDE = 16  # the hash has 16 x 16 bits; with 8 x 8, faces of different people collide
# Bits of 256. Of 2,557 aligned faces, the same picture at 100 px and JPEG quality 70 is at most 10
# away (99 % within 6); of 3.3 million pairs of different pictures 10 are within 20, 4 within 16.
NEAR = 16
_BLOCK = 64  # rows compared at a time, which bounds memory to 64 x N words


def fingerprint(pixels: Pixels) -> bytes:
    """Compute the 256-bit perceptual hash of Zauner (2010) as 32 bytes, by `imagehash.phash`.

    Raises:
        DataError: the library is not installed.
    """
    from PIL import Image

    try:
        import imagehash
    except ImportError as error:
        raise DataError(
            "Comparing pictures needs the imagehash library: pip install -r "
            "train/requirements.txt, or leave it out with --no-duplicates."
        ) from error
    bits = imagehash.phash(Image.fromarray(pixels), hash_size=SIDE).hash
    return np.packbits(bits.ravel()).tobytes()


def near_pairs(hashes: Sequence[bytes], within: int = NEAR) -> Iterator[tuple[int, int, int]]:
    """Yield (i, j, distance in bits), i < j, of all pairs at most `within` bits apart.

    All pairs are looked at, a word of 64 bits at a time: 100,000 pictures take about half a minute.
    """
    if not hashes:
        return
    words = np.frombuffer(b"".join(hashes), np.uint64).reshape(len(hashes), -1)
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        first = np.bitwise_count(block[:, None, 0] ^ words[None, start:, 0])
        rows, columns = np.nonzero(first <= within)
        keep = columns > rows
        yield from _confirmed(words, rows[keep] + start, columns[keep] + start, within)


def _confirmed(
    words: NDArray[np.uint64], rows: NDArray[np.intp], columns: NDArray[np.intp], within: int
) -> Iterator[tuple[int, int, int]]:
    distance = np.bitwise_count(words[rows] ^ words[columns]).sum(1, dtype=np.int64)
    near = distance <= within
    for i, j, d in zip(rows[near], columns[near], distance[near], strict=True):
        yield int(i), int(j), int(d)


NO_SPLIT, NO_LABEL = "all", "not labelled"


@dataclass(frozen=True)
class Options:
    """Checks to run beyond counting; `faces` costs a detection for each picture."""

    duplicates: bool = True
    faces: bool = False
    jobs: int = 1
    within: int = NEAR


@dataclass(frozen=True)
class Measured:
    """One picture: its size, perceptual hash and number of faces (None: not detected)."""

    size: tuple[int, int]  # width, height
    hash: bytes = b""
    faces: int | None = None


@dataclass(frozen=True)
class Duplicate:
    """Two pictures that look the same, `distance` bits of 256 apart."""

    first: str
    second: str
    splits: tuple[str, str]
    labels: tuple[str, str]
    distance: int

    @property
    def leaks(self) -> bool:
        """Whether the two lie in different splits."""
        return self.splits[0] != self.splits[1]

    @property
    def disagrees(self) -> bool:
        """Whether the two have different labels."""
        return self.labels[0] != self.labels[1]


@dataclass
class Audit:
    """Counts of one pass, listed by split.

    Attributes:
        labels: split -> label -> pictures.
        units: split -> code such as "12" or "L10" -> pictures.
        uncoded: split -> pictures whose action units were not coded (`null`).
        shorter: shorter side in pixels -> pictures.
        problems: rows that cannot be used.
        faceless: pictures in which no face was found; None when nobody looked.
        duplicates: pairs that look the same; None when nobody looked.
        shared_subjects: subject -> its splits, where there are several.
    """

    spec: str
    labels: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    units: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    uncoded: Counter[str] = field(default_factory=Counter)
    shorter: Counter[int] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    faceless: list[str] | None = None
    duplicates: list[Duplicate] | None = None
    shared_subjects: dict[str, list[str]] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        """Splits that occur, in the usual order."""
        order = ("train", "val", "test", NO_SPLIT)
        return [split for split in order if split in self.labels]

    @property
    def total(self) -> int:
        """Number of usable pictures."""
        return sum(sum(counts.values()) for counts in self.labels.values())

    def notes(self) -> list[str]:
        """List remarks that are no fault: labels that a split lacks."""
        everywhere = {label for counts in self.labels.values() for label in counts}
        lacking = {s: sorted(everywhere - {NO_LABEL} - set(self.labels[s])) for s in self.splits}
        return [
            f"{s} has no picture of {', '.join(names)}." for s, names in lacking.items() if names
        ]

    def findings(self) -> list[str]:
        """List what should be looked at, a sentence each; empty when all is well."""
        sentences = []
        if self.problems:
            sentences.append(f"{len(self.problems)} pictures are missing or cannot be read.")
        if self.faceless:
            sentences.append(f"{len(self.faceless)} pictures show no face that the detector finds.")
        leaks = [d for d in self.duplicates or () if d.leaks]
        if leaks:
            sentences.append(f"{len(leaks)} pairs of pictures in different splits look the same.")
        clashes = [d for d in self.duplicates or () if d.disagrees]
        if clashes:
            sentences.append(f"{len(clashes)} pairs of pictures look the same but differ in label.")
        if self.shared_subjects:
            sentences.append(f"{len(self.shared_subjects)} people are in more than one split.")
        return sentences


def audit(spec: str, rows: Iterable[Row], options: Options | None = None) -> Audit:
    """Read every picture once and count.

    Memory grows by about 200 bytes a picture, for the hashes and names that duplicates need.
    """
    options = options or Options()
    result = Audit(spec)
    if options.faces:
        result.faceless = []
    homes: dict[str, set[str]] = defaultdict(set)
    hashes: list[bytes] = []
    places: list[tuple[str, str, str]] = []  # name, split, label
    for row, measured in _measured(rows, options):
        if isinstance(measured, Problem) or isinstance(row, Problem):
            result.problems.append(_problem(row, measured))
            continue
        place = _count(result, row, measured)
        if row.subject is not None:
            homes[row.subject].add(place[1])
        if options.duplicates:
            hashes.append(measured.hash)
            places.append(place)
    result.shared_subjects = {s: sorted(h) for s, h in homes.items() if len(h) > 1}
    if options.duplicates:
        result.duplicates = list(_duplicates(hashes, places, options.within))
    return result


def _measured(rows: Iterable[Row], options: Options) -> Iterator[tuple[Row, Measured | Problem]]:
    try:
        yield from ordered_map(partial(measure, options), rows, options.jobs)
    finally:
        release()


def _problem(row: Row, measured: Measured | Problem) -> Problem:
    problem = measured if isinstance(measured, Problem) else row
    assert isinstance(problem, Problem), problem
    return problem


def measure(options: Options, row: Row) -> Measured | Problem:
    """Decode and measure one picture, or say why it cannot be."""
    if isinstance(row, Problem):
        return row
    try:
        photo = pixels(row)
    except (images.ImageError, OSError) as error:
        return Problem(row.name, f"cannot be read: {error}", row.split)
    return Measured(
        (photo.shape[1], photo.shape[0]),
        fingerprint(photo) if options.duplicates else b"",
        len(detector_here(packaged).detect(photo)) if options.faces else None,
    )


def _count(result: Audit, sample: Sample, measured: Measured) -> tuple[str, str, str]:
    """Add one picture to the counts; return its (name, split, label)."""
    split, label = sample.split or NO_SPLIT, sample.label or NO_LABEL
    result.labels[split][label] += 1
    result.shorter[min(measured.size)] += 1
    if sample.units is None:
        result.uncoded[split] += 1
    else:
        result.units[split].update(_codes(sample.units))
    if measured.faces == 0 and result.faceless is not None:
        result.faceless.append(sample.name)
    return sample.name, split, label


def _codes(units: Iterable[UnitLabel]) -> list[str]:
    return [coded([unit]) for unit in units if unit.present]


def _duplicates(
    hashes: list[bytes], places: list[tuple[str, str, str]], within: int
) -> Iterator[Duplicate]:
    for i, j, distance in near_pairs(hashes, within):
        a, b = places[i], places[j]
        yield Duplicate(a[0], b[0], (a[1], b[1]), (a[2], b[2]), distance)


def as_dict(result: Audit) -> dict[str, Any]:
    """Return the audit as plain JSON values."""
    return {
        "spec": result.spec,
        "total": result.total,
        "labels": {split: dict(result.labels[split]) for split in result.splits},
        "action_units": {split: dict(result.units[split]) for split in result.splits},
        "not_coded": {split: result.uncoded[split] for split in result.splits},
        "shorter_side": {str(side): n for side, n in sorted(result.shorter.items())},
        "problems": [{"name": p.name, "reason": p.reason} for p in result.problems],
        "faces_not_found": result.faceless,
        "duplicates": None
        if result.duplicates is None
        else [vars(duplicate) for duplicate in result.duplicates],
        "people_in_several_splits": result.shared_subjects,
        "notes": result.notes(),
        "findings": result.findings(),
    }
