"""Parse text to cues: the action unit or region of each claim, its side, and if it is denied.

A sentence is read as parts ("brows"), states ("raised") and the words that link them. A state
belongs to the part right behind it, else to the part it is said of, and the pair is looked up in
the lexicon; what the lexicon does not hold claims nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ferce.core.parts import Cue
from ferce.explanation.text.binding import Bound, Item, bind
from ferce.explanation.text.lexicon import (
    NAMES,
    OTHERS,
    PARTICLES,
    PARTS,
    PRONOUNS,
    REGION,
    STATES,
    WHOLE,
    Meaning,
    compiled,
)
from ferce.explanation.text.scope import (
    APART,
    Sentence,
    Sides,
    empty_mentions,
    hedged,
    idioms,
    negated,
    supposed,
)
from ferce.explanation.text.tokens import Token, tokens
from ferce.facs.action_units import UNITS

_CODES = re.compile(r"\b(?:au|facs|action unit)(?: number)? ?(\d+)((?: (?:,|\+|/|and|&|or) \d+)*)")
# Tokens after which a sentence is cut, since the time to read one grows with its length cubed.
LONGEST = 100
_INTO = re.compile(r"(?:in|into|to form|form)(?: a| an)?(?: \w+){0,2}")
_SUBJECT = compiled(
    "(?:the|a|an|this|that|his|her|their|its|overall|whole) (?:\\w+ )?\\w+(?= (?:be|have|look|seem|"
    "appear|stay|remain)\\b)|he|she|person|man|woman|girl|boy|expression|face|somebody|someone"
)

# In the order in which they claim their words: what holds its part in itself comes before parts,
# particles come last.
_FIRST = (*WHOLE, "reach", "crow")
_PATTERNS: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    *(("state", name, STATES[name]) for name in _FIRST),
    *(("name", "", pattern) for pattern in NAMES),
    *(("part", name, pattern) for name, pattern in PARTS.items()),
    ("pronoun", "", PRONOUNS),
    *(("state", name, p) for name, p in STATES.items() if name not in (*_FIRST, *PARTICLES)),
    ("other", "", OTHERS),
    *(("state", name, STATES[name]) for name in sorted(PARTICLES)),
)


def parse(text: str) -> tuple[Cue, ...]:
    """Parse the claims of a text about facial movements, in the order of the text.

    A phrase that names two units ("raised brows") gives one cue each over the same span; other
    spans never overlap. What is only supposed ("if the brows were raised"), general or figurative
    gives nothing. A part named without any movement gives a cue with `unit` None.
    """
    cues: list[Cue] = []
    last: Item | None = None
    for part in sentences(tokens(text)):
        fresh, last = _read(text, part, last)
        cues += fresh
    return tuple(cues)


def sentences(words: Sequence[Token]) -> Iterator[list[Token]]:
    """Cut tokens into sentences, their end marks left out."""
    current: list[Token] = []
    for i, token in enumerate(words):
        follows = words[i + 1].start if i + 1 < len(words) else token.end + 1
        ends = token.lemma in (".", "!", "?", ";") and follows > token.end
        if (ends or len(current) >= LONGEST) and current:
            yield current
            current = []
        if not ends:
            current.append(token)
    if current:
        yield current


@dataclass(frozen=True)
class _Claim:
    """A meaning over tokens [i, j) of a sentence; `at` is the token that negations must reach."""

    i: int
    j: int
    at: int
    units: tuple[int, ...]
    region: str | None
    negated: bool
    tokens: tuple[int, int] | None = None  # of the part, where its side is looked for


def _read(text: str, words: list[Token], last: Item | None) -> tuple[list[Cue], Item | None]:
    """Read the cues of one sentence and its last part, which a pronoun of the next may mean."""
    sentence = Sentence([w.lemma for w in words])
    items = _items(sentence)
    bound, free = bind(items, sentence.lemmas, last)
    claims = _absorbed([c for b in bound for c in _bound_claim(b)], sentence.lemmas)
    claims += _named(sentence, claims)
    claims += _codes(sentence, claims)
    mute, denied = empty_mentions(sentence), negated(sentence)
    claims += [
        _Claim(p.i, p.j, p.i, (), REGION[p.name], False, (p.i, p.j))
        for p in free
        if not mute[p.i] and not denied[p.i] and not _covered(p, claims)
    ]
    cues = _cues(text, words, sentence, sorted(claims, key=lambda c: (c.i, c.j)))
    parts = [item for item in items if item.kind == "part"]
    return cues, parts[-1] if parts else last


def _items(sentence: Sentence) -> list[Item]:
    """List parts, states, names, pronouns and other subjects in order; none overlap."""
    taken = sentence.marks([*idioms(sentence), *sentence.ranges(APART)])
    items: list[Item] = []
    for kind, name, pattern in _PATTERNS:
        for i, j in sentence.ranges(pattern):
            if not any(taken[i:j]):
                items.append(Item(kind, name, i, j))
                taken[i:j] = [True] * (j - i)
    for i, j in sentence.ranges(_SUBJECT):
        if not any(taken[i:j]):
            items.append(Item("other", "", j - 1, j))
    return sorted(items, key=lambda item: item.i)


def _bound_claim(b: Bound) -> Iterator[_Claim]:
    meaning: Meaning = b.meaning
    region = REGION[b.part.name] if b.part else None
    if meaning.units:
        region = UNITS[meaning.units[0]].region
    place = (b.part.i, b.part.j) if b.part else None
    yield _Claim(b.i, b.j, b.state.i, meaning.units, region, meaning.negated, place)


def _absorbed(claims: Sequence[_Claim], lemmas: Sequence[str]) -> list[_Claim]:
    """Merge claims such as "pulled up into a smile" into the last one, the smile."""
    made: list[_Claim] = []
    for claim in claims:
        gap = lemmas[made[-1].j : claim.i] if made else []
        if gap and made[-1].region == claim.region and _INTO.fullmatch(" ".join(gap)):
            first = made.pop()
            claim = replace(claim, i=first.i, at=first.at, tokens=first.tokens)
        made.append(claim)
    return made


def _named(sentence: Sentence, claims: Sequence[_Claim]) -> list[_Claim]:
    """List claims by name or muscle: "cheek raiser", "zygomaticus major"."""
    named: list[_Claim] = []
    for pattern, units in NAMES.items():
        for i, j in sentence.ranges(pattern):
            if not any(c.i < j and i < c.j for c in [*claims, *named]):
                named.append(_Claim(i, j, i, units, UNITS[units[0]].region, False))
    return named


def _codes(sentence: Sentence, claims: list[_Claim]) -> list[_Claim]:
    """List claims by code that no phrase of the sentence makes already.

    Codes in brackets behind a phrase say which of its units are meant.
    """
    coded: list[_Claim] = []
    for place, number in _numbers(sentence):
        said = [c for c in claims if number in c.units and c.i <= place]
        if number in UNITS and not said and not any(number in c.units for c in coded):
            near = [c for c in claims if c.j <= place]
            at = near[-1].at if near and "(" in sentence.lemmas[near[-1].j : place] else place
            start = _code_start(sentence.lemmas, place)
            claims[:] = [_beside(c, start, place) for c in claims]
            coded.append(_Claim(start, place + 1, at, (number,), UNITS[number].region, False))
    for k, claim in enumerate(claims):
        bracket = _bracket(sentence, claim.j)
        kept = tuple(u for u in claim.units if u in bracket)
        if kept and len(claim.units) > 1:
            claims[k] = replace(claim, units=kept)
    return coded


def _beside(claim: _Claim, start: int, place: int) -> _Claim:
    """Cut the claim's span where a code that is a claim of its own stands within it."""
    if not claim.i <= place < claim.j:
        return claim
    return replace(claim, i=claim.at) if claim.at > place else replace(claim, j=start)


