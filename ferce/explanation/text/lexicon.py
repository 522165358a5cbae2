"""Lexicon of facial movement: body parts, states, and the action units of each pair.

Patterns run over lemmas joined by blanks. In them `~` is an optional side ("left") and `^` are
optional determiners ("the", "both of her").
"""

import re
from dataclasses import dataclass
from types import MappingProxyType

from ferce.explanation.text.tokens import tokens
from ferce.facs.action_units import UNITS

_DETERMINERS = (
    "the|a|an|his|her|their|its|my|your|our|this|these|those|that|both|each|one|two|all|any|some|"
    "of|person|subject|woman|man|girl|boy|child|baby|individual|face|s"
)
_DET = rf"(?:(?:{_DETERMINERS}) )*"
_SIDE = r"(?:(?:left|right)(?: hand)? )?"


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern with `~` and `^` filled in, matching whole lemmas."""
    return re.compile(rf"\b(?:{pattern})\b".replace("~", _SIDE).replace("^", _DET))


# Part -> (region, pattern); the first that matches wins, so the longer come first.
_PARTS: dict[str, tuple[str, str]] = {
    "inner brow": (
        "brows",
        "~inner ~(?:(?:corner|end|part|edge|portion|half) of ^~)?brow|brow inner corner|~inner one",
    ),
    "outer brow": (
        "brows",
        "~outer ~(?:(?:corner|end|part|edge|portion|half) of ^~)?brow|brow outer corner|~outer one",
    ),
    "glabella": ("brows", "glabella|(?:area|space|skin|region) between ^brow"),
    "brow": ("brows", "~(?:side of ^)?~brow(?: region| muscle| area)?"),
    "forehead": ("brows", "~(?:side of ^)?forehead"),
    "upper lid": ("eyes", "~upper ~lid"),
    "lower lid": ("eyes", "~lower ~lid"),
    "lid": ("eyes", "~lid"),
    "eye muscle": ("eyes", "(?:muscle|skin|area|region) (?:around|of|near|below) ^~eye"),
    "eye": (
        "eyes",
        "~(?:(?:side|corner|outer corner|inner corner) of ^)?~eye(?: corner| area| region)?",
    ),
    "nose": ("nose", "~(?:side of ^|bridge of ^)?~nose(?: bridge)?|nasal bridge"),
    "nostril": ("nose", "~nostril"),
    "fold": ("cheeks", "~nasolabial (?:fold|furrow|crease|line)"),
    "cheek": ("cheeks", "~(?:upper )?~cheek(?: muscle)?"),
    "corner": (
        "mouth",
        "~(?:lip|mouth) ~corner|~corner of ^~(?:mouth|lip)|~side of ^(?:mouth|lip)",
    ),
    "upper lip": ("mouth", "~(?:side of ^)?~upper ~lip"),
    "lower lip": ("mouth", "~(?:side of ^)?~(?:lower|bottom) ~lip"),
    "lower teeth": ("mouth", "(?:lower|bottom) tooth"),
    "teeth": ("mouth", "(?:rows? of ^)?(?:upper |top )?tooth"),
    "mouth": ("mouth", "mouth(?: muscle| region| area)?"),
    "lip": ("mouth", "lip"),
    "jaw": ("chin", "jaw|jawline"),
    "chin": ("chin", "chin(?: boss| muscle)?"),
    "bare corner": ("mouth", "~corner"),
}
PARTS = MappingProxyType({name: compiled(pattern) for name, (_, pattern) in _PARTS.items()})
REGION = MappingProxyType({name: region for name, (region, _) in _PARTS.items()})

# Subjects that are no part of the face: what is said of them is not said of a face.
OTHERS = compiled(
    "hand|arm|head|shoulder|finger|fist|hair|voice|door|body|neck|gaze|posture|glass|beard|window|"
    "other one|rest"
)
PRONOUNS = compiled("they|it|them|~(?:left|right) one")

_UPWARD, _DOWNWARD = "(?:\\w+ly )?(?:up|upward|upwards)", "(?:\\w+ly )?(?:down|downward|downwards)"
_INWARD = "(?:together|inward|inwards|in)"
_LOWER = rf"(?:pull|draw|push|press|bring|drag|tug) {_DOWNWARD}"
# State -> pattern; the first that matches at the earliest place wins.
_STATES: dict[str, str] = {
    "o shape": "(?:open )?(?:in|into|form|make|create)(?: into)? an? (?:\\w+ )?o(?: shape)?",
    "line": "(?:set |press |pull |draw |stretch )?(?:in|into|to|form|make) an? (?:\\w+ ){0,3}line",
    "stretch wide": "(?:wide )?stretch (?:wide open|open wide|wide|open)|gape|stretch wide",
    "wide open": "open(?= ^(?:mouth|eye|jaw) wide)|wide open|open wide|agape|hang open|"
    "fall open|hang (?:slack|loose)",
    "raise inner": (
        f"(?:raise|lift|elevate|pull {_UPWARD}|draw {_UPWARD}|slant {_UPWARD}) "
        "(?:in|at|toward|towards|near) ^(?:middle|center|centre|inner \\w+)"
    ),
    "raise": (
        f"raise|lift|elevate|hike|(?:shoot|pull|draw|push|go|move|flash|fly|tug) {_UPWARD}|rise"
        f"|upward (?:pull|movement)|bunch {_UPWARD}(?= under)"
    ),
    "stay": "(?:stay|remain|keep) (?:down|level|still|low|flat|neutral|in place)",
    "curve up": f"(?:turn|curl|curve|tilt|slant|angle|point|slope) {_UPWARD}|upturn|upcurve"
    f"|{_UPWARD} (?:turn|curve|curl|slant)",
    "curve down": f"(?:turn|curl|curve|tilt|slant|angle|point|slope) {_DOWNWARD}|downturn|downcurve"
    f"|{_DOWNWARD} (?:turn|curve|curl|slant)|droop|sag",
    "together": rf"(?:draw|pull|bring|push|pinch|squeeze|knit) {_INWARD}(?: and {_DOWNWARD})?"
    rf"|{_LOWER} and {_INWARD}|furrow|knit|contract|pinch|bunch|knot",
    "lower": f"lowr|lower(?= ^(?:brow|corner))|{_LOWER}|low(?= brow)|(?<=be )low|drop",
    "depress": "depress",
    "oblique": "oblique|slant|worried",
    "arch": "arch",
    "wide": "wide|widen|bulge|enlarge|pop (?:out|open)",
    "narrow": "narrow|slit",
    "line between": "(?:vertical )?(?:line|crease|furrow|wrinkle) between ^brow",
    "line across": "horizontal (?:line|wrinkle|crease|furrow) (?:on|across|in|of) ^forehead",
    "shut": "close(?! (?:to|up|look|attention|by))|shut|seal",
    "open": "open|ajar|parted|apart|separated|(?<=lip )part",
    "press": "press(?: (?:\\w+ly )?(?:together|shut|tight))?|compress|clamp",
    "purse": "purse",
    "pucker": "pucker",
    "stretch": "stretch(?: (?:sideways|horizontally|laterally|outward|back))?"
    "|(?:pull|draw) (?:back|sideways|outward|laterally|horizontally)|retract",
    "tight": "tight|tighten(?: inward| inwards)?|thin",
    "tense": "tense|tension|strain|tautness|taut|tightness",
    "wrinkle": "wrinkle|scrunch(?: up)?|crinkle|crease|line(?= (?:on|across|in) )",
    "curl": "curl",
    "push up": "jut(?: out)?|protrude|(?:stick|push|thrust) (?:out|forward)",
    "show": "show|visible|bare|expose|reveal|display|be see",
    "suck": "(?:suck|roll|tuck|draw) (?:in|inward|inwards)",
    "funnel": "funnel",
    "deepen": "deepen|deep|pronounce|prominent|visible",
    "slack": "slack|loose",
    "unmeasured": "clench|grit|flare|tremble|quiver|puff|blush|flush|twitch|watery|teary|tearful",
    "still": "relax|(?:rest )?(?:in )?^(?:neutral|natural|normal)(?: (?:position|state))?|at rest|"
    "smooth|calm|unengaged|soft"
    "|motionless",
    "move": "movement|activity|motion|activation",
    "toothy": "toothy",
    "smile": "smile|grin|beam|laugh|laughter",
    "smirk": "smirk",
    "dimple": "dimple|tuck",
    "sneer": "sneer|snarl",
    "frown": "frown|scowl",
    "pout": "pout",
    "gasp": "gasp",
    "squint": "squint",
    "crow": "crow s foot|crow foot|laugh line",
    "reach": "(?:reach|touch) ^eye",
    "up": "up|upward|upwards",
    "down": "down|downward|downwards",
    "in": "together",
}
STATES = MappingProxyType({name: compiled(pattern) for name, pattern in _STATES.items()})
# Particles say something only right behind a part: "brows up".
PARTICLES = frozenset({"up", "down", "in"})
# A region that is said to be so shows a movement which no action unit of the table measures.
UNMEASURED = compiled(f"{_STATES['unmeasured']}|{_STATES['tense']}")


@dataclass(frozen=True)
class Meaning:
    """What a part in a state means: units present, or absent; no units means the region alone."""

    units: tuple[int, ...] = ()
    negated: bool = False


def _rules(text: str) -> dict[tuple[str, str], Meaning]:
    """Read rules written as `state: part, part = units`; a minus says the units are absent."""
    rules = {}
    for row in filter(str.strip, text.splitlines()):
        state, rest = row.split(":")
        for clause in rest.split(";"):
            parts, numbers = clause.split("=")
            units = tuple(int(n) for n in numbers.replace("-", "").split())
            for part in parts.split(","):
                rules[state.strip(), part.strip()] = Meaning(units, "-" in numbers)
    return rules


RULES = MappingProxyType(
    _rules("""
        o shape: mouth, lip = 26
        line: mouth, lip = 24
        stretch wide: mouth, jaw = 27
        wide open: mouth, jaw, lip = 26; eye, lid = 5
        raise inner: brow = 1
        raise: brow, forehead = 1 2; inner brow = 1; outer brow = 2; upper lid, lid = 5; cheek = 6
        raise: lower lid = 7; upper lip = 10; corner, bare corner = 12; chin, lower lip = 17
        curve up: corner, bare corner, lip, mouth = 12; brow, inner brow = 1; outer brow = 2
        curve down: corner, bare corner, lip, mouth = 15; brow, inner brow = 4
        together: brow, inner brow, glabella, forehead = 4; chin = 17
        lower: brow, inner brow, outer brow = 4; corner, bare corner, mouth, lip = 15
        lower: lower lip = 16; jaw = 26
        depress: corner, bare corner = 15; lower lip = 16; brow = 4
        oblique: brow, inner brow = 1
        arch: brow, outer brow = 2
        wide: eye, lid, upper lid = 5
        narrow: eye, lid = 7
        shut: mouth, lip, jaw = -25; eye, lid = 43
        open: mouth, lip = 25; jaw = 26; eye, lid = -43
        press: mouth, lip = 24
        purse: mouth, lip = 18
        pucker: mouth, lip = 18
        stretch: mouth, lip, corner, bare corner = 20
        tight: lip, mouth = 23; eye, lid, lower lid, eye muscle = 7; corner, bare corner = 14
        tense: mouth = 20 23 24; lip = 23; eye, lid, lower lid, eye muscle = 7
        tense: brow, glabella, forehead = 4
        wrinkle: nose = 9; eye, eye muscle = 6; chin = 17; glabella, brow = 4
        wrinkle: forehead =
        tense: jaw, teeth, nose, nostril, cheek, chin =
        curl: upper lip, lip = 10; corner = 12
        push up: lower lip, chin = 17
        show: teeth = 25; lower teeth = 16
        suck: lip = 28
        funnel: lip, mouth = 22
        deepen: fold = 11
        slack: jaw, mouth = 26
        smile: mouth, lip, corner = 12; eye = 6
        dimple: corner, cheek, mouth = 14; chin = 17
        sneer: lip, upper lip, mouth = 10
        frown: mouth, lip, corner = 15; brow, forehead = 4
        pout: lip, lower lip, mouth = 15
        squint: eye, lid = 7
        up: brow, forehead = 1 2; inner brow = 1; outer brow = 2; corner, bare corner = 12
        up: upper lip = 10; cheek = 6; lower lip, chin = 17
        down: brow, inner brow = 4; corner, bare corner = 15; lower lip = 16
        in: brow, inner brow = 4
    """)
    | {("still", part): Meaning((), negated=True) for part in PARTS if part != "bare corner"}
    | {("stay", part): Meaning((), negated=True) for part in PARTS if part != "bare corner"}
    | {("move", part): Meaning() for part in PARTS if part != "bare corner"}
    | {("unmeasured", part): Meaning() for part in PARTS if part != "bare corner"}
)
# States that name a unit without any part.
ALONE = MappingProxyType(
    {
        "smile": 12,
        "smirk": 14,
        "dimple": 14,
        "sneer": 10,
        "frown": 4,
        "pout": 15,
        "gasp": 26,
        "squint": 7,
        "crow": 6,
        "reach": 6,
        "toothy": 25,
    }
)
# States that hold their part in themselves.
WHOLE = MappingProxyType({"line between": (4,), "line across": (1, 2)})
MUSCLES = MappingProxyType(
    {
        "zygomaticus major": (12,),
        "zygomaticus minor": (11,),
        "corrugator(?: supercilii)?(?: muscle)?": (4,),
        "frontalis": (1, 2),
        "orbicularis oculi": (6, 7),
        "levator palpebrae(?: superioris)?": (5,),
        "depressor anguli oris": (15,),
        "levator labii superioris(?! alaeque)": (10,),
        "levator labii superioris alaeque nasi": (9,),
        "mentalis": (17,),
        "risorius": (20,),
        "buccinator": (14,),
    }
)


def _named() -> dict[re.Pattern[str], tuple[int, ...]]:
    """Build patterns of FACS names; plain words ("eyes closed") only match before a code."""
    patterns: dict[re.Pattern[str], tuple[int, ...]] = {}
    for number, row in UNITS.items():
        lemmas = " ".join(token.lemma for token in tokens(row.name))
        plain = not row.name.endswith(("er", "or"))
        patterns[re.compile(rf"\b{lemmas}\b" + (r"(?= \()" if plain else ""))] = (number,)
    return patterns


NAMES = MappingProxyType(
    {re.compile(rf"\b{pattern}\b"): units for pattern, units in MUSCLES.items()} | _named()
)
