"""Turn action units into shapes of the kit: which to sample, how far each moves the face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ferce.data.rendering.kit import Kit
from ferce.facs.prototypes import PROTOTYPES, UNITS

LEFT, RIGHT = "_L", "_R"
# Units that shut or press what another opens: never both in one face.
CONFLICTS: Mapping[int, frozenset[int]] = {
    17: frozenset({26, 27}),
    18: frozenset({12, 15, 20, 25, 26, 27, 28}),
    22: frozenset({12, 20, 23, 24, 27, 28}),
    23: frozenset({22, 25, 26, 27}),
    24: frozenset({16, 20, 22, 25, 26, 27}),
    27: frozenset({17, 18, 22, 23, 24, 26, 28}),
    28: frozenset({16, 18, 22, 25, 26, 27}),
    43: frozenset({5}),
}
NOISE = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 20, 23, 24)  # units added weakly at random
RARE = (14, 16, 18, 22, 23, 27, 28, 43)  # units of no prototype, drawn less often
# Shape weights at intensity 1, chosen so that 1 looks like level E of FACS.
SHAPES: Mapping[int, Mapping[str, float]] = {
    1: {"browInnerUp": 1.25},
    2: {"browOuterUp": 1.2},
    4: {"browDown": 1.75, "browInnerUp": -0.2},
    5: {"eyeWide": 1.6},
    6: {"cheekRaiser": 0.9, "cheekSquint": 0.75, "eyeSquint": 0.25},
    7: {"eyeSquint": 1.7, "cheekSquint": 0.15},
    9: {"noseSneer": 1.15, "browDown": 0.35, "eyeSquint": 0.2},
    10: {"mouthUpperUp": 0.75, "noseSneer": 0.15},
    11: {"noseSneer": 0.3, "cheekSquint": 0.3},
    12: {"mouthSmile": 1.1},
    14: {"mouthDimple": 1.0},
    15: {"mouthFrown": 1.3},
    16: {"mouthLowerDown": 0.9},
    17: {"mouthShrugLower": 0.95, "mouthShrugUpper": 0.35},
    18: {"mouthPucker": 1.0},
    20: {"mouthStretch": 1.05},
    22: {"mouthFunnel": 0.9},
    23: {"mouthPress": 0.55, "mouthRollUpper": 0.4, "mouthRollLower": 0.4},
    24: {"mouthPress": 1.2, "mouthRollLower": 0.4, "mouthRollUpper": 0.35},
    25: {"jawOpen": 0.1, "mouthLowerDown": 0.35, "mouthUpperUp": 0.12},
    26: {"jawOpen": 0.5},
    27: {"jawOpen": 0.9},
    28: {"mouthRollUpper": 0.9, "mouthRollLower": 0.9},
    43: {"eyeBlink": 1.0},
}
UPPER_LIFT = {"mouthUpperUp": 1.0, "noseSneer": 0.55, "mouthSmile": 0.35}
OPENING = (12, 16, 20, 22, 25, 26, 27)  # units after which lips may stand apart
LIFT_LIMIT = 0.8  # beyond this sum the upper gums show


@dataclass(frozen=True)
class Activation:
    """One action unit in a face, on the subject's left and right side, each 0..1."""

    unit: int
    left: float
    right: float

    def __post_init__(self) -> None:
        if self.unit not in SHAPES:
            raise ValueError(f"action unit {self.unit} cannot be rendered; known: {sorted(SHAPES)}")
        if not (0 <= self.left <= 1 and 0 <= self.right <= 1):
            raise ValueError(f"AU{self.unit}: expected 0..1 a side, came {self.left}, {self.right}")

    @property
    def intensity(self) -> float:
        """Intensity of the stronger side."""
        return max(self.left, self.right)

    def as_dict(self) -> dict[str, float | int]:
        """Return the values for metadata.jsonl."""
        sides = {"intensity": self.intensity, "left": self.left, "right": self.right}
        return {"unit": self.unit, **{k: round(v, 3) for k, v in sides.items()}}


def clashes(unit: int, others: Iterable[int]) -> bool:
    """Tell whether a unit cannot be shown together with one of the others."""
    return any(o in CONFLICTS.get(unit, ()) or unit in CONFLICTS.get(o, ()) for o in others)


def sample_label(
    label: str, rng: np.random.Generator, strength: tuple[float, float]
) -> list[Activation]:
    """Sample a label's core, its variants at their frequency, sometimes a weak extra unit."""
    prototype = PROTOTYPES[label]
    chosen = list(prototype.core)
    for unit, share in prototype.variants.items():
        if rng.random() < share and not clashes(unit, chosen):
            chosen.append(unit)
    level = rng.uniform(*strength)  # one person shows all units about equally strongly
    values = {u: np.clip(level + rng.normal(0, 0.12), *strength) for u in chosen}
    for unit in NOISE:
        if rng.random() < 0.05 and not clashes(unit, values):
            values.setdefault(unit, rng.uniform(0.05, 0.25))
    return [asymmetric(u, float(v), rng) for u, v in sorted(values.items())]


