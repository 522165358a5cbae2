"""The table of pictures as arrays, about a kilobyte a picture, for every figure."""

import json
import sys
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ferce.evaluation.pictures import PROBABILITY, QUALITY
from ferce.labels import COMPOUNDS

Rows = NDArray[np.intp]
# Column -> field of the texts.
TEXTS: Mapping[str, str] = {
    "name": "names",
    "label": "labels",
    "subject": "subjects",
    "decided": "decided",
    "free_text": "free_text",
    "reason": "reasons",
    "problem": "problems",
}
NUMBERS = ("neutral", "mass", *QUALITY)
# Slice -> names that data sets give to it.
KEYS: Mapping[str, tuple[str, ...]] = {
    "age": ("age", "age_group"),
    "sex": ("sex", "gender"),
    "ethnicity": ("ethnicity", "race", "skin", "skin_tone"),
    "source": ("source",),
    "style": ("style",),
    "occluder": ("occluder",),
}
UNPARSED = -1  # as `metrics` counts an answer that names no class


@dataclass(frozen=True, eq=False)
class Scored:
    """N pictures of a split, in the order of the data.

    Attributes:
        names: (N,) text; `labels` ("" where not annotated), `subjects`, `decided`, `free_text`
            and `reasons` likewise.
        read: (N,) bool, whether a face was found and scored.
        probabilities: (N, 14) in the order of `COMPOUNDS`; NaN where not read.
        quality: name -> (N,), NaN where not known.
        neutral: (N,) probability that nothing is expressed, NaN where the model has none.
        mass: what a 90 % prediction set must gather.
        calibrated: whether `mass` was found on held-out data.
        attributes: of each picture, what `KEYS` makes slices of.
        problems: (N,) why the app would refuse the face, "" where it would not.
    """

    names: NDArray[np.str_]
    labels: NDArray[np.str_]
    subjects: NDArray[np.str_]
    decided: NDArray[np.str_]
    free_text: NDArray[np.str_]
    reasons: NDArray[np.str_]
    problems: NDArray[np.str_]
    read: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    quality: Mapping[str, NDArray[np.float64]]
    neutral: NDArray[np.float64]
    mass: float
    calibrated: bool
    attributes: tuple[Mapping[str, str], ...]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, str]]) -> Self:
        """The arrays of the rows of `images.csv`."""
        keys = [PROBABILITY + name for name in COMPOUNDS]
        texts: dict[str, list[str]] = {name: [] for name in (*TEXTS, "status")}
        numbers: dict[str, array[float]] = {name: array("d") for name in (*keys, *NUMBERS)}
        attributes, calibrated = [], False
        for row in rows:
            for name, values in texts.items():
                values.append(sys.intern(row[name]))
            for name, column in numbers.items():
                column.append(float(row[name] or "nan"))
            attributes.append(_attributes(row["attributes"]))
            calibrated |= row["calibrated"] == "1"
        arrays = {name: np.array(values, np.float64) for name, values in numbers.items()}
        masses = arrays["mass"][np.isfinite(arrays["mass"])]
        return cls(
            **{field: np.array(texts[name], np.str_) for name, field in TEXTS.items()},
            read=np.array([status == "read" for status in texts["status"]], np.bool_),
            probabilities=np.stack([arrays[name] for name in keys], 1),
            quality={name: arrays[name] for name in QUALITY},
            neutral=arrays["neutral"],
            mass=float(masses[0]) if len(masses) else 0.9,
            calibrated=calibrated,
            attributes=tuple(attributes),
        )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def compounds(self) -> Rows:
        """Numbers of the pictures that were read and whose label is a compound."""
        return np.flatnonzero(self.read & np.isin(self.labels, COMPOUNDS))

    def truth(self, rows: Rows) -> Rows:
        """Class numbers of pictures labelled with a compound."""
        return np.array([COMPOUNDS.index(name) for name in self.labels[rows]], np.intp)

    def groups(self, rows: Rows) -> NDArray[np.str_]:
        """Who is shown; a picture of an unknown person stands for itself."""
        unknown = np.char.add("picture ", self.names[rows])
        return np.where(self.subjects[rows] == "", unknown, self.subjects[rows])


def _attributes(text: str) -> dict[str, str]:
    """Those that make slices, in lower case."""
    told = {key.lower(): str(value) for key, value in json.loads(text or "{}").items()}
    return {key: sys.intern(told[key]) for keys in KEYS.values() for key in keys if key in told}
