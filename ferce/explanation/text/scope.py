"""Scope of negations, hedges, conditions and sides: marks on the tokens of one sentence."""

import re
from collections.abc import Iterator, Sequence

from ferce.core.types import Side
from ferce.explanation.text.lexicon import compiled
from ferce.explanation.text.tokens import words

Marks = list[bool]

# Negations that deny what follows. Those that only look like one are taken out first.
_HARMLESS = compiled(
    "not (?:only|just|merely|simply|without|unlike)|(?:no|without|beyond)(?: any| a)? "
    "(?:doubt|question|wonder|mistake)|hard to miss|can not be miss|nothing but|no less than"
)
_CLAUSAL = compiled("not|never|neither|nor|can not|fail to|hardly|scarcely")
_NOMINAL = compiled(
    "no|without|none of|lack of|lack|lacking|devoid of|free of|free from|absence of|instead of|"
    "rather than|as opposed to|far from|nothing|zero"
)
# Denials that stand behind what they deny: "a smile is absent".
_BEHIND = compiled(
    "be (?:\\w+ly )?(?:absent|missing|lacking|nowhere|not (?:\\w+ly )?(?:visible|present|see|there|"
    "evident|apparent|active|detectable|noticeable|observable|activated))|"
    "can not be (?:see|observed)"
)
_CONDITION = compiled("(?<!as )if|whether|unless|would|should the|normally|usually")
_GENERAL = re.compile(r"(?:typically|usually|normally|generally|in general) ,")

_DEGREE = compiled(
    "slight|slightly|somewhat|a bit|a little|mild|mildly|faint|faintly|subtle|subtly|partial|"
    "partially|partly|barely|half(?! of)|hint|trace|ghost|suggestion|touch of|minimal|minimally|"
    "hardly|scarcely|almost|weak|weakly|not fully|lightly|gently|gentle|moderately"
)
_EPISTEMIC = compiled(
    "perhaps|maybe|possibly|probably|presumably|seemingly|apparently|arguably|likely|may|"
    "might|could|"
    "seem|look (?:like|as if|as though)|"
    "appear(?! (?:on|in|at|around|across|,|\\.))"
)
_EPISTEMIC_BEHIND = compiled(
    "(?:may|might|could|possibly|perhaps|maybe|probably)(?: also)?(?: be)?(?: \\w+ly)? "
    "(?:present|visible|there|see|seen|detectable|noticeable)"
)
_STOP = words(
    ". ; ! ? : — – - ( but yet however though although while whereas except despite because "
    "since only so then with which suggest indicate"
)
_DETERMINER = words("the a an his her their its one both there he she it they with have show only")
_FINITE = words("be have do seem appear look show suggest indicate remain")
_CONTRAST = words("but yet however though although while whereas : — –")


