"""The measurements of a trained model, read from its `metrics.json` and checked for gaps."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS
from ferce.evaluation import metrics
from ferce.models.hub import CheckpointError, read_json

FILE = "metrics.json"
_QUANTILE = NormalDist().inv_cdf(0.975)  # of a 95 % interval
SPLITS = ("test", "val")
_MOST_FACES = 1e9  # in a cell of the confusion
# Without these there is no card; each a number of the split's block.
REQUIRED = ("macro_f1", "accuracy", "uar", "top2", "ece", "brier", "nll")
# What is shown where it was measured, in this order.
FIGURES: Mapping[str, str] = {
    "macro_f1": "macro-F1 (14 compounds)",
    "macro_f1_11": "macro-F1 over the 11 classes that RAF-DB has",
    "macro_f1_25": "macro-F1 over the classes with at least 25 faces",
    "uar": "unweighted mean recall (UAR)",
    "accuracy": "accuracy",
    "top2": "true class among the two most probable",
    "macro_f1_all_labels": "macro-F1, neutral and single emotions included",
    "neutral_auc": "AUC of neutral against the rest",
    "unit_auc_mean": "mean AUC of the action units",
    "rouge_l": "ROUGE-L of explanations",
    "ece": "calibration error (ECE, 15 bins)",
    "ece_uncalibrated": "ECE before calibration",
    "nll": "negative log-likelihood",
    "brier": "Brier score",
    "set_coverage": "coverage of the 90 % prediction sets",
    "set_size": "mean size of these sets, of 14",
}


class MeasurementError(ValueError):
    """An error for measurements that are missing or contradict each other."""


@dataclass(frozen=True)
class Figure:
    """A measured value; `interval` is its 95 % confidence interval, None if none was measured."""

    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class ClassRow:
    """The results on one class: `support` faces; shares in 0..1, recall None without any.

    `interval` is Wilson's 95 % interval of the recall (Wilson 1927), which takes faces for
    independent of each other.
    """

    name: str
    support: int
    precision: float
    recall: float | None
    f1: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Measurements:
    """The measurements that a card takes from `metrics.json`.

    Attributes:
        split: where it was measured, "test" or "val".
        faces: how many faces of a compound that split has.
        figures: by name, `REQUIRED` among them; macro_f1 has an interval.
        confusion: (14, 14) counts in the order of `COMPOUNDS`, rows are true classes.
        data: spec of the data set it was trained on, such as "rafce:RAF-CE".
        measured_on: spec of the data set it was measured on.
        counts: split -> label -> number of faces trained and chosen on.
        origin: where the weights came from before training, in words; None if unknown.
        machine: facts of the computer, `device` among them.
        seconds: duration of the training; None where nothing was trained.
    """

    split: str
    faces: int
    figures: Mapping[str, Figure]
    confusion: NDArray[np.intp]
    data: str
    measured_on: str
    counts: Mapping[str, Mapping[str, int]]
    origin: str | None
    machine: Mapping[str, Any]
    seconds: float | None

    @classmethod
    def load(cls, folder: Path, split: str = "test") -> Self:
        """Load the measurements of a run folder on one split.

        `metrics.json` holds a block for each split, with `faces`, the figures of `FIGURES`,
        `NAME_interval` [low, high] where it was measured, `f1` by class and `confusion`; beside the
        blocks `data` (spec, train, val), `machine` (device) and `seconds`. A block may name its
        own `data` where that is another set than the one trained on.

        Raises:
            MeasurementError: something is missing or does not fit; the message names it.
        """
        try:
            document = read_json(folder / FILE)
        except CheckpointError as error:
            raise MeasurementError(f"A card needs measurements, but {error}") from error
        block = _block(document, split, folder)
        data = _mapping(document, "data")
        confusion = _confusion(block, split)
        return cls(
            split=split,
            faces=_faces(block, confusion),
            figures=_figures(block, split),
            confusion=confusion,
            data=_text(data, "spec"),
            measured_on=str(block.get("data", data["spec"])),
            counts={name: _counts(data, name) for name in ("train", "val") if name in data},
            origin=_origin(document),
            machine=_machine(document),
            seconds=_seconds(document),
        )

    def classes(self) -> tuple[ClassRow, ...]:
        """Compute one row a compound from the confusion matrix."""
        truth, predicted = (np.repeat(axis, self.confusion.ravel()) for axis in _grid())
        each = metrics.per_class(truth, predicted, len(COMPOUNDS))
        rows = []
        for k, name in enumerate(COMPOUNDS):
            n, hits = int(each["support"][k]), int(self.confusion[k, k])
            rows.append(
                ClassRow(
                    name,
                    n,
                    float(each["precision"][k]),
                    float(each["recall"][k]) if n else None,
                    float(each["f1"][k]),
                    wilson(hits, n) if n else None,
                )
            )
        return tuple(rows)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Compute the 95 % interval of hits / n, n >= 1 (Wilson 1927, J. Am. Stat. Assoc. 22:209).

    As `scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")`, whose import took a fifth of
    the time until the page stood.
    """
    square = _QUANTILE**2
    middle = (hits + square / 2) / (n + square)
    spread = _QUANTILE * math.sqrt(hits * (n - hits) / n + square / 4) / (n + square)
    low = middle - spread if hits else 0.0
    return low, middle + spread if hits < n else 1.0