def sample_random(rng: np.random.Generator) -> list[Activation]:
    """Sample one to five units; a sided unit is on one side only one time in four."""
    weights = np.array([0.35 if u in RARE else 1.0 for u in SHAPES])
    order = rng.choice(list(SHAPES), size=len(SHAPES), replace=False, p=weights / weights.sum())
    chosen: list[int] = []
    for unit in map(int, order[: rng.integers(1, 6)]):
        if not clashes(unit, chosen):
            chosen.append(unit)
    return [_one_sided(u, float(rng.uniform(0.25, 1)), rng) for u in sorted(chosen)]


def asymmetric(unit: int, value: float, rng: np.random.Generator) -> Activation:
    """Make an activation with the small differences between the sides that faces have."""
    tilt = float(np.clip(rng.normal(0, 0.08), -0.25, 0.25)) if UNITS[unit].sided else 0.0
    left, right = np.clip([value * (1 + tilt), value * (1 - tilt)], 0, 1)
    return Activation(unit, float(left), float(right))


def _one_sided(unit: int, value: float, rng: np.random.Generator) -> Activation:
    both = asymmetric(unit, value, rng)
    if not UNITS[unit].sided or unit == 43 or rng.random() > 0.25:
        return both
    return Activation(unit, value, 0.0) if rng.random() < 0.5 else Activation(unit, 0.0, value)


def shape_weights(kit: Kit, activations: Iterable[Activation]) -> dict[str, float]:
    """Weigh the kit's shapes for action units: {"mouthSmile_L": 0.8, ...}."""
    out: dict[str, float] = {}
    given = list(activations)
    raised = any(a.unit == 1 for a in given)
    for act in given:
        for shape, weight in SHAPES[act.unit].items():
            if act.unit == 4 and raised:  # 1+4: brows drawn together while the inner ends rise
                weight = 0.55 * weight if shape == "browDown" else 0.0
            _add(out, kit, shape, weight, act)
    if not any(a.unit in OPENING for a in given):
        _close_lips(out)
    for side in (LEFT, RIGHT):
        _hold_upper_lip(out, side)
    return {k: float(np.clip(v, -0.3, 1.9)) for k, v in out.items()}


def _add(out: dict[str, float], kit: Kit, shape: str, weight: float, act: Activation) -> None:
    sides = ((LEFT, act.left), (RIGHT, act.right))
    if shape + LEFT in kit.index:
        for side, value in sides:
            out[shape + side] = out.get(shape + side, 0.0) + weight * value
    elif shape in kit.index:
        out[shape] = out.get(shape, 0.0) + weight * (act.left + act.right) / 2


def _close_lips(out: dict[str, float]) -> None:
    """Raise the lower lip after the upper one when nothing parts them, so no teeth show."""
    lift = max(
        out.get("mouthUpperUp" + s, 0.0) + 0.4 * out.get("noseSneer" + s, 0.0)
        for s in (LEFT, RIGHT)
    )
    if lift > 0.1:
        out["mouthShrugLower"] = max(out.get("mouthShrugLower", 0.0), min(0.5 + 0.6 * lift, 1.1))
        for side in (LEFT, RIGHT):
            out["mouthUpperUp" + side] = 0.6 * out.get("mouthUpperUp" + side, 0.0)


def _hold_upper_lip(out: dict[str, float], side: str) -> None:
    """Limit the sum of units that lift the upper lip, so that no gums show."""
    lift = sum(out.get(k + side, 0.0) * w for k, w in UPPER_LIFT.items())
    over = lift - LIFT_LIMIT
    if over <= 0:
        return
    key = "mouthUpperUp" + side
    if key in out:
        out[key] = max(out[key] - over, 0.12)
    if "noseSneer" + side in out:
        out["noseSneer" + side] = min(out["noseSneer" + side], 0.95)


def expression_weights(
    kit: Kit, activations: Iterable[Activation], gaze: tuple[float, float]
) -> dict[str, float]:
    """Weigh the kit's shapes for action units and for the lids that follow a gaze."""
    weights = shape_weights(kit, activations)
    for name, value in gaze_weights(*gaze).items():
        if name in kit.index:
            weights[name] = weights.get(name, 0.0) + value
    return weights


def gaze_weights(right: float, up: float) -> dict[str, float]:
    """Weigh the lid shapes that go with a gaze, -1..1 to the picture's right and up."""
    return {
        "eyeLookOut_L": max(right, 0.0),
        "eyeLookIn_R": max(right, 0.0),
        "eyeLookIn_L": max(-right, 0.0),
        "eyeLookOut_R": max(-right, 0.0),
        "eyeLookUp_L": max(up, 0.0),
        "eyeLookUp_R": max(up, 0.0),
        "eyeLookDown_L": max(-up, 0.0),
        "eyeLookDown_R": max(-up, 0.0),
    }


def unit_sides(activations: Iterable[Activation]) -> dict[int, tuple[float, float]]:
    """Return {unit: (left, right)}, as the wrinkle layer takes it."""
    return {a.unit: (a.left, a.right) for a in activations}