class Sentence:
    """Lemmas of one sentence as a string, with the token of each character."""

    def __init__(self, lemmas: Sequence[str]) -> None:
        self.lemmas = list(lemmas)
        self.text = " ".join(lemmas)
        self._token = [i for i, word in enumerate(lemmas) for _ in range(len(word) + 1)]

    def ranges(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
        """Yield token ranges [i, j) where the pattern matches."""
        for match in pattern.finditer(self.text):
            if match.end() > match.start():
                yield self._token[match.start()], self._token[match.end() - 1] + 1

    def marks(self, ranges: Iterator[tuple[int, int]] | Sequence[tuple[int, int]]) -> Marks:
        """Mark the tokens within any of the ranges."""
        marks = [False] * len(self.lemmas)
        for i, j in ranges:
            marks[i:j] = [True] * (j - i)
        return marks


def negated(sentence: Sentence) -> Marks:
    """Mark the tokens that a negation denies."""
    harmless = sentence.marks(sentence.ranges(_HARMLESS))
    reach: list[tuple[int, int]] = []
    for pattern, nominal in ((_CLAUSAL, False), (_NOMINAL, True)):
        for i, j in sentence.ranges(pattern):
            if not harmless[i]:
                reach.append((i, _forward(sentence.lemmas, j, nominal)))
    reach += [(_backward(sentence.lemmas, i), i) for i, _ in sentence.ranges(_BEHIND)]
    return sentence.marks(reach)


def supposed(sentence: Sentence) -> Marks:
    """Mark the tokens that are only supposed: "if the brows were raised"."""
    if _GENERAL.match(sentence.text):
        return [True] * len(sentence.lemmas)
    return sentence.marks(
        [(i, _until(sentence.lemmas, j, _CONTRAST)) for i, j in sentence.ranges(_CONDITION)]
    )


def hedged(sentence: Sentence, states: Sequence[tuple[int, int]]) -> Marks:
    """Mark the tokens of states that are hedged.

    A degree ("slightly") hedges the state it stands before, or right behind; a doubt ("perhaps")
    the rest of its clause.
    """
    reach: list[tuple[int, int]] = []
    for i, j in sentence.ranges(_DEGREE):
        reach += _nearest(sentence.lemmas, states, i, j)
    reach += [(i, _forward(sentence.lemmas, j, False)) for i, j in sentence.ranges(_EPISTEMIC)]
    reach += [(_backward(sentence.lemmas, i), i) for i, _ in sentence.ranges(_EPISTEMIC_BEHIND)]
    return sentence.marks(reach)


def _nearest(
    lemmas: Sequence[str], states: Sequence[tuple[int, int]], i: int, j: int
) -> list[tuple[int, int]]:
    """Find the state that the degree at [i, j) belongs to."""
    ahead = [s for s in states if s[0] >= j]
    behind = [s for s in states if s[1] == i]
    within = [s for s in states if s[0] <= i and j <= s[1]]
    if within:
        return within[:1]
    until = _until(lemmas, j, _STOP)
    if ahead and ahead[0][0] < until and "and" not in lemmas[j : ahead[0][0]]:
        return ahead[:1]
    return behind[-1:]


def _until(lemmas: Sequence[str], start: int, stops: frozenset[str]) -> int:
    """Find the first comma or stop from `start` on."""
    ends = (k for k in range(start, len(lemmas)) if lemmas[k] == "," or lemmas[k] in stops)
    return next(ends, len(lemmas))


def _forward(lemmas: Sequence[str], start: int, nominal: bool) -> int:
    """Find the end of a negation or doubt that begins before token `start`."""
    for k in range(start, len(lemmas)):
        word = lemmas[k]
        if word in _STOP and not (word == "(" or (word == "with" and k == start)):
            return k
        if word == "," and not _list_goes_on(lemmas, k + 1):
            return k
        if word == "and" and _begins_anew(lemmas, k + 1, nominal):
            return k
    return len(lemmas)


def _list_goes_on(lemmas: Sequence[str], start: int) -> bool:
    """Tell whether what follows a comma is another item of a list that ends in "or"."""
    for word in lemmas[start:]:
        if word in ("or", "nor"):
            return True
        if word in _STOP or word in _FINITE or word in ("and", "no", "only"):
            return False
    return False


def _begins_anew(lemmas: Sequence[str], start: int, nominal: bool) -> bool:
    """Tell whether "and" is followed by something that the negation does not reach."""
    rest = lemmas[start : start + 3]
    if not rest or rest[0] in _DETERMINER:
        return True
    until = _until(lemmas, start, _STOP)
    return not nominal and any(word in _FINITE for word in lemmas[start:until])


def _backward(lemmas: Sequence[str], end: int) -> int:
    """Find the start of the clause that ends before token `end`."""
    for k in range(end - 1, -1, -1):
        if lemmas[k] == "," or lemmas[k] in _STOP:
            return k + 1
        if lemmas[k] == "and" and any(word in _FINITE for word in lemmas[:k]):
            return k + 1
    return 0


# A side said apart from its part: "on the left", "on the right side of the picture".
APART = compiled(
    "(?:on|at|to|from) (?:the |his |her |their |its |person s |viewer s |viewer )*"
    "(?:left|right)(?: hand)?(?: side| half)?"
    "(?: of ^(?:picture|image|photo|photograph|frame|viewer|screen))?"
)
_MIRRORED = words("viewer viewers picture image photo photograph frame screen")
_WORDS = frozenset(("left", "right"))


class Sides:
    """Sides named in one sentence, each given to the nearest claim."""

    def __init__(self, sentence: Sentence, claims: Sequence[tuple[int, int]]) -> None:
        self.lemmas = sentence.lemmas
        self.given: dict[int, Side] = {}
        for i, j in sentence.ranges(APART):
            if claims and not self._adverb(i, j):
                nearest = min(range(len(claims)), key=lambda k: self._distance(claims[k], i, j))
                self.given.setdefault(nearest, self._said(i, j))

    def of(self, claim: int, part: tuple[int, int]) -> Side | None:
        """Return the side of a claim whose part is the tokens [i, j); None for both or no side."""
        i, j = part
        if i > 1 and self.lemmas[i - 1] == "and" and self.lemmas[i - 2] in _WORDS:
            return None  # "the left and right brows"
        said = [w for w in self.lemmas[i:j] if w in _WORDS]
        if len(set(said)) == 1:
            return "left" if said[0] == "left" else "right"
        return self.given.get(claim)

    def _said(self, i: int, j: int) -> Side:
        words = self.lemmas[max(i - 2, 0) : j + 1]
        left = "left" in self.lemmas[i:j]
        return "left" if left != bool(_MIRRORED.intersection(words)) else "right"

    def _adverb(self, i: int, j: int) -> bool:
        """Tell whether the phrase names no side of the face: "in the right light"."""
        del i
        return j < len(self.lemmas) and self.lemmas[j] in ("at", "now", "light", "moment")

    def _distance(self, claim: tuple[int, int], i: int, j: int) -> int:
        """Measure the distance in tokens, doubled; -1 within the claim, 3 more before it."""
        if claim[0] <= i and j <= claim[1]:
            return -1
        return (i - claim[1]) * 2 if i >= claim[1] else (claim[0] - j) * 2 + 3


_IDIOMS = compiled(
    "tongue in cheek|eye for|eye contact|blink of an eye|eye level|blind eye|naked eye|"
    "eye catching|an eye on|open mind|stiff upper lip|down in ^mouth|word of mouth|lip service|"
    "chin up|raise (?:\\w+ )?brow (?:among|across|over|in)|eye of ^beholder|see eye to eye|"
    "more than meet ^eye|tooth and nail|nose for|mouth water|mouth watering|part of|parts of|"
    "open to|open up|close to|in terms of|(?:upper|lower) (?:part|half)"
)
_METAPHOR = compiled(
    "cloud|storm|stormy|shadow|fire|flame|spark|sparkle|twinkle|ice|window to|soul|thunder|"
    "sunshine|sun|abyss|lightning|mirror|dagger|sea|ocean|weight|light"
)
_APPEARANCE = compiled(
    "blue|brown|green|hazel|grey|gray|black|dark|red|pink|blonde|thick|bushy|full lip|painted|"
    "lipstick|makeup|mascara|glass|sunglass|beard|mustache|moustache|freckle|bright|beautiful|"
    "shaved|plucked|groomed|frame"
)
_HIDDEN = compiled(
    "hidden|covered|occluded|obscured|hide|cover|obscure|out of frame|cropped|unclear|"
    "can not be (?:see|told|judged|read|assessed)|not (?:clearly )?(?:visible|see)"
)
_GAZE = compiled(
    "(?:look|gaze|stare|glance|directed|focused|fixed|locked|looking|staring|gazing) (?:\\w+ly )?"
    "(?:at|into|toward|towards|away|off|straight|to|on|sideways|forward)"
)


def idioms(sentence: Sentence) -> Iterator[tuple[int, int]]:
    """Yield token ranges of fixed phrases in which a part or a state means something else."""
    return sentence.ranges(_IDIOMS)


def empty_mentions(sentence: Sentence) -> Marks:
    """Mark clauses in which a bare part ("her blue eyes") names no movement."""
    marks = [False] * len(sentence.lemmas)
    for pattern in (_METAPHOR, _APPEARANCE, _HIDDEN, _GAZE):
        for i, _ in sentence.ranges(pattern):
            start, end = _clause(sentence.lemmas, i)
            marks[start:end] = [True] * (end - start)
    return marks


def _clause(lemmas: list[str], at: int) -> tuple[int, int]:
    stops = [k for k, word in enumerate(lemmas) if word in (",", "but", "while", ":", "(", ")")]
    start = max((k + 1 for k in stops if k < at), default=0)
    return start, min((k for k in stops if k > at), default=len(lemmas))
