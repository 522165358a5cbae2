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
_IRREGULAR = {
    "drawn": "draw",
    "drew": "draw",
    "knitted": "knit",
    "brought": "bring",
    "bringing": "bring",
    "brings": "bring",
    "shot": "shoot",
    "shoots": "shoot",
    "flew": "fly",
    "flown": "fly",
    "rises": "rise",
    "rising": "rise",
    "rose": "rise",
    "risen": "rise",
    "stuck": "stick",
    "sticks": "stick",
    "sticking": "stick",
    "hangs": "hang",
    "hung": "hang",
    "went": "go",
    "goes": "go",
    "kept": "keep",
    "keeps": "keep",
    "keeping": "keep",
    "falls": "fall",
    "fallen": "fall",
    "forms": "form",
    "forming": "form",
    "formed": "form",
    "makes": "make",
    "making": "make",
    "made": "make",
    "sets": "set",
    "setting": "set",
    "shown": "show",
    "seen": "see",
    "sees": "see",
    "n't": "not",
    "is": "be",
    "are": "be",
    "was": "be",
    "were": "be",
    "been": "be",
    "being": "be",
    "am": "be",
    "has": "have",
    "had": "have",
    "having": "have",
    "does": "do",
    "did": "do",
    "doing": "do",
    "ca": "can",
    "wo": "will",
    "teeth": "tooth",
    "feet": "foot",
    "eyebrow": "brow",
    "eyebrows": "brow",
    "eyelid": "lid",
    "eyelids": "lid",
    "lowered": "lowr",
    "lowers": "lowr",
    "lowering": "lowr",
    "parted": "parted",
    "parting": "parted",
    "separating": "separated",
    "agape": "agape",
    "laughs": "laugh",
    "expressions": "expression",
    "dimples": "dimple",
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
