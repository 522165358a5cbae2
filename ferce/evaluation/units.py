"""Action units as they were measured against those that annotators or the renderer coded."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import NEUTRAL
from ferce.core.types import Units
from ferce.data.record import PRESENT, Sample
from ferce.evaluation import cues, metrics
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import ACTIVE, TRUSTED

FEWEST = 10  # faces that show a unit, for it to count in the mean


@dataclass(frozen=True, eq=False)
class Coded:
    """N faces that were read.

    `truth` (N, A) is 1 present, 0 absent, NaN not coded; `seen` (N, A) the measured intensity 0..1,
    NaN where the model does not measure the unit; `neutral` (N,) whether the label is neutral;
    `people` (N,) who is shown.
    """

    truth: NDArray[np.float64]
    seen: NDArray[np.float64]
    neutral: NDArray[np.bool_]
    people: NDArray[np.str_]

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(A,) whether the model measures the unit in any of the faces."""
        return np.asarray(np.isfinite(self.seen).any(0), np.bool_)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, str]]) -> Self:
        """Read the rows of `images.csv`."""
        kept = [row for row in rows if row["status"] == "read"]
        return cls(
            np.array([_truth(row) for row in kept], np.float64).reshape(-1, len(UNIT_NUMBERS)),
            np.array([_seen(row) for row in kept], np.float64).reshape(-1, len(UNIT_NUMBERS)),
            np.array([row["label"] == NEUTRAL for row in kept], np.bool_),
            metrics.people(kept),
        )


def coded(sample: Sample) -> str:
    """Write a JSON list of the units that were coded; "null" where all were."""
    return json.dumps(None if sample.coded is None else sorted(sample.coded))


def measured(units: Units) -> str:
    """Write JSON [[unit, intensity], ...] of the units that the model measures, never ""."""
    known = [(n, u.intensity) for n, u in sorted(units.items()) if u.confidence >= TRUSTED]
    return json.dumps([[number, round(float(intensity), 4)] for number, intensity in known])


def figures(rows: Iterable[Mapping[str, str]], draws: int, seed: int) -> dict[str, Any]:
    """Compute F1 of each unit that enough faces show, the mean, and neutral false alarms.

    A unit counts as seen from `prototypes.ACTIVE` on; a face of which it was not coded does not
    count. {} where nothing was coded. `not_measured` lists shown units that the model measures in
    no face, and has nothing beside it where those are all.
    """
    table = Coded.of(rows)
    shown = [k for k in range(len(UNIT_NUMBERS)) if (table.truth[:, k] == 1).sum() >= FEWEST]
    if not shown:
        return {}
    places = [k for k in shown if table.measured[k]]
    unmeasured = {"not_measured": [f"AU{UNIT_NUMBERS[k]}" for k in shown if k not in places]}
    if not places:
        return unmeasured
    said = np.nan_to_num(table.seen) >= ACTIVE

    def macro(faces: NDArray[np.intp]) -> float:
        return float(np.nanmean([_f1(table.truth[faces, k], said[faces, k]) for k in places]))

    interval = metrics.bootstrap(macro, table.people, draws, seed)
    alarms = said[table.neutral].mean(0) if table.neutral.any() else np.zeros(0)
    return {
        "macro_f1": {"value": interval.value, "interval": [interval.low, interval.high]},
        "yes_no": yes_no(table),
        "each": {f"AU{UNIT_NUMBERS[k]}": _one(table, said, k) for k in places},
        "false_alarms_on_neutral": {
            f"AU{UNIT_NUMBERS[k]}": float(a) for k, a in enumerate(alarms) if table.measured[k]
        },
        **unmeasured,
    }


def yes_no(table: Coded) -> dict[str, Any]:
    """Compute balanced accuracy of "is this cue there", answered from measured units.

    The cues and their truth are those that `train/make_fastvlm_mini.py measure` asks a voice about;
    one of which the model measures no unit is not counted.
    """
    truth = cues.truths(table.truth.astype(np.float32))
    known = cues.of_units(table.measured[None].astype(np.float32))[0] > 0
    truth[:, ~known] = np.nan
    seen = np.nan_to_num(table.seen).astype(np.float32)
    score = cues.measure(cues.of_units(seen), truth, float(np.nextafter(ACTIVE, 0)))
    each = {name: value for name, value in score.balanced.items() if value == value}
    return {"balanced": score.mean if each else None, "each": each}


def _one(table: Coded, said: NDArray[np.bool_], k: int) -> dict[str, Any]:
    known = ~np.isnan(table.truth[:, k])
    truth, scores = table.truth[known, k] == 1, np.nan_to_num(table.seen[known, k])
    auc = metrics.auc(scores, truth)
    return {
        "faces": int(truth.sum()),
        "f1": _f1(table.truth[:, k], said[:, k]),
        "auc": float(auc) if np.isfinite(auc) else None,
    }


def _f1(truth: NDArray[np.float64], said: NDArray[np.bool_]) -> float:
    known = ~np.isnan(truth)
    there, predicted = truth[known] == 1, said[known]
    total = there.sum() + predicted.sum()
    return float(2 * (there & predicted).sum() / total) if total else float("nan")


def _truth(row: Mapping[str, str]) -> list[float]:
    units = json.loads(row["units"] or "null")
    if units is None:
        return [float("nan")] * len(UNIT_NUMBERS)
    asked = json.loads(row["coded"] or "null")
    present = {n: 1.0 if i is None or i >= PRESENT else 0.0 for n, i in units}
    known = set(UNIT_NUMBERS if asked is None else asked)
    return [present.get(n, 0.0) if n in known else float("nan") for n in UNIT_NUMBERS]


def _seen(row: Mapping[str, str]) -> list[float]:
    intensities = dict(json.loads(row["seen"] or "[]"))
    return [intensities.get(n, float("nan")) for n in UNIT_NUMBERS]
