"""The table of every picture of a split: its annotation and the model's scores."""

import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS, OUTCOMES
from ferce.core.protocols import Classifier, FreeText
from ferce.data.align import Aligned
from ferce.data.record import Problem, Row, Sample, UnitLabel
from ferce.evaluation import units
from ferce.evaluation.plan import (
    EvaluationError,
    Plan,
    Read,
    Table,
    Tools,
    aligned,
    batches,
    predicted,
    rows_of,
    watched,
)

FILE = "images.csv"
PROBABILITY, OUTCOME = "p:", "o:"  # of the 14 compounds given one, of the 21 outcomes
QUALITY = ("size", "sharpness", "yaw", "pitch", "roll")
COLUMNS = (
    *("name", "label", "subject", "picture", "status", "reason", "problem"),
    *("top", "state", "decided", "free_text", "neutral", "mass", "calibrated", "outcome_mass"),
    *(PROBABILITY + name for name in COMPOUNDS),
    *(OUTCOME + name for name in OUTCOMES),
    *QUALITY,
    *("units", "coded", "seen", "attributes"),
)


def measure(plan: Plan, classifier: Classifier, folder: Path, tools: Tools) -> Table:
    """Score every picture of the split, into `images.csv`; see `fill`."""
    table = Table(folder / FILE, COLUMNS)
    fill(table, rows_of(plan.data, plan.split), plan, classifier, tools)
    return table


def fill(
    table: Table, rows: Iterable[Row], plan: Plan, classifier: Classifier, tools: Tools
) -> None:
    """Add every picture of `rows` to a table; those that stand there already are not read.

    Raises:
        EvaluationError: a picture has another label than when its row was written, or the model
            cannot answer in its own words though it is asked to.
    """
    if plan.free_text and not isinstance(classifier, FreeText):
        raise EvaluationError(f"{plan.model} answers by probabilities only; leave out free text.")
    known: dict[str, Sample] = {}  # of pictures under way, for the rows of those that get lost
    left = _missing(rows, table.done(), known)
    stream = watched(aligned(left, plan.detects, tools), plan.split, tools.shown)
    for batch in batches(stream):
        made = _batch(batch, classifier, plan.free_text)
        table.append(_known(known.pop(row["name"], None)) | row for row in made)


def _missing(
    rows: Iterable[Row], done: Mapping[str, str], known: dict[str, Sample]
) -> Iterator[Row]:
    for row in rows:
        if row.name not in done:
            if isinstance(row, Sample):
                known[row.name] = row
            yield row
        elif isinstance(row, Sample) and (row.label or "") != done[row.name] != "":
            raise EvaluationError(
                f"{row.name} is labelled {row.label!r}, but {done[row.name]!r} in {FILE}: the data "
                "changed; start afresh (--fresh)."
            )


def _batch(
    batch: Sequence[Aligned | Problem], classifier: Classifier, free_text: bool
) -> list[dict[str, Any]]:
    """Make one row an item, in order, whether it could be read or not."""
    reads = predicted(classifier, [item for item in batch if isinstance(item, Aligned)])
    words = iter(_named(classifier, reads) if free_text else [""] * len(reads))
    in_order = iter(reads)
    return [
        lost(item) if isinstance(item, Problem) else _row(next(in_order), next(words))
        for item in batch
    ]


def _named(classifier: Classifier, reads: Sequence[Read]) -> list[str]:
    assert isinstance(classifier, FreeText), "`fill` refuses models without words"
    return classifier.named([read.face for read in reads]) if reads else []


def lost(problem: Problem) -> dict[str, Any]:
    """Make the row of a picture that cannot be read."""
    return {"name": problem.name, "status": "lost", "reason": problem.reason}


def _known(sample: Sample | None) -> dict[str, Any]:
    """Collect what the data holds on a picture, whether it can be read or not."""
    if sample is None:
        return {}
    return {
        "label": sample.label,
        "subject": sample.subject,
        "units": _units(sample.units),
        "coded": units.coded(sample),
        "attributes": json.dumps(dict(sample.attributes), sort_keys=True),
    }


