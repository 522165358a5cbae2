"""Action units as measured against those coded, also as yes-or-no questions about cues."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import NEUTRAL
from ferce.core.types import Units
from ferce.data.record import PRESENT, Sample
from ferce.evaluation import metrics
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import ACTIVE, TRUSTED

FEWEST = 10  # faces that show a unit, for it to count in the mean

# Cue -> action units, any of which makes it a yes.
CUES: MappingProxyType[str, tuple[int, ...]] = MappingProxyType(
    {
        "mouth open": (25, 26, 27),
        "smile": (12,),
        "brows raised": (1, 2),
        "brows lowered": (4,),
        "eyes wide": (5,),
        "eyes narrowed": (7,),
        "eyes closed": (43,),
        "nose wrinkled": (9,),
        "lip corners down": (15,),
    }
)
CLEAR, ABSENT = 0.35, 0.10  # strength from which a cue is asked for as a yes, up to which as a no
LEAST = 5  # faces on either side of a cue that is counted


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

    The cues and their truth are those that `train/make_mini.py fastvlm measure` asks a voice about;
    one of which the model measures no unit is not counted.
    """
    truth = cue_truths(table.truth.astype(np.float32))
    known = cue_scores(table.measured[None].astype(np.float32))[0] > 0
    truth[:, ~known] = np.nan
    seen = np.nan_to_num(table.seen).astype(np.float32)
    score = score_cues(cue_scores(seen), truth, float(np.nextafter(ACTIVE, 0)))
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


@dataclass(frozen=True)
class CueScore:
    """Balanced accuracy and area under the curve of each cue, nan where too few faces show it."""

    balanced: Mapping[str, float]
    area: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Mean balanced accuracy over the cues that could be measured, nan where none could."""
        known = [value for value in self.balanced.values() if value == value]
        return sum(known) / len(known) if known else float("nan")

    def __str__(self) -> str:
        """Write the mean and each cue as balanced accuracy/area."""
        cues = (f"{k} {v:.2f}/{self.area[k]:.2f}" for k, v in self.balanced.items() if v == v)
        return f"{self.mean:.3f} ({', '.join(cues)})"


def cue_truths(strengths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (N, A) strengths into (N, C) truths: 1 yes, 0 no, nan not asked."""
    columns = []
    for units in CUES.values():
        own = strengths[:, [UNIT_NUMBERS.index(u) for u in units]]
        some = np.nan_to_num(own, nan=0.0).max(1)
        none = np.nan_to_num(own, nan=1.0).max(1)
        columns.append(np.where(some >= CLEAR, 1.0, np.where(none <= ABSENT, 0.0, np.nan)))
    return np.stack(columns, 1).astype(np.float32)


def cue_scores(units: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (N, A) scores of units into (N, C) of cues: that of the likeliest unit."""
    places = [[UNIT_NUMBERS.index(u) for u in own] for own in CUES.values()]
    return np.stack([units[:, own].max(1) for own in places], 1)


def cue_limits(scores: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fit (C,) thresholds with the best balanced accuracy on these faces."""
    return np.array([_limit(s, w) for s, w in zip(scores.T, wanted.T, strict=True)], np.float32)


def score_cues(
    scores: NDArray[np.float32],
    wanted: NDArray[np.float32],
    at: NDArray[np.float32] | float = 0.0,
) -> CueScore:
    """Score how well (N, C) scores above `at` predict `wanted` (N, C)."""
    limit = np.broadcast_to(np.asarray(at, np.float32), (scores.shape[1],))
    balanced, area = {}, {}
    for k, name in enumerate(CUES):
        yes, no = scores[wanted[:, k] == 1, k], scores[wanted[:, k] == 0, k]
        if min(len(yes), len(no)) < LEAST:
            balanced[name] = area[name] = float("nan")
            continue
        balanced[name] = float(((yes > limit[k]).mean() + (no <= limit[k]).mean()) / 2)
        area[name] = float(np.mean(np.searchsorted(np.sort(no), yes) / len(no)))
    return CueScore(balanced, area)


def _limit(scores: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    yes, no = np.sort(scores[wanted == 1]), np.sort(scores[wanted == 0])
    if min(len(yes), len(no)) < LEAST:
        return 0.0
    every = np.concatenate([yes, no])
    right = 1 - np.searchsorted(yes, every, "right") / len(yes)
    right += np.searchsorted(no, every, "right") / len(no)
    return float(every[right.argmax()])
