"""Put the plain statements of a trained voice in order: each movement said once, opposites apart.

What the voice names stays its own; clauses keep its words, noun phrases become clauses. Which
emotion a movement fits is taken from the table of prototypes, and the frames around the movements
("which fits", "although") are of this file, chosen by the picture. A text of
another form, or about another label than the predicted one, passes through as it is.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ferce.core.labels import NEUTRAL, NOUNS, components
from ferce.core.parts import Prediction
from ferce.core.types import Face, Side
from ferce.explanation.text.composition import attributed
from ferce.explanation.text.statements import Sign, Statement, plain_so_far, statements
from ferce.explanation.text.wording import FORMS, joined, opened, phrase
from ferce.facs.opposites import opposed

_OPENINGS = (
    "This face looks {}",
    "The expression looks {}",
    "Of all labels, {} fits this expression best",
    "The label nearest to this expression is {}",
)
_FITTING = (
    "{Clauses}, which fits {emotion}",
    "{Clauses}, as is common in {emotion}",
    "In keeping with {emotion}, {clauses}",
    "{Clauses}, as one often sees in {emotion}",
    "{Clauses}, which speaks for {emotion}",
)
_SHARED = (
    "{Clauses}, which fits both {emotion}",
    "{Clauses}, as is common in both {emotion}",
    "In keeping with both {emotion}, {clauses}",
)
_SILENT = (
    "Nothing here speaks for {} alone",
    "No sign belongs to {} alone",
    "For {} alone there is no sign",
)
_MISFIT = (
    "Besides, {clauses}, which the label does not explain",
    "{Clauses} as well, which does not fit {emotion}",
    "In addition, {clauses}, which does not speak for {emotion}",
)
_PLAIN = ("{Clauses}", "In this face, {clauses}", "What can be seen: {clauses}")
# Named region by region, so that the claim can be checked.
_REST = (
    "the brows, eyes and mouth are at rest",
    "the brows, the eyes and the mouth are at rest",
    "the brows, eyes and mouth show no clear movement",
    "the brows, eyes and mouth are relaxed",
)


def arrange(pieces: Iterator[str], face: Face, prediction: Prediction) -> Iterator[str]:
    """Put a voice's text in order; joined, the pieces are the whole.

    Args:
        pieces: the text as it is generated.
        face: its crop chooses the frames, the same on every machine.
        prediction: its label is what the text is about.
    """
    text = ""
    for piece in pieces:
        text += piece
        if not plain_so_far(text):
            yield text
            yield from pieces
            return
    read = statements(text)
    ordered = None if read is None else _Order(read, face, prediction).sentences()
    yield from _spaced(ordered) if ordered else [text]


def _spaced(sentences: Sequence[str]) -> Iterator[str]:
    *firsts, last = sentences
    yield from (f"{sentence} " for sentence in firsts)
    yield last


@dataclass(frozen=True)
class _Group:
    """Signs of one sentence, which speak for the same emotions of the label."""

    owners: tuple[str, ...]
    signs: tuple[Sign, ...]


class _Order:
    """The statements of one text about one label, in order."""

    def __init__(self, read: Sequence[Statement], face: Face, prediction: Prediction) -> None:
        self.read, self.label = read, prediction.label
        self.parts = components(prediction.label) if prediction.label else ()
        self.seed = zlib.crc32(face.crop.tobytes())
        self.signs, self.against = _apart(_once(s for one in read for s in one.signs))
        self.rest = any(one.kind == "rest" for one in read)

    def sentences(self) -> list[str] | None:
        """Write the sentences; None where the text is about something else than the label."""
        if not self._about_label():
            return None
        covered = dict.fromkeys(one.words for one in self.read if one.kind == "covered")
        return [f"{opened(words)}." for words in self._body()] + list(covered)

    def _about_label(self) -> bool:
        nouns = {NOUNS[part] for part in self.parts}
        labels = {one.label for one in self.read} - {""}
        emotions = {noun for one in self.read for noun in one.emotions}
        return labels <= {self.label} and (self.label is None or emotions <= nouns)

    def _body(self) -> list[str]:
        groups = self._groups()
        if self.label is None:
            return self._plain()
        opening = self._one(_OPENINGS, 0).format(self.label)
        if not self.signs:
            return self._at_rest(opening)
        if not any(group.owners and group.signs for group in groups):
            return [f"{opening}, although {self._clauses(self.signs)}{self._although(self.signs)}"]
        silent = [NOUNS[g.owners[0]] for g in groups if len(g.owners) == 1 and not g.signs]
        said = [self._framed(group) for group in groups if group.signs]
        quiet = [self._one(_SILENT, 2).format(joined(silent, "or"))] if silent else []
        return [opening, *said, *quiet]

    def _plain(self) -> list[str]:
        if not self.signs:
            return [self._one(_REST, 1)] if self.rest else []
        said = _filled(self._one(_PLAIN, 0), self._clauses(self.signs))
        return [said + self._although(self.signs, "")]

    def _at_rest(self, opening: str) -> list[str]:
        rest = self._one(_REST, 1)
        if not self.rest:
            return [opening]
        return [opening, rest] if self.label == NEUTRAL else [f"{opening}, although {rest}"]

    def _groups(self) -> list[_Group]:
        """Group the signs: those of each emotion, those of both, those of none."""
        owned: dict[tuple[str, ...], list[Sign]] = {(part,): [] for part in self.parts}
        owned |= {self.parts: owned.get(self.parts, []), (): []}
        for sign in self.signs:
            owned[self._owners(sign)].append(sign)
        return [_Group(owners, tuple(signs)) for owners, signs in owned.items()]

    def _owners(self, sign: Sign) -> tuple[str, ...]:
        fitting = {part for unit in sign.units for part in attributed(unit, self.parts)}
        return tuple(part for part in self.parts if part in fitting)

    def _framed(self, group: _Group) -> str:
        """Write the sentence of a group that has signs."""
        nouns = [NOUNS[part] for part in group.owners]
        slot = 3 if not nouns else 4 + self.parts.index(group.owners[0])
        alone = NOUNS[self.parts[0]] if len(self.parts) == 1 else "either emotion"
        frame = self._one((_MISFIT, _FITTING, _SHARED)[len(nouns)], slot)
        said = _filled(frame, self._clauses(group.signs), joined(nouns) or alone)
        return said + self._although(group.signs, "")

    def _although(self, signs: Sequence[Sign], link: str = " and") -> str:
        """Concede the opposites of the signs just said, each once."""
        here = [a for a in self.against if any(_opposite(a, sign) for sign in signs)]
        self.against = [a for a in self.against if a not in here]
        return f",{link} although {self._clauses(here)}" if here else ""

    def _clauses(self, signs: Sequence[Sign]) -> str:
        return joined(_clause(sign) for sign in signs)

    def _one(self, frames: Sequence[str], slot: int) -> str:
        """Choose a frame by the picture; each slot chooses for itself."""
        return frames[(self.seed >> 4 * slot) % len(frames)]


def _filled(frame: str, clauses: str, emotion: str = "") -> str:
    words: Mapping[str, str] = {"clauses": clauses, "Clauses": opened(clauses)}
    return frame.format(**words, emotion=emotion)


def _once(signs: Iterator[Sign]) -> list[Sign]:
    """Keep of each sign the action units that no sign before it names."""
    kept: list[Sign] = []
    for sign in signs:
        said = {u for one in kept for u in one.units if _meet(one.side, sign.side)}
        fresh = tuple(unit for unit in sign.units if unit not in said)
        if fresh == sign.units:
            kept.append(sign)
        elif fresh:
            kept.append(replace(sign, units=fresh, words=""))
    return kept


def _apart(signs: Sequence[Sign]) -> tuple[list[Sign], list[Sign]]:
    """Part the signs from those that say the opposite of one before them."""
    plain: list[Sign] = []
    against: list[Sign] = []
    for sign in signs:
        (against if any(_opposite(sign, one) for one in plain) else plain).append(sign)
    return plain, against


def _opposite(a: Sign, b: Sign) -> bool:
    return _meet(a.side, b.side) and any(opposed(x, y) for x in a.units for y in b.units)


def _meet(a: Side | None, b: Side | None) -> bool:
    """Tell whether two sides of the face overlap; None is both."""
    return a is None or b is None or a == b


def _clause(sign: Sign) -> str:
    """Word a sign as a clause, the voice's own where it is one; what is clear is just said."""
    if sign.whole:
        return sign.words.replace("clearly ", "")
    if sign.units in FORMS:
        return phrase(sign.units, sign.side, sign.hedged).clause
    return joined(phrase((unit,), sign.side, sign.hedged).clause for unit in sign.units)
