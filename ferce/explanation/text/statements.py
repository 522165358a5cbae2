"""Read a text of plain statements ("The lips are parted, which fits fear.") back to what it says.

The models that ferce trains write such texts (`data.families`); what they name in a sentence, and
which emotion they tie it to, can then be put in order. Any other text is left to itself.
"""

import re
from dataclasses import dataclass
from typing import Literal

from ferce.core.labels import NOUNS
from ferce.core.types import REGIONS, Side
from ferce.explanation.text.parsing import parse

Kind = Literal["label", "signs", "rest", "silent", "covered"]

_EMOTION = f"(?:{'|'.join(NOUNS.values())})"
_REGION = f"(?:{'|'.join(REGIONS)})"
_LEADS = (
    "In this face, ",
    f"In keeping with {_EMOTION}, ",
    "Because ",
    "Apart from the label, ",
    "Besides, ",
    f"Both {_EMOTION} and {_EMOTION} show in ",
    f"{_EMOTION} shows in ",
    "This face shows ",
    "One can see ",
)
_TAILS = (
    f", which fits {_EMOTION}",
    f", as is common in {_EMOTION}",
    f", a sign of {_EMOTION}",
    f", the face has something of {_EMOTION}",
    f", which fits both {_EMOTION} and {_EMOTION}",
    f", which goes with {_EMOTION} as well as with {_EMOTION}",
    ", which the label does not explain",
)
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("label", r"(?:The expression|This face) looks (?P<label>.+)\."),
    ("label", r"Of all labels, (?P<label>.+) fits this expression best\."),
    ("label", r"The label nearest to this expression is (?P<label>.+)\."),
    ("rest", r"No facial action stands out: the face is at rest\."),
    ("rest", r"The brows, eyes and mouth are at rest\."),
    ("rest", r"Nothing in this face moves clearly away from rest\."),
    ("silent", rf"Nothing here speaks for {_EMOTION} alone\."),
    ("silent", rf"No sign belongs to {_EMOTION} alone\."),
    ("silent", rf"For {_EMOTION} alone there is no sign\."),
    ("covered", rf"The {_REGION} (?:is|are) covered, so what happens there cannot be told\."),
    ("covered", rf"Nothing can be said of the {_REGION}, which (?:is|are) covered\."),
    ("signs", rf"(?:{'|'.join(_LEADS)})?(?P<list>.+?)(?:{'|'.join(_TAILS)})?\."),
)
_FRAMES = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PATTERNS)
_SEPARATOR = re.compile(r"(, and |, | and )")
_END = re.compile(r"(?<=\.)\s+")
# How such a text begins; the first words of another one show that it is none.
_START = re.compile(
    r"The (?:expression looks|label nearest|brows, eyes) |This face |Of all labels|In this face, |"
    r"One can see |No facial action|Nothing in this face"
)
_UNDECIDED = 24  # characters within which every start has ended


@dataclass(frozen=True)
class Sign:
    """What a text names: the words, the action units they mean, their side, and if it is slight."""

    words: str
    units: tuple[int, ...]
    side: Side | None
    hedged: bool

    @property
    def whole(self) -> bool:
        """Whether the words are a clause ("the lips are parted") and not a noun phrase."""
        return re.search(r" (?:is|are) ", self.words) is not None


@dataclass(frozen=True)
class Statement:
    """One sentence: its kind and words, the label it names, the emotions, and the signs."""

    kind: Kind
    words: str
    label: str = ""
    emotions: tuple[str, ...] = ()
    signs: tuple[Sign, ...] = ()


def plain_so_far(text: str) -> bool:
    """Tell whether a text that may go on can still be one of plain statements."""
    if len(text) >= _UNDECIDED and not _START.match(text):
        return False
    return all(_statement(sentence) is not None for sentence in _END.split(text)[:-1])


def statements(text: str) -> tuple[Statement, ...] | None:
    """Read a text as plain statements; None where a sentence is none of them."""
    read = [_statement(sentence) for sentence in _END.split(text.strip())]
    known = tuple(one for one in read if one is not None)
    return known if len(known) == len(read) else None


def _statement(sentence: str) -> Statement | None:
    for kind, pattern in _FRAMES:
        if match := pattern.fullmatch(sentence):
            named = match.groupdict()
            frame = sentence.replace(named.get("list") or "\0", "")
            emotions = tuple(re.findall(_EMOTION, frame.lower()))
            signs = _signs(_lowered(named["list"])) if kind == "signs" else ()
            if signs is None:
                return None
            return Statement(kind, sentence, named.get("label") or "", emotions, signs)
    return None


def _lowered(words: str) -> str:
    return words[:1].lower() + words[1:]


def _signs(listed: str) -> tuple[Sign, ...] | None:
    """Cut a list into its signs; None where a part of it names no action unit."""
    pieces = _SEPARATOR.split(listed)
    signs: list[Sign] = []
    pending = before = ""
    for words, gap in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        sign = _sign(pending + words)
        if sign is not None:
            signs.append(sign)
            pending = ""
        elif before == " and " and signs and (longer := _longer(signs[-1], words)):
            signs[-1] = longer  # "raised" and "drawn together"
        else:
            pending += words + gap  # "tight" and "thin lips"
        before = gap
    return None if pending or not signs else tuple(signs)


def _longer(sign: Sign, words: str) -> Sign | None:
    """Read more words as part of a sign; None where they add nothing to it."""
    whole = _sign(f"{sign.words} and {words}")
    return whole if whole is not None and whole.units != sign.units else None


def _sign(words: str) -> Sign | None:
    cues = parse(words)
    units = tuple(dict.fromkeys(cue.unit for cue in cues if cue.unit is not None))
    if not units or any(cue.unit is None or cue.negated for cue in cues):
        return None
    return Sign(words, units, cues[0].side, cues[0].hedged)
