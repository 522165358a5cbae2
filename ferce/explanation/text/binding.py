"""Bind each state ("raised") to the part of the face ("brows") that it is said of."""

from collections.abc import Sequence
from dataclasses import dataclass

from ferce.explanation.text.lexicon import ALONE, PARTICLES, RULES, WHOLE, Meaning
from ferce.explanation.text.tokens import words
from ferce.facs.action_units import UNITS

_LINKS = words(
    "an pull draw set hold held be seem appear look become remain stay have get to , ( ) : "
    "- – — that which who however and or nor but both all very quite too so still also now "
    "just only even most rather more far from not no any never neither hardly scarcely "
    "barely without lack slightly slight somewhat a bit little perhaps maybe may might "
    "could possibly do longer half au on the left right of picture image photo frame s "
    "viewer side in wide open one her his their"
)
_STOPS = words(
    "as with while but than when because if that which who for by from be have do and or nor "
    ", ( ) : . — – suggest indicate show"
)
_PREPOSITIONS = words("of in on around at between across to near along over")
_PLACES = words("under below beneath towards toward beside above")
_FILLERS = words(
    "the a an his her their its my your both each one two of left right s person woman man "
    "subject girl boy child baby individual"
)


@dataclass(frozen=True)
class Item:
    """A part, a state, a name, a pronoun or another subject: tokens [i, j) of a sentence."""

    kind: str
    name: str
    i: int
    j: int


@dataclass(frozen=True)
class Bound:
    """A state, its part (None where it needs none), their meaning and the tokens they span."""

    state: Item
    part: Item | None
    meaning: Meaning
    i: int
    j: int


def bind(
    items: Sequence[Item], lemmas: Sequence[str], last: Item | None
) -> tuple[list[Bound], list[Item]]:
    """Bind the states of a sentence to their parts; return also the parts without a state.

    Args:
        items: of one sentence, in order.
        lemmas: of its tokens.
        last: the part that a pronoun at the start means, from the sentence before.
    """
    reader = _Reader(items, lemmas, last)
    pairs = [(s, p, how) for s in items if s.kind == "state" for p, how in reader.parts_of(s)]
    used = {p.i for _, p, _ in pairs if p is not None}
    pairs += reader.shared(pairs)
    used |= {p.i for _, p, _ in pairs if p is not None}
    free = [p for p in items if p.kind == "part" and p.i not in used]
    return _spans(pairs, lemmas), free


Pair = tuple[Item, Item | None, str]


