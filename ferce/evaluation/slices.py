"""Figures of parts of a split (age, pose, blur ...), and how far apart the parts lie."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.evaluation import metrics
from ferce.evaluation.classification import Choice, K
from ferce.evaluation.pictures import KEYS, Rows, Scored

MOST = 20  # values of an attribute; one with more is no slice
ENOUGH = 10  # faces from which a part takes part in the gap
FRONTAL, TURNED = 10.0, 25.0  # degrees of yaw or pitch


def figures(scored: Scored, draws: int, seed: int) -> dict[str, Any]:
    """Slice -> parts with accuracy and macro-F1, and the gap between best and worst part."""
    choice, rows = Choice.of(scored), scored.compounds
    found = {}
    for name, values in slices(scored, rows).items():
        parts = {str(v): np.flatnonzero(values == v) for v in np.unique(values[values != ""])}
        if 1 < len(parts) <= MOST:
            found[name] = {
                "parts": {v: _part(choice, items, draws, seed) for v, items in parts.items()},
                "gap": gap(choice, values, parts, draws, seed),
                "unknown": int((values == "").sum()),
            }
    return found


def slices(scored: Scored, rows: Rows) -> dict[str, NDArray[np.str_]]:
    """Slice -> (N,) value of each face, "" where not known."""
    found = {name: _told(scored, rows, keys) for name, keys in KEYS.items()}
    return found | {"pose": _pose(scored, rows), "blur": _blur(scored, rows)}


def _told(scored: Scored, rows: Rows, keys: tuple[str, ...]) -> NDArray[np.str_]:
    told = (scored.attributes[i] for i in rows)
    values = [next((t[key] for key in keys if key in t), "") for t in told]
    return np.array(values, np.str_)


def _pose(scored: Scored, rows: Rows) -> NDArray[np.str_]:
    """By the larger of yaw and pitch, as the detector measured them."""
    yaw, pitch = (np.abs(scored.quality[name][rows]) for name in ("yaw", "pitch"))
    turn = np.fmax(yaw, pitch)
    names = np.where(turn < FRONTAL, "frontal", np.where(turn < TURNED, "turned", "far turned"))
    return np.asarray(np.where(np.isnan(turn), "", names), np.str_)


def _blur(scored: Scored, rows: Rows) -> NDArray[np.str_]:
    """Thirds of the split by `faces.sharpness`."""
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

    found: dict[str, Any] = {"faces": len(items)}
    for name, measure in (("accuracy", hits), ("macro_f1", f1)):
        interval = metrics.bootstrap(measure, choice.who[items], draws, seed)
        found[name] = interval.value
        found[f"{name}_interval"] = [interval.low, interval.high]
    return found


def gap(
    choice: Choice, values: NDArray[np.str_], parts: Mapping[str, Rows], draws: int, seed: int
) -> dict[str, Any] | None:
    """Accuracy of the best part minus that of the worst, with a paired interval over people.

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
    return {
        "best": best,
        "worst": worst,
        "accuracy": interval.value,
        "accuracy_interval": [interval.low, interval.high],
    }