def _numbers(sentence: Sentence) -> Iterator[tuple[int, int]]:
    """Yield (token, unit) of each code: "AU1", "action units 1, 2 and 5"."""
    for i, j in sentence.ranges(_CODES):
        for k in range(i, j):
            if sentence.lemmas[k].isdigit():
                yield k, int(sentence.lemmas[k])


def _code_start(lemmas: Sequence[str], place: int) -> int:
    """Find the "au" or "action unit" right before a number, which belongs to its span."""
    if lemmas[place - 1] in ("au", "facs"):
        return place - 1
    if place > 1 and lemmas[place - 2 : place] == ["action", "unit"]:
        return place - 2
    return place


def _bracket(sentence: Sentence, start: int) -> set[int]:
    """Collect the codes in brackets that open at token `start`."""
    lemmas = sentence.lemmas
    if start >= len(lemmas) or lemmas[start] != "(" or ")" not in lemmas[start:]:
        return set()
    end = lemmas.index(")", start)
    return {number for place, number in _numbers(sentence) if start < place < end}


def _covered(part: Item, claims: Sequence[_Claim]) -> bool:
    """Tell whether the sentence says more of the part's region than its name."""
    region = REGION[part.name]
    same = (c.region == region or any(region in UNITS[u].also for u in c.units) for c in claims)
    return part.name == "bare corner" or any(same)


def _cues(
    text: str, words: Sequence[Token], sentence: Sentence, claims: Sequence[_Claim]
) -> list[Cue]:
    denied, unreal = negated(sentence), supposed(sentence)
    doubted = hedged(sentence, [(c.at, _end(c)) for c in claims])
    sides = Sides(sentence, [(c.i, c.j) for c in claims])
    cues, seen = [], set[tuple[int, str | None]]()
    for k, claim in enumerate(claims):
        if unreal[claim.at]:
            continue
        start, end = words[claim.i].start, words[claim.j - 1].end
        side = sides.of(k, claim.tokens or (claim.i, claim.j))
        cue = Cue(
            text[start:end],
            start,
            end,
            None,
            claim.region,
            side,
            claim.negated != denied[claim.at],
            doubted[claim.at],
        )
        if not claim.units and (start, claim.region) in seen:
            continue
        seen.add((start, claim.region))
        cues += [replace(cue, unit=u) for u in claim.units] or [cue]
    return cues


def _end(claim: _Claim) -> int:
    """Return the end of the words that a trailing "slightly" may follow."""
    return max(claim.j, claim.at + 1)
