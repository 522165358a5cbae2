"""Action units: which emotions they speak for, and how MediaPipe's signals show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.core.types import Points, UnitEvidence, Units
from ferce.facs.action_units import UNITS, ActionUnit

# An action unit counts as seen from this intensity on; the onset of level B of FACS.
ACTIVE = 0.25
__all__ = [
    "ACTIVE",
    "CHANNELS",
    "EMFACS",
    "PROTOTYPES",
    "TRUSTED",
    "UNITS",
    "ActionUnit",
    "Channel",
    "Prototype",
    "active",
    "evidence",
    "fits",
    "frontal",
    "in_region",
]

# Evidence below this confidence supports or denies nothing.
TRUSTED = 0.25


@dataclass(frozen=True)
class Prototype:
    """Action units that make a label.

    `core` is shown by more than 70 % of people, `variants` maps a unit to its share of people 0..1.
    """

    core: tuple[int, ...]
    variants: Mapping[int, float]
    source: str


_DU = "Du, Tao & Martinez 2014, PNAS 111(15) E1454, Table 1"
_EMOTIONET = "Benitez-Quiroz, Srinivasan & Martinez 2016, CVPR (EmotioNet); variants are ours"


def _du(core: tuple[int, ...], **variants: int) -> Prototype:
    return Prototype(core, {int(k[2:]): v / 100 for k, v in variants.items()}, _DU)


PROTOTYPES: MappingProxyType[str, Prototype] = MappingProxyType(
    {
        "happy": _du((12, 25), au6=51),
        "sad": _du((4, 15), au1=60, au6=50, au11=26, au17=67),
        "fearful": _du((1, 4, 20, 25), au2=57, au5=63, au26=33),
        "angry": _du((4, 7, 24), au10=26, au17=52, au23=29),
        "surprised": _du((1, 2, 25, 26), au5=66),
        "disgusted": _du((9, 10, 17), au4=31, au24=26),
        "happily surprised": _du((1, 2, 12, 25), au5=64, au26=67),
        "happily disgusted": _du((10, 12, 25), au4=32, au6=61, au9=59),
        "sadly fearful": _du((1, 4, 20, 25), au2=46, au5=24, au6=34, au15=30),
        "sadly angry": _du((4, 15), au6=26, au7=48, au11=20, au17=50),
        "sadly surprised": _du((1, 4, 25, 26), au2=27, au6=31),
        "sadly disgusted": _du((4, 10), au1=49, au6=61, au9=20, au11=35, au15=54, au17=47, au25=43),
        "fearfully angry": _du((4, 20, 25), au5=40, au7=39, au10=30, au11=33),
        "fearfully surprised": _du((1, 2, 5, 20, 25), au4=47, au10=35, au11=22, au26=51),
        "fearfully disgusted": _du((1, 4, 10, 20, 25), au2=64, au5=50, au6=26, au9=28, au15=33),
        "angrily surprised": _du((4, 25, 26), au5=35, au7=50, au10=34),
        "angrily disgusted": _du((4, 10, 17), au7=60, au9=57, au24=36),
        "disgustedly surprised": _du((1, 2, 5, 10), au4=45, au9=37, au17=66, au24=33),
        "happily fearful": Prototype((1, 2, 12, 25, 26), {4: 0.4, 5: 0.5, 20: 0.5}, _EMOTIONET),
        "happily sad": Prototype((4, 6, 12, 25), {1: 0.5, 15: 0.3, 17: 0.3}, _EMOTIONET),
        NEUTRAL: Prototype((), {}, "FACS: no action unit active"),
    }
)
# Strongest FACS form of each basic emotion (FACS 1978, Table 11-1, and EMFACS); says which emotion
# a single unit speaks for where Du's table is silent.
EMFACS: MappingProxyType[str, frozenset[int]] = MappingProxyType(
    {
        "happy": frozenset({6, 12}),
        "sad": frozenset({1, 4, 11, 15, 17}),
        "fearful": frozenset({1, 2, 4, 5, 20, 26}),
        "angry": frozenset({4, 5, 7, 10, 17, 22, 23, 24}),
        "surprised": frozenset({1, 2, 5, 26, 27}),
        "disgusted": frozenset({4, 9, 10, 16, 17}),
    }
)
assert set(PROTOTYPES) == {*COMPOUNDS, *BASICS, NEUTRAL}, "one prototype for each label"


def fits(unit: int, basic: str) -> bool:
    """Tell whether the unit is part of the basic emotion (Du's core or variants, or EMFACS)."""
    prototype = PROTOTYPES[basic]
    return unit in prototype.core or unit in prototype.variants or unit in EMFACS[basic]


def in_region(unit: int, region: str) -> bool:
    """Tell whether the unit shows in the region, first or also."""
    row = UNITS[unit]
    return region == row.region or region in row.also


@dataclass(frozen=True)
class Channel:
    """The mapping from MediaPipe's signals to one action unit.

    The mean of the `names` blendshapes of a side (or the `geometry` measure) is mapped linearly
    from `onset` (intensity 0) to `full` (1). `reliability` 0..1 is about 2 AUC - 1 of that value
    against openly licensed faces on which two annotators agreed. `smile` is the share of the smile
    taken off first, since a smile moves this channel by itself.
    """

    names: tuple[str, ...] = ()
    onset: float = 0.2
    full: float = 0.8
    reliability: float = 0.4
    smile: float = 0.0
    geometry: str = ""


# Onsets lie so that ACTIVE is crossed where 95 % of 102 neutral faces of the London set stay below.
# cheekSquint, noseSneer, cheekPuff and jawForward never leave zero in MediaPipe's network, so AU6
# and AU9 have no channel, and AU11 has no blendshape: they are reported with confidence 0.
CHANNELS: MappingProxyType[int, Channel] = MappingProxyType(
    {
        1: Channel(("browInnerUp",), 0.30, 0.78, 0.40),
        2: Channel(("browOuterUp",), 0.40, 0.80, 0.65),
        4: Channel(("browDown",), 0.28, 0.68, 0.60, smile=0.35),
        5: Channel(onset=0.40, full=0.49, reliability=0.85, geometry="eye opening"),
        7: Channel(("eyeSquint",), 0.47, 0.71, 0.50, smile=0.12),
        10: Channel(("mouthUpperUp",), 0.04, 0.32, 0.40, smile=0.90),
        12: Channel(("mouthSmile",), 0.15, 0.60, 0.95),
        14: Channel(("mouthDimple",), 0.08, 0.30, 0.30),
        15: Channel(("mouthFrown",), 0.02, 0.16, 0.50),
        16: Channel(("mouthLowerDown",), 0.20, 0.70, 0.40, smile=0.30),
        17: Channel(("mouthShrugLower", "mouthRollUpper"), 0.26, 0.48, 0.40),
        18: Channel(("mouthPucker",), 0.70, 0.95, 0.40),
        20: Channel(("mouthStretch",), 0.06, 0.45, 0.45, smile=0.15),
        22: Channel(("mouthFunnel",), 0.12, 0.50, 0.30),
        23: Channel(("mouthPress",), 0.35, 0.70, 0.25),
        24: Channel(("mouthPress", "mouthRollLower"), 0.32, 0.65, 0.30),
        25: Channel(onset=0.035, full=0.20, reliability=0.94, geometry="lip gap"),
        26: Channel(onset=0.17, full=0.42, reliability=0.90, geometry="lip gap"),
        27: Channel(onset=0.40, full=0.65, reliability=0.85, geometry="lip gap"),
        28: Channel(("mouthRollUpper", "mouthRollLower"), 0.35, 0.75, 0.30),
        43: Channel(("eyeBlink",), 0.45, 0.75, 0.98),
    }
)


def _inner_eye_distance(landmarks: Points) -> float:
    """Measure the distance of the eye centres (mean of the corners), in landmark units."""
    right, left = landmarks[[33, 133], :2].mean(0), landmarks[[362, 263], :2].mean(0)
    return float(np.linalg.norm(right - left)) or 1.0


def _gap(landmarks: Points, a: int, b: int) -> float:
    return float(np.linalg.norm(landmarks[a, :2] - landmarks[b, :2]))


def _geometry(measure: str, landmarks: Points) -> tuple[float, float]:
    """Measure (right, left): lip gap over eye distance, or eye height over eye width."""
    if measure == "lip gap":
        gap = _gap(landmarks, 13, 14) / _inner_eye_distance(landmarks)
        return gap, gap
    right = _gap(landmarks, 159, 145) / (_gap(landmarks, 33, 133) or 1.0)
    left = _gap(landmarks, 386, 374) / (_gap(landmarks, 362, 263) or 1.0)
    return right, left


def _side_value(channel: Channel, blendshapes: Mapping[str, float], side: str) -> float:
    """Average the channel's blendshapes of a side ("Left"/"Right"), less the smile's share."""
    values = [blendshapes.get(n + side, blendshapes.get(n, 0.0)) for n in channel.names]
    return sum(values) / len(values) - channel.smile * blendshapes.get("mouthSmile" + side, 0.0)


def _scaled(value: float, channel: Channel) -> float:
    return min(max((value - channel.onset) / (channel.full - channel.onset), 0.0), 1.0)


def _confidence(channel: Channel, smile: float, turned: float) -> float:
    """Lower the channel's reliability where a smile moves the channel and the smile is broad."""
    return channel.reliability * (1.0 - min(channel.smile, 1.0) * smile) * turned


def frontal(yaw: float) -> float:
    """Compute the share of confidence left at a yaw in degrees: 1 up to 15, half at 45."""
    return 1.0 - min(max(abs(yaw) - 15.0, 0.0), 30.0) / 60.0


def evidence(
    blendshapes: Mapping[str, float], landmarks: Points | None = None, yaw: float = 0.0
) -> dict[int, UnitEvidence]:
    """Measure action units from MediaPipe's 52 blendshapes and mesh.

    Args:
        blendshapes: name -> 0..1, ARKit names. MediaPipe's left and right are the person's.
        landmarks: (478, 3) in any pixel scale; without them AU5, 25, 26 and 27 are unknown.
        yaw: degrees; beyond 15 the far side is guessed, so confidence falls, to half at 45.

    Returns:
        Every unit of `UNITS`; those that cannot be read here have intensity 0 and confidence 0.
    """
    smile = (blendshapes.get("mouthSmileLeft", 0.0) + blendshapes.get("mouthSmileRight", 0.0)) / 2
    units = {}
    for number in UNITS:
        channel = CHANNELS.get(number)
        if channel is None or (channel.geometry and landmarks is None):
            units[number] = UnitEvidence(number, 0.0, 0.0, source="mediapipe")
            continue
        if channel.geometry and landmarks is not None:
            right, left = _geometry(channel.geometry, landmarks)
        else:
            right, left = (_side_value(channel, blendshapes, s) for s in ("Right", "Left"))
        units[number] = _reading(number, (right, left), _confidence(channel, smile, frontal(yaw)))
    return units


def _reading(number: int, values: tuple[float, float], confidence: float) -> UnitEvidence:
    right, left = (_scaled(v, CHANNELS[number]) for v in values)
    mean = (right + left) / 2
    if not UNITS[number].sided:
        return UnitEvidence(number, mean, confidence, source="mediapipe")
    return UnitEvidence(number, mean, confidence, left, right, source="mediapipe")


def active(units: Units, threshold: float = ACTIVE) -> tuple[UnitEvidence, ...]:
    """List the units that are active and trusted, strongest first."""
    seen = [u for u in units.values() if u.intensity >= threshold and u.confidence >= TRUSTED]
    return tuple(sorted(seen, key=lambda u: -u.intensity * u.confidence))