class _Reader:
    def __init__(self, items: Sequence[Item], lemmas: Sequence[str], last: Item | None) -> None:
        self.items, self.lemmas, self.last = items, lemmas, last
        self.owned: set[int] = set()

    def parts_of(self, state: Item) -> list[tuple[Item | None, str]]:
        """List (part, how it is tied) for a state; [] when it says nothing."""
        if state.name in WHOLE:
            return [(None, "alone")]
        behind, before = self._behind(state), self._before(state)
        linked = before is not None and before[1] == "linked"
        if behind and (behind[1] == "direct" or (before and self._enumerated(before[0], state))):
            return [behind]
        if before and linked:
            return [*self._group(state, before[0]), before]
        if state.name in ALONE:
            return [(None, "alone")]
        if behind and not any(x.kind == "part" and x.j == state.i for x in self.items):
            return [behind]
        if before and state.name not in PARTICLES:
            return [*self._group(state, before[0]), before]
        return []

    def shared(self, pairs: Sequence[Pair]) -> list[Pair]:
        """List second parts of pairs like "raised brows and lids", which share the state."""
        owners = {p.i for _, p, _ in pairs if p is not None}
        second_pairs: list[Pair] = []
        for state, part, how in pairs:
            if part is None or how != "direct":
                continue
            second = next((x for x in self.items if x.i > part.i), part)
            joined = self.lemmas[part.j : second.i] in (["and"], ["or"])
            ruled = second.kind == "part" and (state.name, second.name) in RULES
            if joined and ruled and second.i not in owners:
                second_pairs.append((state, second, "shared"))
        return second_pairs

    def _behind(self, state: Item) -> tuple[Item, str] | None:
        """Find the part that follows the state: "raised brows", "raised and drawn brows"."""
        how, k, strange = "direct", state.j, 0
        while k < len(self.lemmas) and strange <= 2:
            item = self._at(k)
            if item and (item.kind != "state" or item.name in ALONE):
                known = item.kind == "part" and (state.name, item.name) in RULES
                return (item, how) if known else None
            if item:
                k = item.j
                continue
            if self.lemmas[k] in ("and", ",") and self._chained(k + 1):
                how = "chain"
            elif self._blocks(k, state):
                return None
            else:
                strange += self._is_strange(self.lemmas[k])
            k += 1
        return None

    def _blocks(self, k: int, state: Item) -> bool:
        """Tell whether a word parts a state from what follows; "of" right behind does not."""
        word = self.lemmas[k]
        return word in _STOPS or (word in _PREPOSITIONS and k != state.j)

    def _is_strange(self, word: str) -> bool:
        """Tell whether a word between state and part may be an adjective not in the lexicon."""
        return not (word in _FILLERS or word in _PREPOSITIONS or word.endswith("ly"))

    def _chained(self, k: int) -> bool:
        """Tell whether another state follows, which shares the part behind both."""
        while k < len(self.lemmas) and (
            self.lemmas[k].endswith("ly") or self.lemmas[k] in ("and", "somewhat")
        ):
            k += 1
        item = self._at(k) if k < len(self.lemmas) else None
        return item is not None and item.kind == "state" and item.name not in ALONE

    def _before(self, state: Item) -> tuple[Item, str] | None:
        """Find the part the state is said of: "the brows, slightly raised", "they are raised"."""
        for item in reversed([x for x in self.items if x.j <= state.i]):
            if item.kind == "other":
                return None
            if item.kind == "pronoun":
                meant = self._meant(item)
                if meant and (state.name, meant.name) in RULES:
                    return _at_pronoun(meant, item), self._tie(item, state)
            known = item.kind == "part" and (state.name, item.name) in RULES
            if known and not self._aside(item):
                return item, self._tie(item, state)
        return None

    def _enumerated(self, part: Item, state: Item) -> bool:
        """Tell whether a list goes on between the two, as in "closed eyes and raised brows"."""
        between = self.lemmas[part.j : state.i]
        return bool({"and", ","}.intersection(between)) and "be" not in between

    def _meant(self, pronoun: Item) -> Item | None:
        before = [x for x in self.items if x.kind == "part" and x.j <= pronoun.i]
        return before[-1] if before else self.last

    def _aside(self, part: Item) -> bool:
        """Tell whether the part is only compared with: "unlike the mouth"."""
        return self._before_of(part) in ("unlike", "than")

    def _tie(self, part: Item, state: Item) -> str:
        """Return "linked" when only links and other states stand between the two, else "far"."""
        k = part.j
        while k < state.i:
            item = self._at(k)
            if item and item.kind == "state":
                k = item.j
                continue
            word = self.lemmas[k]
            if state.name in ALONE and word in ("a", "an", ","):
                return "far"  # "closed eyes, a smile" is no smile of the eyes
            if item or not (word in _LINKS or word.endswith("ly") or word.isdigit()):
                return "far"
            k += 1
        return "linked"

    def _group(self, state: Item, part: Item) -> list[tuple[Item | None, str]]:
        """List parts before `part` that share its state: "the eyes and mouth are open"."""
        group: list[tuple[Item | None, str]] = []
        end = part.i
        for item in reversed([x for x in self.items if x.j <= part.i]):
            between = [w for w in self.lemmas[item.j : end] if w not in _FILLERS]
            if item.kind != "part" or not between or not set(between) <= {"and", "or", "nor", ","}:
                break
            if self._before_of(item) in _PLACES:
                break  # "lifted towards the eyes, the lips are open"
            if (state.name, item.name) in RULES and not self._has_own(item):
                group.append((item, "grouped"))
            end = item.i
        return group

    def _has_own(self, part: Item) -> bool:
        """Tell whether a state stands right before the part."""
        k = self._place_before(part)
        return any(x.kind == "state" and x.j == k + 1 for x in self.items)

    def _before_of(self, part: Item) -> str:
        """Return the lemma before a part and its determiners; empty at the start."""
        k = self._place_before(part)
        return self.lemmas[k] if k >= 0 else ""

    def _place_before(self, part: Item) -> int:
        k = part.i - 1
        while k >= 0 and self.lemmas[k] in _FILLERS:
            k -= 1
        return k

    def _at(self, k: int) -> Item | None:
        return next((x for x in self.items if x.i <= k < x.j), None)


def _at_pronoun(part: Item, place: Item) -> Item:
    """Return the part that a pronoun means, at the place of the pronoun."""
    return Item("pronoun", part.name, place.i, place.j)


def _spans(pairs: Sequence[Pair], lemmas: Sequence[str]) -> list[Bound]:
    """Join each state with its part in one span where they stand together; none overlap."""
    order = sorted(pairs, key=lambda x: _distance(x[0], x[1]))
    owned: set[int] = set()
    made = []
    for state, part, how in order:
        meaning = _meaning(state, part)
        i, j = state.i, state.j
        if how in ("grouped", "shared"):
            assert part is not None, "a list of parts has parts"
            i, j = part.i, part.j
        elif part and part.i not in owned and _together(state, part, how, pairs):
            i, j = min(i, part.i), max(j, part.j)
            owned.add(part.i)
        if how == "direct" and j < len(lemmas) and lemmas[j] in _trailing(state):
            j += 1
        made.append(Bound(state, part, meaning, i, j))
    return sorted(made, key=lambda b: (b.i, b.j))


def _trailing(state: Item) -> tuple[str, ...]:
    """Return the particles that end a phrase behind its part: "presses the lips together"."""
    return ("wide",) if state.name == "wide open" else ("together", "up", "down", "shut")


def _meaning(state: Item, part: Item | None) -> Meaning:
    if part is not None and (state.name, part.name) in RULES:
        return RULES[state.name, part.name]
    return Meaning(WHOLE.get(state.name) or (ALONE[state.name],))


def _distance(state: Item, part: Item | None) -> int:
    if part is None:
        return 0
    return part.i - state.j if part.i >= state.j else state.i - part.j


def _together(state: Item, part: Item, how: str, pairs: Sequence[Pair]) -> bool:
    """Tell whether part and state may share a span: close, with no other state between."""
    low, high = min(state.j, part.j), max(state.i, part.i)
    between = any(low <= s.i < high for s, _, _ in pairs if s.i != state.i)
    return how in ("direct", "linked") and part.kind == "part" and not between


assert all(u in UNITS for meaning in RULES.values() for u in meaning.units), (
    "rules name known units"
)
