"""Records of a data set: an annotated picture, an unusable row, and a stream of both."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ferce import images
from ferce.core import labels
from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.core.types import Pixels, Side
from ferce.facs.action_units import UNITS

# An action unit with a coded strength below this is neither there nor absent (FACS level A to B).
PRESENT = 0.25
SPLITS = ("train", "val", "test")

Part = Literal["top", "bottom"]


class DataError(ValueError):
    """An error of a data set: what it should hold, what it holds, and what to do, in a sentence."""


class Readable(Protocol):
    """Anything that can read the bytes of a picture; a `Path` is one."""

    def read_bytes(self) -> bytes:
        """Read the bytes of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Blob:
    """A picture held in memory."""

    data: bytes

    def read_bytes(self) -> bytes:
        """Return the bytes of the file."""
        return self.data


@dataclass(frozen=True, slots=True)
class UnitLabel:
    """An action unit as an annotator or a renderer coded it.

    Attributes:
        unit: number in FACS; units outside `facs.action_units.UNITS` are kept.
        intensity: 0..1, None when only its presence was coded.
        left: of the person's left side, 0..1; None when the sides were not told apart. Where only
            the side was coded, the coded side is 1 and the other 0.
        right: likewise.
        part: the upper or lower half alone (RAF's T and B), else None.
    """

    unit: int
    intensity: float | None = None
    left: float | None = None
    right: float | None = None
    part: Part | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.unit <= 99:
            raise ValueError(f"an action unit has a number from 1 to 99; got {self.unit}")
        for name in ("intensity", "left", "right"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} of AU{self.unit} must lie in 0..1; got {value}")
        if (self.left is None) != (self.right is None):
            raise ValueError(f"AU{self.unit} must give both left and right, or neither")

    @property
    def known(self) -> bool:
        """Whether the table of action units has words and a region for it."""
        return self.unit in UNITS

    @property
    def present(self) -> bool:
        """Whether it is strong enough to be named."""
        return self.intensity is None or self.intensity >= PRESENT

    @property
    def side(self) -> Side | None:
        """Side of the person that is at least twice as strong as the other, or None."""
        left, right = self.left or 0.0, self.right or 0.0
        if max(left, right) <= 0 or 2 * min(left, right) > max(left, right):
            return None
        return "left" if left > right else "right"

    def mirrored(self) -> "UnitLabel":
        """Swap left and right, as on the mirrored face."""
        return UnitLabel(self.unit, self.intensity, self.right, self.left, self.part)


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture and what is known of it.

    Attributes:
        name: unique in its data set, stable between runs.
        image: a path, or anything else with `read_bytes`.
        label: a compound, a basic emotion or "neutral"; None when not annotated.
        units: the coded action units; () when coded and none is there; None when not coded (RAF's
            `null`), which says nothing about the face.
        subject: identity of the person, None when unknown.
        split: one of `SPLITS`, None when the source has no split.
        shares: label -> 0..1 where several annotators or a teacher gave several, with a sum of at
            most 1; None where `label` says all.
        coded: units that were coded at all, where not all of them were; None for all.
        attributes: whatever else the source tells, as text.
    """

    name: str
    image: Readable
    label: str | None = None
    units: tuple[UnitLabel, ...] | None = None
    subject: str | None = None
    split: str | None = None
    shares: Mapping[str, float] | None = None
    coded: frozenset[int] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.label is not None and self.label not in (*COMPOUNDS, *BASICS, NEUTRAL):
            raise ValueError(f"label of {self.name} must be a known label; got {self.label!r}")
        if self.split is not None and self.split not in SPLITS:
            raise ValueError(f"split of {self.name} must be one of {SPLITS}; got {self.split!r}")
        if self.shares is not None:
            _check_shares(self.name, self.shares)

    def over(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Share the label, or labels, over the outputs of a model, (K,); zeros where none fits.

        A compound is shared by its two emotions where the outputs are the basic ones.
        """
        row = np.zeros(len(names))
        known = self.shares or ({self.label: 1.0} if self.label is not None else {})
        for label, share in known.items():
            parts = (label,) if label in names else labels.components(label)
            for part in set(parts) & set(names):
                row[names.index(part)] += share / len(parts)
        return row


