"""Figures of parts of a split (age, pose, blur ...), and how far apart the parts lie.

Faces with a compound label are sliced by `by_attribute`; photographs whose action units are coded
or whose faces are neutral, by the people they show, by `by_people`.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import NEUTRAL
from ferce.evaluation import metrics
from ferce.evaluation.classification import Choice, K
from ferce.evaluation.pictures import KEYS, Rows, Scored
from ferce.evaluation.units import FEWEST, Coded
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import ACTIVE

MOST = 20  # values of an attribute; one with more is no slice
ENOUGH = 10  # faces from which a part takes part in the gap
FRONTAL, TURNED = 10.0, 25.0  # degrees of yaw or pitch


def by_attribute(scored: Scored, draws: int, seed: int) -> dict[str, Any]:
    """Measure accuracy and macro-F1 of each part of a slice, and the gap between parts."""
    choice, rows = Choice.of(scored), scored.compounds
    figures = {}
    for name, values in slices(scored, rows).items():
        parts = {str(v): np.flatnonzero(values == v) for v in np.unique(values[values != ""])}
        if 1 < len(parts) <= MOST:
            figures[name] = {
                "parts": {v: _part(choice, items, draws, seed) for v, items in parts.items()},
                "gap": gap(choice, values, parts, draws, seed),
                "unknown": int((values == "").sum()),
            }
    return figures


def slices(scored: Scored, rows: Rows) -> dict[str, NDArray[np.str_]]:
    """List (N,) the value of each face by slice, "" where not known."""
    values = {name: _attribute(scored, rows, keys) for name, keys in KEYS.items()}
    return values | {"pose": _pose(scored, rows), "blur": _blur(scored, rows)}


def _attribute(scored: Scored, rows: Rows, keys: tuple[str, ...]) -> NDArray[np.str_]:
    attributes = (scored.attributes[i] for i in rows)
    values = [next((t[key] for key in keys if key in t), "") for t in attributes]
    return np.array(values, np.str_)


def _pose(scored: Scored, rows: Rows) -> NDArray[np.str_]:
    """Slice by the larger of yaw and pitch, as the detector measured them."""
    yaw, pitch = (np.abs(scored.quality[name][rows]) for name in ("yaw", "pitch"))
    turn = np.fmax(yaw, pitch)
    names = np.where(turn < FRONTAL, "frontal", np.where(turn < TURNED, "turned", "far turned"))
    return np.asarray(np.where(np.isnan(turn), "", names), np.str_)


def _blur(scored: Scored, rows: Rows) -> NDArray[np.str_]:
    """Slice into thirds by `faces.quality.sharpness`."""
    sharp = scored.quality["sharpness"][rows]
    known = sharp[np.isfinite(sharp)]
    if not len(known):
        return np.full(len(rows), "", np.str_)
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    names = np.where(sharp <= low, "blurred third", "middle third")
    names = np.where(sharp > high, "sharp third", names)
    return np.asarray(np.where(np.isnan(sharp), "", names), np.str_)


def _part(choice: Choice, items: Rows, draws: int, seed: int) -> dict[str, Any]:
    def hits(i: Rows) -> float:
        return metrics.accuracy(choice.truth[items][i], choice.best[items][i])

    def f1(i: Rows) -> float:
        return metrics.macro_f1(choice.truth[items][i], choice.best[items][i], K)

    figures: dict[str, Any] = {"faces": len(items)}
    for name, measure in (("accuracy", hits), ("macro_f1", f1)):
        figures |= metrics.bootstrap(measure, choice.who[items], draws, seed).named(name)
    return figures


def gap(
    choice: Choice, values: NDArray[np.str_], parts: Mapping[str, Rows], draws: int, seed: int
) -> dict[str, Any] | None:
    """Compute best minus worst accuracy of the parts, with a paired interval over people.

    Which parts these are is settled on all faces, so the interval may hold 0. Parts with fewer than
    `ENOUGH` faces stay out; None when fewer than two are left.
    """
    right = choice.truth == choice.best
    scores = {v: float(right[i].mean()) for v, i in parts.items() if len(i) >= ENOUGH}
    if len(scores) < 2:
        return None
    best, worst = (pick(scores, key=lambda v: scores[v]) for pick in (max, min))

    def share(value: str, items: Rows) -> float:
        inside = items[values[items] == value]
        return float(right[inside].mean()) if len(inside) else float("nan")

    interval = metrics.bootstrap(
        lambda i: share(best, i) - share(worst, i), choice.who, draws, seed
    )
    return {"best": best, "worst": worst, **interval.named("accuracy")}


PEOPLE = ("age", "sex", "ethnicity")  # of `pictures.KEYS`
AGES = (20, 30, 40, 60)  # years that part the age groups


def by_people(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, dict[str, float | int]]]:
    """Measure groups of people with `ENOUGH` faces or more, by attribute and group.

    Of each group: `faces`; `unit_f1`, over the units that `units.FEWEST` of all faces show, taken
    together; of its neutral faces `neutral_recall`, the share that was called neutral, and
    `brow_alarms`, the share in which AU4 was seen. Units that the model does not measure do not
    count. {} where there are fewer than two groups.
    """
    kept = [row for row in rows if row["status"] == "read"]
    table = Coded.of(kept)
    said = np.nan_to_num(table.seen) >= ACTIVE
    called = np.array([row["decided"] == NEUTRAL for row in kept], np.bool_)
    figures = {}
    for name in PEOPLE:
        values = np.array([_group(name, row) for row in kept], np.str_)
        sizes = {str(v): int((values == v).sum()) for v in np.unique(values[values != ""])}
        large = [v for v, size in sizes.items() if size >= ENOUGH]
        if len(large) > 1:
            figures[name] = {v: _figures(table, said, called, values == v) for v in large}
    return figures


def _figures(
    table: Coded, said: NDArray[np.bool_], called: NDArray[np.bool_], who: NDArray[np.bool_]
) -> dict[str, float | int]:
    places = ((table.truth == 1).sum(0) >= FEWEST) & table.measured
    truth, predicted = table.truth[who][:, places], said[who][:, places]
    known = ~np.isnan(truth)
    there = (truth == 1) & known
    total = int(there.sum() + (predicted & known).sum())
    made: dict[str, float | int] = {"faces": int(who.sum())}
    if total:
        made["unit_f1"] = float(2 * (there & predicted).sum() / total)
    resting = who & table.neutral
    if resting.any():
        made["neutral_recall"] = float(called[resting].mean())
        if table.measured[brows := UNIT_NUMBERS.index(4)]:
            made["brow_alarms"] = float(said[resting, brows].mean())
    return made


def _group(name: str, row: Mapping[str, str]) -> str:
    """Find the group of a face, "" where it is unknown; ages in years are put together."""
    attributes = json.loads(row["attributes"] or "{}")
    value = str(next((attributes[key] for key in KEYS[name] if attributes.get(key)), ""))
    if name != "age" or not value.isdecimal():
        return value
    above = [age for age in AGES if age <= int(value)]
    below = [age for age in AGES if age > int(value)]
    if not above:
        return f"below {AGES[0]}"
    return f"{above[-1]} to {below[0] - 1}" if below else f"{AGES[-1]} and above"
