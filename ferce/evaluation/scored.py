"""The table of pictures as arrays, from which every figure is computed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.evaluation.pictures import PROBABILITY, QUALITY
from ferce.labels import COMPOUNDS

Rows = NDArray[np.intp]
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
        attributes: what else the data tells of each picture.
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
        table = list(rows)
        keys = [PROBABILITY + name for name in COMPOUNDS]
        classes = np.array([[_number(row[k]) for k in keys] for row in table], np.float64)
        masses = [float(row["mass"]) for row in table if row["mass"]]
        return cls(
            names=_texts(table, "name"),
            labels=_texts(table, "label"),
            subjects=_texts(table, "subject"),
            decided=_texts(table, "decided"),
            free_text=_texts(table, "free_text"),
            reasons=_texts(table, "reason"),
            problems=_texts(table, "problem"),
            read=np.array([row["status"] == "read" for row in table], np.bool_),
            probabilities=classes.reshape(len(table), len(keys)),
            quality={name: _numbers(table, name) for name in QUALITY},
            neutral=_numbers(table, "neutral"),
            mass=masses[0] if masses else 0.9,
            calibrated=any(row["calibrated"] == "1" for row in table),
            attributes=tuple(json.loads(row["attributes"] or "{}") for row in table),
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


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def _numbers(table: list[Any], key: str) -> NDArray[np.float64]:
    return np.array([_number(row[key]) for row in table], np.float64)


def _texts(table: list[Any], key: str) -> NDArray[np.str_]:
    return np.array([row[key] for row in table], np.str_)
