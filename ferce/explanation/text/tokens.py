"""Split text into tokens with lemmas and exact character spans."""

import re
from dataclasses import dataclass
from types import MappingProxyType

# "isn't" is "is" and "n't", "cannot" is "can" and "not".
_TOKEN = re.compile(
    r"[^\W\d_]+?(?=n['’]t\b)|n['’]t\b|can(?=not\b)|[^\W\d_]+|\d+|[^\w\s]", re.IGNORECASE
)


def words(text: str) -> frozenset[str]:
    """Split a text into its set of words, for tables that read as prose."""
    return frozenset(text.split())


_REGULAR = words(
    "raise lift elevate hike pull push draw move tilt slant angle point slope curve arch "
    "widen bulge enlarge narrow close seal open press compress clamp purse pucker stretch "
    "retract tighten tense strain wrinkle scrunch crinkle crease curl protrude thrust bare "
    "expose reveal display tuck suck funnel deepen clench tremble quiver puff blush flush "
    "twitch relax calm beam laugh smirk sneer snarl frown scowl pout gasp squint furrow "
    "contract pinch bunch squeeze depress upturn downturn upcurve downcurve droop sag gape "
    "pop roll turn reach touch flare slit jut knot dimple smile look seem appear remain stay "
    "lack fail show pronounce line flash tug drag lower smooth"
)
_DOUBLED = words("funnel thin drop sag slit jut knit shut grit grin pop tug drag hang")
_IRREGULAR_FORMS = (
    "draw: drawn drew; knit: knitted; bring: brought bringing brings; shoot: shot shoots; fly: "
    "flew flown; rise: rises rising rose risen; stick: stuck sticks sticking; hang: hangs hung; "
    "go: went goes; keep: kept keeps keeping; fall: falls fallen; form: forms forming formed; "
    "make: makes making made; set: sets setting; show: shown; see: seen sees; not: n't; be: is "
    "are was were been being am; have: has had having; do: does did doing; can: ca; will: wo; "
    "tooth: teeth; foot: feet; brow: eyebrow eyebrows; lid: eyelid eyelids; lowr: lowered "
    "lowers lowering; parted: parted parting; separated: separating; agape: agape; laugh: "
    "laughs; expression: expressions; dimple: dimples"
)  # lemma: its forms
_IRREGULAR = {
    form: lemma.strip()
    for lemma, forms in (row.split(":") for row in _IRREGULAR_FORMS.split(";"))
    for form in forms.split()
}
_NOUNS = words(
    "brow lid eye lip cheek nostril corner nose mouth jaw chin forehead fold furrow line "
    "crease bridge muscle area region side end hand arm head shoulder finger fist au unit "
    "action tooth foot window edge portion tip cloud "
    "storm shadow dagger movement activity motion change hint "
    "trace touch sign"
)


def _forms() -> dict[str, str]:
    forms: dict[str, str] = {}
    for base in _NOUNS:
        forms[base + ("es" if base.endswith(("s", "sh")) else "s")] = base
    for base in _REGULAR:
        stem = base.removesuffix("e")
        sibilant = base.endswith(("s", "sh", "ch", "x"))
        forms |= {base + ("es" if sibilant else "s"): base, stem + "ed": base, stem + "ing": base}
    for base in _DOUBLED:
        forms |= {base + "s": base, base + base[-1] + "ed": base, base + base[-1] + "ing": base}
    return forms | _IRREGULAR


_FORMS = MappingProxyType(_forms())


@dataclass(frozen=True)
class Token:
    """One word or sign: its lemma and the span text[start:end]."""

    lemma: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Split a text into tokens; "isn't" gives two, a hyphen inside a word none."""
    result = []
    for match in _TOKEN.finditer(text):
        word = match.group().lower().replace("’", "'")
        if word in "*\"“”`#'" or (word in "-‐‑" and _inside(text, match.start())):
            continue
        result.append(Token(_FORMS.get(word, word), match.start(), match.end()))
    return result


def _inside(text: str, at: int) -> bool:
    """Tell whether the hyphen at `at` joins two words."""
    return 0 < at < len(text) - 1 and text[at - 1].isalnum() and text[at + 1].isalnum()
