"""The table of action units of FACS: name, region, landmarks and words."""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class ActionUnit:
    """One row of the table.

    `region` is where it shows first, `also` where else. `seeds` are MediaPipe-478 landmark ids on
    the person's (right, left) side, or (centre,) for units without sides, after py-feat's
    au_reference (MIT). `subject` and `predicate` are (one side or no sides, both sides) wordings:
    "the left lip corner" "is pulled up". `words` are phrases that name the unit in free text.
    """

    number: int
    name: str
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
        """The unit as FACS writes it, such as AU12."""
        return f"AU{self.number}"

    def clause(self, side: str | None = None) -> str:
        """Put the unit into words, such as "the left lip corner is pulled up"."""
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
        1,
        "inner brow raiser",
        "brows",
        (),
        ((107, 66, 105, 69), (336, 296, 334, 299)),
        ("the inner brow", "the inner brows"),
        ("is raised", "are raised"),
        (
            "inner brow raised",
            "inner brows raised",
            "oblique brows",
            "slanted brows",
            "worried brow",
        ),
    ),
    ActionUnit(
        2,
        "outer brow raiser",
        "brows",
        (),
        ((105, 63, 70, 71, 54, 68), (334, 293, 300, 301, 284, 298)),
        ("the outer brow", "the outer brows"),
        ("is raised", "are raised"),
        ("outer brow raised", "outer brows raised", "arched brows", "raised eyebrows"),
    ),
    ActionUnit(
        4,
        "brow lowerer",
        "brows",
        (),
        ((107, 55, 65, 9), (336, 285, 295, 8)),
        ("the brow", "the brows"),
        ("is drawn down", "are drawn together and down"),
        ("lowered brows", "furrowed brows", "knitted brows", "frown", "scowl"),
    ),
    ActionUnit(
        5,
        "upper lid raiser",
        "eyes",
        (),
        ((223, 222, 221, 189, 56), (443, 442, 441, 413, 286)),
        ("the upper lid", "the upper lids"),
        ("is raised", "are raised, so that the eyes look wide"),
        ("wide eyes", "widened eyes", "eyes wide open", "upper lids raised"),
    ),
    ActionUnit(
        6,
        "cheek raiser",
        "cheeks",
        ("eyes",),
        ((117, 118, 119, 100, 50, 36, 111, 31), (346, 347, 348, 329, 280, 266, 340, 261)),
        ("the cheek", "the cheeks"),
        ("is raised", "are raised"),
        ("raised cheeks", "crow's feet", "smiling eyes", "cheeks lifted"),
    ),
    ActionUnit(
        7,
        "lid tightener",
        "eyes",
        (),
        ((226, 110, 24, 23, 22, 26, 112, 190), (446, 339, 254, 253, 252, 256, 341, 414)),
        ("the lid", "the lids"),
        ("is tightened", "are tightened"),
        ("narrowed eyes", "squinting eyes", "tense eyelids", "tightened lids"),
    ),
    ActionUnit(
        9,
        "nose wrinkler",
        "nose",
        ("brows", "mouth"),
        ((115, 48, 49, 64, 102, 219), (344, 278, 279, 294, 331, 439)),
        ("the side of the nose", "the nose"),
        ("is wrinkled", "is wrinkled"),
        ("wrinkled nose", "scrunched nose", "nose wrinkles"),
    ),
    ActionUnit(
        10,
        "upper lip raiser",
        "mouth",
        ("cheeks", "nose"),
        ((205, 36, 142, 203, 206, 207), (425, 266, 371, 423, 426, 427)),
        ("the upper lip", "the upper lip"),
        ("is raised on its side", "is raised"),
        ("raised upper lip", "curled upper lip", "sneer"),
    ),
    ActionUnit(
        11,
        "nasolabial deepener",
        "cheeks",
        (),
        ((116, 123, 117, 50), (345, 352, 346, 280)),
        ("the nasolabial fold", "the nasolabial folds"),
        ("is deepened", "are deepened"),
        ("deep nasolabial fold", "deepened nasolabial furrow"),
    ),
    ActionUnit(
        12,
        "lip corner puller",
        "mouth",
        ("cheeks",),
        ((50, 101, 205, 187, 207, 61), (280, 330, 425, 411, 427, 291)),
        ("the lip corner", "the lip corners"),
        ("is pulled up", "are pulled up into a smile"),
        ("smile", "smiling mouth", "lip corners up", "grin"),
    ),
    ActionUnit(
        14,
        "dimpler",
        "mouth",
        ("cheeks",),
        ((212, 202, 57, 43, 204, 207), (432, 422, 287, 273, 424, 427)),
        ("the mouth corner", "the mouth corners"),
        ("is tightened inwards", "are tightened inwards"),
        ("dimples", "smirk", "tightened mouth corners"),
    ),
    ActionUnit(
        15,
        "lip corner depressor",
        "mouth",
        ("chin",),
        ((43, 204, 210, 135, 169, 61), (273, 424, 430, 364, 394, 291)),
        ("the lip corner", "the lip corners"),
        ("is pulled down", "are pulled down"),
        ("downturned mouth", "lip corners down", "pout", "drooping mouth corners"),
    ),
    ActionUnit(
        16,
        "lower lip depressor",
        "mouth",
        (),
        ((84, 181, 91, 146, 61, 77), (314, 405, 321, 375, 291, 307)),
        ("the lower lip", "the lower lip"),
        ("is pulled down on its side", "is pulled down"),
        ("lower lip pulled down", "lower teeth showing"),
    ),
    ActionUnit(
        17,
        "chin raiser",
        "chin",
        ("mouth",),
        ((175, 199, 200, 18, 83, 313, 152, 148, 377),),
        ("the chin", "the chin"),
        ("is pushed up", "is pushed up"),
        ("raised chin", "wrinkled chin", "chin pushed up", "pushed-up lower lip"),
    ),
    ActionUnit(
        18,
        "lip pucker",
        "mouth",
        (),
        (_LIPS,),
        ("the lips", "the lips"),
        ("are puckered", "are puckered"),
        ("pursed lips", "puckered lips"),
    ),
    ActionUnit(
        20,
        "lip stretcher",
        "mouth",
        ("cheeks",),
        ((212, 202, 210, 169, 150), (432, 422, 430, 394, 379)),
        ("the mouth corner", "the lips"),
        ("is stretched sideways", "are stretched sideways"),
        ("stretched lips", "lips stretched sideways", "tense mouth"),
    ),
    ActionUnit(
        22,
        "lip funneler",
        "mouth",
        (),
        ((61, 291, 40, 270, 91, 321),),
        ("the lips", "the lips"),
        ("are funnelled", "are funnelled"),
        ("funnelled lips",),
    ),
    ActionUnit(
        23,
        "lip tightener",
        "mouth",
        (),
        (_LIP_RING,),
        ("the lips", "the lips"),
        ("are tightened", "are tightened"),
        ("tight lips", "tightened lips", "thin lips"),
    ),
    ActionUnit(
        24,
        "lip pressor",
        "mouth",
        (),
        (_LIP_RING,),
        ("the lips", "the lips"),
        ("are pressed together", "are pressed together"),
        ("pressed lips", "lips pressed together"),
    ),
    ActionUnit(
        25,
        "lips part",
        "mouth",
        (),
        (_LIP_RING,),
        ("the lips", "the lips"),
        ("are parted", "are parted"),
        ("parted lips", "open mouth", "teeth showing"),
    ),
    ActionUnit(
        26,
        "jaw drop",
        "mouth",
        ("chin",),
        (_JAW,),
        ("the jaw", "the jaw"),
        ("is dropped", "is dropped"),
        ("dropped jaw", "mouth wide open", "gasp"),
    ),
    ActionUnit(
        27,
        "mouth stretch",
        "mouth",
        ("chin",),
        (_JAW,),
        ("the mouth", "the mouth"),
        ("is stretched wide open", "is stretched wide open"),
        ("mouth stretched wide", "gaping mouth"),
    ),
    ActionUnit(
        28,
        "lip suck",
        "mouth",
        (),
        (_LIP_RING,),
        ("the lips", "the lips"),
        ("are sucked in", "are sucked in"),
        ("lips sucked in", "lips rolled in"),
    ),
    ActionUnit(
        43,
        "eyes closed",
        "eyes",
        (),
        ((159, 145, 33, 133), (386, 374, 263, 362)),
        ("the eye", "the eyes"),
        ("is closed", "are closed"),
        ("closed eyes", "shut eyes"),
    ),
)

UNITS: MappingProxyType[int, ActionUnit] = MappingProxyType({u.number: u for u in _TABLE})
UNIT_NUMBERS: tuple[int, ...] = tuple(sorted(UNITS))  # columns of every array of units