def _check_shares(name: str, shares: Mapping[str, float]) -> None:
    odd = [label for label in shares if label not in (*COMPOUNDS, *BASICS, NEUTRAL)]
    if odd:
        raise ValueError(f"shares of {name} must be of known labels; got {odd[0]!r}")
    if min(shares.values(), default=0.0) < 0 or sum(shares.values()) > 1.01:
        raise ValueError(f"shares of {name} must be 0 or more and sum to 1 at most")


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be used, and why: it is listed and counted, never replaced."""

    name: str
    reason: str
    split: str | None = None


Row = Sample | Problem


@dataclass(frozen=True)
class DataSet:
    """A data set that can be read again and again, one row at a time.

    `rows` starts a new pass; nothing of a pass is kept, so memory does not grow with the data.
    """

    spec: str
    rows: Callable[[], Iterator[Row]]

    def samples(
        self, split: str | None = None, on_problem: Callable[[Problem], Any] | None = None
    ) -> Iterator[Sample]:
        """Yield the usable rows in the order of the source.

        Args:
            split: one of `SPLITS`, or None for all.
            on_problem: called with each row that cannot be used, for instance `list.append`;
                without it the first such row raises.

        Raises:
            DataError: a row cannot be used and nobody takes note, or the split is unknown.
        """
        if split is not None and split not in SPLITS:
            raise DataError(f"A split is one of {', '.join(SPLITS)}; got {split!r}.")
        for row in self.rows():
            if split is not None and row.split != split:
                continue
            if isinstance(row, Sample):
                yield row
            elif on_problem is not None:
                on_problem(row)
            else:
                raise DataError(
                    f"{self.spec}: {row.name} {row.reason}. Run `python -m ferce.data check "
                    f"{self.spec}` for the whole list, or pass on_problem to leave such rows out."
                )

    def problems(self) -> Iterator[Problem]:
        """Yield the rows that cannot be used, as far as shows without decoding the pictures."""
        return (row for row in self.rows() if isinstance(row, Problem))


def pixels(sample: Sample) -> Pixels:
    """Decode to (H, W, 3) uint8 RGB; raises `images.ImageError` when that is not possible."""
    if isinstance(sample.image, Path):
        return images.load(sample.image)
    return images.load(sample.image.read_bytes())


# What `attributes["occluder"]` surely hides; of other occluders it is not known.
_HIDES: Mapping[str, frozenset[str]] = {
    "": frozenset(),
    "glasses": frozenset(),
    "sunglasses": frozenset({"eyes"}),
    "mask": frozenset({"nose", "mouth", "chin"}),
}


def hidden_in(sample: Sample) -> frozenset[str] | None:
    """List regions that the picture does not show; None when the covered part is not known."""
    return _HIDES.get(sample.attributes.get("occluder", ""))


def is_file(path: Path) -> bool:
    """Tell whether a file lies there; one whose name no system takes does not."""
    try:
        return path.is_file()
    except OSError:
        return False


def checked(sample: Sample) -> Row:
    """Return the sample, or a problem when its picture is a path to no file."""
    if isinstance(sample.image, Path) and not is_file(sample.image):
        return Problem(sample.name, f"is missing ({sample.image})", sample.split)
    return sample


_NUMBERED = re.compile(r"^\d+[\s._-]+(?=\D)")  # folders are often called "03_sadly angry"
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_EMOTIONS = {noun: basic for basic, noun in labels.NOUNS.items()} | {
    "surprise": "surprised",
    "disgust": "disgusted",
}
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def parse_label(name: str) -> str:
    """Parse a label as people write it: "Happily_Surprised", "HappilySad", "03 sad", "anger".

    Raises:
        DataError: no label is meant; the message lists the known ones.
    """
    bare = _HUMP.sub(" ", _NUMBERED.sub("", name.strip()))
    try:
        return labels.parse(_EMOTIONS.get(bare.lower(), bare))
    except ValueError as error:
        raise DataError(str(error)) from error


def is_split(name: str) -> bool:
    """Tell whether a folder or column value names a split."""
    return name.strip().lower() in _SPLITS


def parse_split(name: str) -> str:
    """Parse a usual name of a split to one of `SPLITS`, or raise `DataError`."""
    known = _SPLITS.get(name.strip().lower())
    if known is None:
        raise DataError(
            f"A split is one of {', '.join(SPLITS)} (or a usual spelling); got {name!r}."
        )
    return known