def _grid() -> NDArray[np.intp]:
    """List the (2, 196) true and predicted class of each cell of the confusion matrix."""
    return np.indices((len(COMPOUNDS), len(COMPOUNDS))).reshape(2, -1)


def _block(document: Mapping[str, Any], split: str, folder: Path) -> Mapping[str, Any]:
    if split not in SPLITS:
        raise MeasurementError(f"The split must be one of {', '.join(SPLITS)}; got {split!r}.")
    if split not in document:
        has = ", ".join(name for name in SPLITS if name in document) or "none"
        raise MeasurementError(
            f"{folder / FILE} has no measurements of the {split} split (it has: {has}); make them "
            f"with `python train/evaluate.py --model MODEL --data DATA --record {folder}`, or ask "
            "for a card of another split."
        )
    return _mapping(document, split)


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    if not isinstance(value, Mapping):
        raise MeasurementError(f"{FILE} must hold an object under {key!r}; got {value!r:.60}.")
    return value


def _counts(data: Mapping[str, Any], split: str) -> Mapping[str, int]:
    counts = _mapping(data, split)
    if not all(isinstance(n, int) and 0 <= n < _MOST_FACES for n in counts.values()):
        raise MeasurementError(f"{FILE} must count the faces of {split} by label.")
    return counts


def _origin(document: Mapping[str, Any]) -> str | None:
    origin = document.get("origin")
    if not isinstance(origin, str | None):
        raise MeasurementError(f"{FILE} must give the origin in words; got {origin!r:.60}.")
    return origin


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise MeasurementError(f"{FILE} must name the {key} of the data; got {value!r:.60}.")
    return value


def _figures(block: Mapping[str, Any], split: str) -> dict[str, Figure]:
    if missing := [name for name in REQUIRED if block.get(name) is None]:
        raise MeasurementError(f"The {split} measurements lack {', '.join(missing)}.")
    if block.get("macro_f1_interval") is None:
        raise MeasurementError(f"The {split} measurements lack the interval of macro_f1.")
    return {name: _figure(block, name) for name in FIGURES if block.get(name) is not None}


def _figure(block: Mapping[str, Any], name: str) -> Figure:
    value, interval = _number(block[name], name), block.get(f"{name}_interval")
    if interval is None:
        return Figure(value)
    if not isinstance(interval, list) or len(interval) != 2:
        raise MeasurementError(f"The interval of {name} must be [low, high]; got {interval!r:.60}.")
    low, high = (_number(end, f"the interval of {name}") for end in interval)
    if low > high:
        raise MeasurementError(f"The interval of {name} is the wrong way round: {low} to {high}.")
    return Figure(value, (low, high))


def is_finite(value: Any) -> bool:
    """Tell whether a value of JSON is a number that a float can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max


def _number(value: Any, name: str) -> float:
    if not is_finite(value):
        raise MeasurementError(f"{name} must be a finite number; got {value!r:.60}.")
    return float(value)


def _confusion(block: Mapping[str, Any], split: str) -> NDArray[np.intp]:
    """Parse the table; it must agree with the per-class F1 beside it."""
    k = len(COMPOUNDS)
    try:
        table = np.array(block.get("confusion"), float)
    except (TypeError, ValueError, OverflowError):
        table = np.zeros(0)
    counts = (table >= 0) & (table < _MOST_FACES) & (table == table.round())
    if table.shape != (k, k) or not counts.all():
        raise MeasurementError(f"The {split} measurements need a {k} x {k} confusion of counts.")
    f1 = _mapping(block, "f1")
    scores = 2 * table.diagonal() / np.maximum(table.sum(0) + table.sum(1), 1)
    for name, score in zip(COMPOUNDS, scores, strict=True):
        if abs(_number(f1.get(name), f"f1 of {name}") - score) > 1e-3:
            raise MeasurementError(
                f"f1 of {name} is {f1[name]:.4f}, but the confusion gives {score:.4f}."
            )
    return table.astype(np.intp)


def _faces(block: Mapping[str, Any], confusion: NDArray[np.intp]) -> int:
    faces = int(_number(block.get("faces"), "faces"))
    if not faces or confusion.sum() > faces:
        raise MeasurementError(
            f"The confusion counts {confusion.sum()} faces, but faces says {faces}."
        )
    return faces


def _machine(document: Mapping[str, Any]) -> Mapping[str, Any]:
    machine = _mapping(document, "machine")
    if not machine.get("device"):
        raise MeasurementError(
            f"{FILE} must name the device under machine; got {dict(machine)!s:.60}."
        )
    return machine


def _seconds(document: Mapping[str, Any]) -> float | None:
    seconds = document.get("seconds")
    return None if seconds is None else _number(seconds, "seconds")
