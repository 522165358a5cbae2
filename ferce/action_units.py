"""One table of action units (name, muscle, region, words, landmarks, prototypes) and how to read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ferce.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.types import Points, UnitEvidence, Units

# An action unit counts as seen from this intensity on; the onset of level B of FACS.
ACTIVE = 0.25
# Evidence below this confidence supports or denies nothing.
TRUSTED = 0.25


@dataclass(frozen=True)
class ActionUnit:
    """One row of the table.

    `region` is where it shows first, `also` where else. `seeds` are MediaPipe-478 landmark ids on the
    person's (right, left) side, or (centre,) for units without sides. `subject` and `predicate` are
    (one side or no sides, both sides) wordings: "the left lip corner" "is pulled up". `words` are
    phrases that name the unit in free text.
    Muscles and seeds follow py-feat's au_reference (MIT, after FACS 2002 and M. Ozel's ARKit sheet).
    """

    number: int
    name: str
    muscle: str
    region: str
    also: tuple[str, ...]
    seeds: tuple[tuple[int, ...], ...]
    subject: tuple[str, str]
    predicate: tuple[str, str]
    words: tuple[str, ...]

    @property
    def sided(self) -> bool:
        """Whether the two sides of the face can show it apart."""
        return len(self.seeds) == 2

    @property
    def code(self) -> str:
        """ "AU12"."""
        return f"AU{self.number}"

    def clause(self, side: str | None = None) -> str:
        """The unit in words: "the lip corners are pulled up", "the left lip corner is pulled up"."""
        if not self.sided:
            return f"{self.subject[0]} {self.predicate[0]}"
        if side is None:
            return f"{self.subject[1]} {self.predicate[1]}"
        return f"{self.subject[0].replace('the ', f'the {side} ', 1)} {self.predicate[0]}"


_LIPS = (0, 17, 37, 267, 84, 314)
_LIP_RING = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)
_JAW = (58, 172, 136, 132, 215, 138, 288, 397, 365, 361, 435, 367)

_TABLE = (
    ActionUnit(
        1, "inner brow raiser", "frontalis, pars medialis", "brows", (),
        ((107, 66, 105, 69), (336, 296, 334, 299)),
        ("the inner brow", "the inner brows"), ("is raised", "are raised"),
        ("inner brow raised", "inner brows raised", "oblique brows", "slanted brows", "worried brow"),
    ),
    ActionUnit(
        2, "outer brow raiser", "frontalis, pars lateralis", "brows", (),
        ((105, 63, 70, 71, 54, 68), (334, 293, 300, 301, 284, 298)),
        ("the outer brow", "the outer brows"), ("is raised", "are raised"),
        ("outer brow raised", "outer brows raised", "arched brows", "raised eyebrows"),
    ),
    ActionUnit(
        4, "brow lowerer", "corrugator supercilii, depressor supercilii, procerus", "brows", (),
        ((107, 55, 65, 9), (336, 285, 295, 8)),
        ("the brow", "the brows"), ("is drawn down", "are drawn together and down"),
        ("lowered brows", "furrowed brows", "knitted brows", "frown", "scowl"),
    ),
    ActionUnit(
        5, "upper lid raiser", "levator palpebrae superioris", "eyes", (),
        ((223, 222, 221, 189, 56), (443, 442, 441, 413, 286)),
        ("the upper lid", "the upper lids"), ("is raised", "are raised, so that the eyes look wide"),
        ("wide eyes", "widened eyes", "eyes wide open", "upper lids raised"),
    ),
    ActionUnit(
        6, "cheek raiser", "orbicularis oculi, pars orbitalis", "cheeks", ("eyes",),
        ((117, 118, 119, 100, 50, 36, 111, 31), (346, 347, 348, 329, 280, 266, 340, 261)),
        ("the cheek", "the cheeks"), ("is raised", "are raised"),
        ("raised cheeks", "crow's feet", "smiling eyes", "cheeks lifted"),
    ),
    ActionUnit(
        7, "lid tightener", "orbicularis oculi, pars palpebralis", "eyes", (),
        ((226, 110, 24, 23, 22, 26, 112, 190), (446, 339, 254, 253, 252, 256, 341, 414)),
        ("the lid", "the lids"), ("is tightened", "are tightened"),
        ("narrowed eyes", "squinting eyes", "tense eyelids", "tightened lids"),
    ),
    ActionUnit(
        9, "nose wrinkler", "levator labii superioris alaeque nasi", "nose", ("brows", "mouth"),
        ((115, 48, 49, 64, 102, 219), (344, 278, 279, 294, 331, 439)),
        ("the side of the nose", "the nose"), ("is wrinkled", "is wrinkled"),
        ("wrinkled nose", "scrunched nose", "nose wrinkles"),
    ),
    ActionUnit(
        10, "upper lip raiser", "levator labii superioris", "mouth", ("cheeks", "nose"),
        ((205, 36, 142, 203, 206, 207), (425, 266, 371, 423, 426, 427)),
        ("the upper lip", "the upper lip"), ("is raised on its side", "is raised"),
        ("raised upper lip", "curled upper lip", "sneer"),
    ),
    ActionUnit(
        11, "nasolabial deepener", "zygomaticus minor", "cheeks", (),
        ((116, 123, 117, 50), (345, 352, 346, 280)),
        ("the nasolabial fold", "the nasolabial folds"), ("is deepened", "are deepened"),
        ("deep nasolabial fold", "deepened nasolabial furrow"),
    ),
    ActionUnit(
        12, "lip corner puller", "zygomaticus major", "mouth", ("cheeks",),
        ((50, 101, 205, 187, 207, 61), (280, 330, 425, 411, 427, 291)),
        ("the lip corner", "the lip corners"), ("is pulled up", "are pulled up into a smile"),
        ("smile", "smiling mouth", "lip corners up", "grin"),
    ),
    ActionUnit(
        14, "dimpler", "buccinator", "mouth", ("cheeks",),
        ((212, 202, 57, 43, 204, 207), (432, 422, 287, 273, 424, 427)),
        ("the mouth corner", "the mouth corners"), ("is tightened inwards", "are tightened inwards"),
        ("dimples", "smirk", "tightened mouth corners"),
    ),
    ActionUnit(
        15, "lip corner depressor", "depressor anguli oris", "mouth", ("chin",),
        ((43, 204, 210, 135, 169, 61), (273, 424, 430, 364, 394, 291)),
        ("the lip corner", "the lip corners"), ("is pulled down", "are pulled down"),
        ("downturned mouth", "lip corners down", "pout", "drooping mouth corners"),
    ),
    ActionUnit(
        16, "lower lip depressor", "depressor labii inferioris", "mouth", (),
        ((84, 181, 91, 146, 61, 77), (314, 405, 321, 375, 291, 307)),
        ("the lower lip", "the lower lip"), ("is pulled down on its side", "is pulled down"),
        ("lower lip pulled down", "lower teeth showing"),
    ),
    ActionUnit(
        17, "chin raiser", "mentalis", "chin", ("mouth",),
        ((175, 199, 200, 18, 83, 313, 152, 148, 377),),
        ("the chin", "the chin"), ("is pushed up", "is pushed up"),
        ("raised chin", "wrinkled chin", "chin pushed up", "pushed-up lower lip"),
    ),
    ActionUnit(
        18, "lip pucker", "incisivii labii", "mouth", (), (_LIPS,),
        ("the lips", "the lips"), ("are puckered", "are puckered"),
        ("pursed lips", "puckered lips"),
    ),
    ActionUnit(
        20, "lip stretcher", "risorius, platysma", "mouth", ("cheeks",),
        ((212, 202, 210, 169, 150), (432, 422, 430, 394, 379)),
        ("the mouth corner", "the lips"), ("is stretched sideways", "are stretched sideways"),
        ("stretched lips", "lips stretched sideways", "tense mouth"),
    ),
    ActionUnit(
        22, "lip funneler", "orbicularis oris", "mouth", (), ((61, 291, 40, 270, 91, 321),),
        ("the lips", "the lips"), ("are funnelled", "are funnelled"), ("funnelled lips",),
    ),
    ActionUnit(
        23, "lip tightener", "orbicularis oris", "mouth", (), (_LIP_RING,),
        ("the lips", "the lips"), ("are tightened", "are tightened"),
        ("tight lips", "tightened lips", "thin lips"),
    ),
    ActionUnit(
        24, "lip pressor", "orbicularis oris", "mouth", (), (_LIP_RING,),
        ("the lips", "the lips"), ("are pressed together", "are pressed together"),
        ("pressed lips", "lips pressed together"),
    ),
    ActionUnit(
        25, "lips part", "depressor labii inferioris, relaxed mentalis", "mouth", (), (_LIP_RING,),
        ("the lips", "the lips"), ("are parted", "are parted"),
        ("parted lips", "open mouth", "teeth showing"),
    ),
    ActionUnit(
        26, "jaw drop", "relaxed masseter and temporalis", "mouth", ("chin",), (_JAW,),
        ("the jaw", "the jaw"), ("is dropped", "is dropped"),
        ("dropped jaw", "mouth wide open", "gasp"),
    ),
    ActionUnit(
        27, "mouth stretch", "pterygoids, digastric", "mouth", ("chin",), (_JAW,),
        ("the mouth", "the mouth"), ("is stretched wide open", "is stretched wide open"),
        ("mouth stretched wide", "gaping mouth"),
    ),
    ActionUnit(
        28, "lip suck", "orbicularis oris", "mouth", (), (_LIP_RING,),
        ("the lips", "the lips"), ("are sucked in", "are sucked in"),
        ("lips sucked in", "lips rolled in"),
    ),
    ActionUnit(
        43, "eyes closed", "relaxed levator palpebrae superioris", "eyes", (),
        ((159, 145, 33, 133), (386, 374, 263, 362)),
        ("the eye", "the eyes"), ("is closed", "are closed"), ("closed eyes", "shut eyes"),
    ),
)  # fmt: skip

UNITS: MappingProxyType[int, ActionUnit] = MappingProxyType({u.number: u for u in _TABLE})


@dataclass(frozen=True)
class Prototype:
    """Action units that make a label: `core` shown by more than 70 % of people, `variants` unit ->
    share of people 0..1."""

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
    """Whether the action unit is part of the basic emotion (Du's core or variants, or EMFACS)."""
    prototype = PROTOTYPES[basic]
    return unit in prototype.core or unit in prototype.variants or unit in EMFACS[basic]


def in_region(unit: int, region: str) -> bool:
    """Whether the unit shows in the region, first or also."""
    row = UNITS[unit]
    return region == row.region or region in row.also


@dataclass(frozen=True)
class Channel:
    """How one action unit is read from MediaPipe.

    The mean of the `names` blendshapes of a side (or the `geometry` measure) is mapped linearly from
    `onset` (intensity 0) to `full` (1). `reliability` 0..1 is 2 AUC - 1 of that value against faces on
    which two annotators agreed (development data; `train.calibrate_units` prints it).
    `smile` is the share of the smile taken off first, since a smile moves this channel by itself.
    """

    names: tuple[str, ...] = ()
    onset: float = 0.2
    full: float = 0.8
    reliability: float = 0.4
    smile: float = 0.0
    geometry: str = ""


# cheekSquint, noseSneer, cheekPuff and jawForward never leave zero in MediaPipe's network, so AU6
# and AU9 have no channel, and AU11 has no blendshape: they are reported with confidence 0.
CHANNELS: MappingProxyType[int, Channel] = MappingProxyType(
    {
        1: Channel(("browInnerUp",), 0.40, 0.85, 0.40),
        2: Channel(("browOuterUp",), 0.45, 0.85, 0.65),
        4: Channel(("browDown",), 0.40, 0.90, 0.45, smile=0.35),
        5: Channel(onset=0.42, full=0.56, reliability=0.80, geometry="eye opening"),
        7: Channel(("eyeSquint",), 0.58, 0.85, 0.50, smile=0.12),
        10: Channel(("mouthUpperUp",), 0.08, 0.45, 0.55, smile=0.90),
        12: Channel(("mouthSmile",), 0.25, 0.75, 0.95),
        14: Channel(("mouthDimple",), 0.08, 0.30, 0.30),
        15: Channel(("mouthFrown",), 0.05, 0.35, 0.50),
        16: Channel(("mouthLowerDown",), 0.20, 0.70, 0.40, smile=0.30),
        17: Channel(("mouthShrugLower",), 0.45, 0.70, 0.40),
        18: Channel(("mouthPucker",), 0.70, 0.95, 0.40),
        20: Channel(("mouthStretch",), 0.06, 0.45, 0.45, smile=0.15),
        22: Channel(("mouthFunnel",), 0.12, 0.50, 0.30),
        23: Channel(("mouthPress",), 0.35, 0.70, 0.25),
        24: Channel(("mouthPress", "mouthRollLower"), 0.32, 0.65, 0.30),
        25: Channel(onset=0.035, full=0.20, reliability=0.94, geometry="lip gap"),
        26: Channel(onset=0.12, full=0.40, reliability=0.90, geometry="lip gap"),
        27: Channel(onset=0.40, full=0.65, reliability=0.85, geometry="lip gap"),
        28: Channel(("mouthRollUpper", "mouthRollLower"), 0.35, 0.75, 0.30),
        43: Channel(("eyeBlink",), 0.45, 0.75, 0.98),
    }
)


def _inner_eye_distance(landmarks: Points) -> float:
    """Distance of the two eye centres (mean of the corners), in the unit of the landmarks."""
    right, left = landmarks[[33, 133], :2].mean(0), landmarks[[362, 263], :2].mean(0)
    return float(np.linalg.norm(right - left)) or 1.0


def _gap(landmarks: Points, a: int, b: int) -> float:
    return float(np.linalg.norm(landmarks[a, :2] - landmarks[b, :2]))


def _geometry(measure: str, landmarks: Points) -> tuple[float, float]:
    """(right, left): lip gap over eye distance (both the same), or eye height over eye width."""
    if measure == "lip gap":
        gap = _gap(landmarks, 13, 14) / _inner_eye_distance(landmarks)
        return gap, gap
    right = _gap(landmarks, 159, 145) / (_gap(landmarks, 33, 133) or 1.0)
    left = _gap(landmarks, 386, 374) / (_gap(landmarks, 362, 263) or 1.0)
    return right, left


def _side_value(channel: Channel, blendshapes: Mapping[str, float], side: str) -> float:
    """Mean of the channel's blendshapes on one side ("Left"/"Right"), less the smile's share."""
    values = [blendshapes.get(n + side, blendshapes.get(n, 0.0)) for n in channel.names]
    return sum(values) / len(values) - channel.smile * blendshapes.get("mouthSmile" + side, 0.0)


def _scaled(value: float, channel: Channel) -> float:
    return min(max((value - channel.onset) / (channel.full - channel.onset), 0.0), 1.0)


def _confidence(channel: Channel, smile: float, frontal: float) -> float:
    """The channel's reliability; a channel that a smile moves is worth less the broader the smile."""
    return channel.reliability * (1.0 - min(channel.smile, 1.0) * smile) * frontal


def evidence(
    blendshapes: Mapping[str, float], landmarks: Points | None = None, yaw: float = 0.0
) -> dict[int, UnitEvidence]:
    """Action units as MediaPipe's 52 blendshapes and mesh show them.

    Args:
        blendshapes: name -> 0..1, ARKit names. MediaPipe's left and right are the person's.
        landmarks: (478, 3) in any pixel scale; without them the units read from geometry are unknown.
        yaw: degrees; beyond 15 the far side is guessed, so confidence falls, to half at 45.

    Returns:
        Every unit of `UNITS`; those that cannot be read here have intensity 0 and confidence 0.
    """
    smile = (blendshapes.get("mouthSmileLeft", 0.0) + blendshapes.get("mouthSmileRight", 0.0)) / 2
    frontal = 1.0 - min(max(abs(yaw) - 15.0, 0.0), 30.0) / 60.0
    found = {}
    for number in UNITS:
        channel = CHANNELS.get(number)
        if channel is None or (channel.geometry and landmarks is None):
            found[number] = UnitEvidence(number, 0.0, 0.0, source="mediapipe")
            continue
        if channel.geometry and landmarks is not None:
            right, left = _geometry(channel.geometry, landmarks)
        else:
            right, left = (_side_value(channel, blendshapes, s) for s in ("Right", "Left"))
        found[number] = _reading(number, (right, left), _confidence(channel, smile, frontal))
    return found


def _reading(number: int, values: tuple[float, float], confidence: float) -> UnitEvidence:
    right, left = (_scaled(v, CHANNELS[number]) for v in values)
    sides = (left, right) if UNITS[number].sided else (None, None)
    return UnitEvidence(number, (right + left) / 2, confidence, *sides, source="mediapipe")


def active(units: Units, threshold: float = ACTIVE) -> tuple[UnitEvidence, ...]:
    """Units that are there and can be trusted, strongest first."""
    seen = [u for u in units.values() if u.intensity >= threshold and u.confidence >= TRUSTED]
    return tuple(sorted(seen, key=lambda u: -u.intensity * u.confidence))