def _row(read: Read, words: str) -> dict[str, Any]:
    sample, prediction, scores = read.item.sample, read.prediction, read.scores
    quality = read.face.quality
    return {
        "name": sample.name,
        "picture": read.item.path.stem,
        "status": "read",
        "problem": read.face.problem,
        "top": prediction.compound,
        "state": prediction.state,
        "decided": prediction.label,
        "free_text": words,
        "neutral": None if scores.neutral is None else float(scores.neutral[0]),
        "mass": float(scores.mass),
        "calibrated": int(scores.calibrated),
        "outcome_mass": scores.outcome_mass,
        "seen": "" if scores.units is None else units.measured(read.face.units),
        **{PROBABILITY + name: float(p) for name, p in prediction.compounds.items()},
        **{OUTCOME + name: float(p) for name, p in prediction.outcomes.items()},
        **({} if quality is None else {name: float(getattr(quality, name)) for name in QUALITY}),
    }


def _units(labels: Sequence[UnitLabel] | None) -> str:
    """Write JSON [[unit, intensity], ...], "null" where nobody coded them."""
    return json.dumps(None if labels is None else [[u.unit, u.intensity] for u in labels])


def fingerprint(table: Table) -> str:
    """Hash the split: 16 hex digits that change with any picture, label, unit or subject."""
    digest = hashlib.sha256()
    keys = ("picture", "label", "units", "subject", "status")
    for line in sorted(json.dumps([row["name"], *(row[k] for k in keys)]) for row in table.rows()):
        digest.update(line.encode())
    return digest.hexdigest()[:16]


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
NUMBERS = ("neutral", "mass", "outcome_mass", *QUALITY)
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
        probabilities: (N, 14) given a compound, in the order of `COMPOUNDS`; NaN where not read.
        outcomes: (N, 21) in the order of `OUTCOMES`, likewise.
        quality: name -> (N,), NaN where not known.
        neutral: (N,) probability that nothing is expressed, NaN where the model has none.
        mass: what a 90 % prediction set must gather.
        calibrated: whether `mass` was found on held-out data.
        outcome_mass: the same of a set of outcomes; NaN where it was not found on held-out data.
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
    outcomes: NDArray[np.float64]
    quality: Mapping[str, NDArray[np.float64]]
    neutral: NDArray[np.float64]
    mass: float
    calibrated: bool
    outcome_mass: float
    attributes: tuple[Mapping[str, str], ...]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, str]]) -> Self:
        """Read the rows of `images.csv` into arrays."""
        keys = [PROBABILITY + name for name in COMPOUNDS]
        every = [OUTCOME + name for name in OUTCOMES]
        texts: dict[str, list[str]] = {name: [] for name in (*TEXTS, "status")}
        numbers: dict[str, array[float]] = {name: array("d") for name in (*keys, *every, *NUMBERS)}
        attributes, calibrated = [], False
        for row in rows:
            for name, values in texts.items():
                values.append(sys.intern(row[name]))
            for name, column in numbers.items():
                column.append(float(row[name] or "nan"))
            attributes.append(_attributes(row["attributes"]))
            calibrated |= row["calibrated"] == "1"
        arrays = {name: np.array(values, np.float64) for name, values in numbers.items()}
        return cls(
            **{field: np.array(texts[name], np.str_) for name, field in TEXTS.items()},
            read=np.array([status == "read" for status in texts["status"]], np.bool_),
            probabilities=np.stack([arrays[name] for name in keys], 1),
            outcomes=np.stack([arrays[name] for name in every], 1),
            quality={name: arrays[name] for name in QUALITY},
            neutral=arrays["neutral"],
            mass=_first(arrays["mass"], 0.9),
            calibrated=calibrated,
            outcome_mass=_first(arrays["outcome_mass"], np.nan),
            attributes=tuple(attributes),
        )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def compounds(self) -> Rows:
        """Numbers of the pictures that were read and whose label is a compound."""
        return np.flatnonzero(self.read & np.isin(self.labels, COMPOUNDS))

    def truth(self, rows: Rows) -> Rows:
        """Number the classes of pictures labelled with a compound."""
        return np.array([COMPOUNDS.index(name) for name in self.labels[rows]], np.intp)

    def groups(self, rows: Rows) -> NDArray[np.str_]:
        """Read who is shown; a picture of an unknown person stands for itself."""
        unknown = np.char.add("picture ", self.names[rows])
        return np.where(self.subjects[rows] == "", unknown, self.subjects[rows])


def _first(values: NDArray[np.float64], none: float) -> float:
    """Take the first number that is there."""
    known = values[np.isfinite(values)]
    return float(known[0]) if len(known) else none


def _attributes(text: str) -> dict[str, str]:
    """Select the attributes that make slices, in lower case."""
    given = {key.lower(): str(value) for key, value in json.loads(text or "{}").items()}
    return {key: sys.intern(given[key]) for keys in KEYS.values() for key in keys if key in given}
