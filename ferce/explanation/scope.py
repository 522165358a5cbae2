"""How far a negation, a hedge or a condition reaches: marks on the tokens of one sentence."""

import re
from collections.abc import Iterator, Sequence

from ferce.explanation.lexicon import compiled
from ferce.explanation.tokens import words

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
    """Lemmas of one sentence as a string, with the way back from characters to tokens."""

    def __init__(self, lemmas: Sequence[str]) -> None:
        self.lemmas = list(lemmas)
        self.text = " ".join(lemmas)
        self._token = [i for i, word in enumerate(lemmas) for _ in range(len(word) + 1)]

    def ranges(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
        """Token ranges [i, j) where the pattern matches."""
        for match in pattern.finditer(self.text):
            if match.end() > match.start():
                yield self._token[match.start()], self._token[match.end() - 1] + 1

    def marks(self, ranges: Iterator[tuple[int, int]] | Sequence[tuple[int, int]]) -> Marks:
        """True for the tokens within any of the ranges."""
        found = [False] * len(self.lemmas)
        for i, j in ranges:
            found[i:j] = [True] * (j - i)
        return found


def negated(sentence: Sentence) -> Marks:
    """True for the tokens that a negation denies."""
    harmless = sentence.marks(sentence.ranges(_HARMLESS))
    reach: list[tuple[int, int]] = []
    for pattern, nominal in ((_CLAUSAL, False), (_NOMINAL, True)):
        for i, j in sentence.ranges(pattern):
            if not harmless[i]:
                reach.append((i, _forward(sentence.lemmas, j, nominal)))
    reach += [(_backward(sentence.lemmas, i), i) for i, _ in sentence.ranges(_BEHIND)]
    return sentence.marks(reach)


def supposed(sentence: Sentence) -> Marks:
    """True for the tokens that are only supposed: "if the brows were raised"."""
    if _GENERAL.match(sentence.text):
        return [True] * len(sentence.lemmas)
    return sentence.marks(
        [(i, _until(sentence.lemmas, j, _CONTRAST)) for i, j in sentence.ranges(_CONDITION)]
    )


def hedged(sentence: Sentence, states: Sequence[tuple[int, int]]) -> Marks:
    """True for the tokens of states that are hedged.

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
    """The state that the degree at [i, j) belongs to."""
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
    """The first comma or stop from `start` on."""
    ends = (k for k in range(start, len(lemmas)) if lemmas[k] == "," or lemmas[k] in stops)
    return next(ends, len(lemmas))


def _forward(lemmas: Sequence[str], start: int, nominal: bool) -> int:
    """Where a negation or doubt that begins before token `start` ends."""
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
    """Whether what follows a comma is another item of a list that ends in "or"."""
    for word in lemmas[start:]:
        if word in ("or", "nor"):
            return True
        if word in _STOP or word in _FINITE or word in ("and", "no", "only"):
            return False
    return False


def _begins_anew(lemmas: Sequence[str], start: int, nominal: bool) -> bool:
    """Whether "and" is followed by something that the negation before it does not reach."""
    rest = lemmas[start : start + 3]
    if not rest or rest[0] in _DETERMINER:
        return True
    until = _until(lemmas, start, _STOP)
    return not nominal and any(word in _FINITE for word in lemmas[start:until])


def _backward(lemmas: Sequence[str], end: int) -> int:
    """Where the clause that ends before token `end` begins."""
    for k in range(end - 1, -1, -1):
        if lemmas[k] == "," or lemmas[k] in _STOP:
            return k + 1
        if lemmas[k] == "and" and any(word in _FINITE for word in lemmas[:k]):
            return k + 1
    return 0
