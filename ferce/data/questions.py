"""Write questions about a face with answers from its action units, balanced against guessing.

No question holds a label or the name of an emotion. Yes and no alternate for each action unit, so
that neither the wording nor the rarity of a unit gives the answer away; a unit is only denied in
data that code it. A picture whose units were not coded gets only questions that no photo answers.
"""

import os
import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ferce.core.types import REGIONS
from ferce.data.captions import Wording, covered, group, visible
from ferce.data.families import TRAINING, Family
from ferce.data.record import Sample, UnitLabel, hidden_in
from ferce.explanation.text.wording import joined, opened
from ferce.facs.action_units import UNITS

Kind = Literal["yes/no", "side", "region", "which region", "cannot be told"]
_VERB = re.compile(r"^(.*?) (is|are) (.*)$")
UNANSWERABLE_SHARE = 0.3  # of the pictures get a question that no photo answers
# A unit is not denied beside one that looks like it or implies it, however weak that one is.
ALIKE: dict[int, frozenset[int]] = {
    1: frozenset({2}),
    2: frozenset({1}),
    4: frozenset({9}),
    6: frozenset({7, 12}),
    7: frozenset({6, 43}),
    9: frozenset({10}),
    10: frozenset({9}),
    11: frozenset({9, 10, 12}),
    12: frozenset({14}),
    14: frozenset({12, 15}),
    15: frozenset({14, 17}),
    16: frozenset({15, 25, 26, 27}),
    17: frozenset({24}),
    18: frozenset({22, 23}),
    20: frozenset({14, 15, 27}),
    22: frozenset({18}),
    23: frozenset({24, 28, 18}),
    24: frozenset({23, 28, 17}),
    25: frozenset({16, 22, 26, 27}),
    26: frozenset({27}),
    27: frozenset({26}),
    28: frozenset({23, 24}),
    43: frozenset({7}),
}


@dataclass(frozen=True)
class Item:
    """A question and its answer.

    `yes` is the truth of a yes/no question, else None; `unit` and `region` say what it is about.
    """

    question: str
    answer: str
    kind: Kind
    unit: int | None = None
    region: str | None = None
    yes: bool | None = None


@dataclass
class Ledger:
    """Count of the answers so far, which keeps them balanced.

    `surplus[key]` is how much more often the key was the affirmed than the denied answer; a step
    that would take it beyond `slack` is not taken.
    """

    surplus: Counter[object] = field(default_factory=Counter)
    slack: int = 1

    def may(self, key: object, yes: bool) -> bool:
        """Tell whether one more question keeps the balance; "no" needs a "yes" before it."""
        return self.surplus[key] < self.slack if yes else self.surplus[key] > 0

    def note(self, key: object, yes: bool) -> None:
        """Count one question."""
        self.surplus[key] += 1 if yes else -1


def questions(
    samples: Iterable[Sample], seed: int = 0, family: Family = TRAINING, pairs: int = 2
) -> Iterator[tuple[Sample, list[Item]]]:
    """Yield each sample with about eight questions, in the order of the stream.

    Shuffle the samples before, not the answers after: the balance runs along the stream.
    """
    ledger = Ledger()
    for sample in samples:
        rng = random.Random(os.fsencode(f"ask/{seed}/{sample.name}/{family.name}"))
        hidden = hidden_in(sample)
        units = None if hidden is None else sample.units
        yield sample, Asker(ledger, rng, family, pairs).ask(units, hidden or ())


@dataclass(frozen=True)
class Asker:
    """Writer of the questions of one picture; `pairs` bounds the yes and the no questions each."""

    ledger: Ledger
    rng: random.Random
    family: Family = TRAINING
    pairs: int = 2

    def ask(self, units: Sequence[UnitLabel] | None, hidden: Collection[str] = ()) -> list[Item]:
        """Write all questions; what happens in covered regions (`hidden`) cannot be told."""
        if units is None:
            return [self._unanswerable()]
        seen = visible(units, hidden)
        items = [*self._affirmed(seen), *self._denied(units, hidden), *self._sides(seen)]
        if all(unit.known for unit in units):  # others have no place, so no part is surely at rest
            items += [*self._regions(seen, units, hidden), *self._which(seen, units, hidden)]
        items += [self._covered(region) for region in REGIONS if region in hidden]
        if self.rng.random() < UNANSWERABLE_SHARE:
            items.append(self._unanswerable())
        return items

    # ---- is it there ----

    def _affirmed(self, seen: Sequence[UnitLabel]) -> Iterator[Item]:
        fair = [u for u in seen if self.ledger.may(u.unit, yes=True)]
        for unit in self.rng.sample(fair, min(self.pairs, len(fair))):
            self.ledger.note(unit.unit, yes=True)
            yield self._yes_no(unit.unit, group([unit], self.family.bank)[0])

    def _denied(self, units: Sequence[UnitLabel], hidden: Collection[str]) -> Iterator[Item]:
        named = {u.unit for u in units}
        fair = [
            number
            for number, row in UNITS.items()
            if number not in named
            and row.region not in hidden
            and not ALIKE.get(number, frozenset()) & named
            and self.ledger.may(number, yes=False)
        ]
        for number in self.rng.sample(fair, min(self.pairs, len(fair))):
            self.ledger.note(number, yes=False)
            yield self._yes_no(number, None)

    def _yes_no(self, number: int, said: Wording | None) -> Item:
        """Ask whether a unit is there; `said` is its wording, None when it is not there."""
        clause, noun = self._words(number)
        template = self.rng.choice(self.family.ask_clause + self.family.ask_noun)
        if said is None:
            answer = self.rng.choice(
                ("No.", f"No, {denial(clause)}.", "No, that is not to be seen.")
            )
        else:
            shown = said.clause(self.family.bank, self.rng)
            answer = (
                self.rng.choice(("Yes.", f"Yes, {shown}.")) if not said.side else f"Yes, {shown}."
            )
        return Item(fill(template, clause, noun), answer, "yes/no", number, yes=said is not None)

    def _words(self, number: int) -> tuple[str, str]:
        """Choose a clause and a noun phrase of a unit, for both sides."""
        said, bank = Wording((number,), None, ""), self.family.bank
        return said.clause(bank, self.rng), said.noun(bank, self.rng)

    # ---- on which side ----

    def _sides(self, seen: Sequence[UnitLabel]) -> Iterator[Item]:
        """Ask for the side of a unit; "both" is asked as often as one of the sides."""
        sided = [u for u in seen if UNITS[u.unit].sided and not u.part]
        fair = [u for u in sided if u.side or self.ledger.may("both sides", yes=False)]
        if not fair:
            return
        unit = max(fair, key=lambda u: (u.side is not None, self.rng.random()))
        self.ledger.note("both sides", yes=unit.side is not None)
        clause, noun = self._words(unit.unit)
        where = f"On the {unit.side}" if unit.side else "On both sides"
        shown = group([unit], self.family.bank)[0].clause(self.family.bank, self.rng)
        question = fill(self.rng.choice(self.family.ask_side), clause, noun)
        yield Item(question, f"{where}: {shown}.", "side", unit.unit)

    # ---- where ----

    def _regions(
        self, seen: Sequence[UnitLabel], units: Sequence[UnitLabel], hidden: Collection[str]
    ) -> Iterator[Item]:
        """Ask what happens in a region; "nothing" is the answer as often as something is."""
        active, still = _active(seen), _still(units, hidden)
        fair = [r for r in active if self.ledger.may(("at", r), yes=True)]
        fair += [r for r in still if self.ledger.may(("at", r), yes=False)]
        if not fair:
            return
        region = self.rng.choice(fair)
        self.ledger.note(("at", region), yes=region in active)
        question = self.rng.choice(self.family.ask_region).format(region=region)
        yield Item(question, self._account(region, seen), "region", region=region)

    def _account(self, region: str, seen: Sequence[UnitLabel]) -> str:
        here = [u for u in seen if UNITS[u.unit].region == region]
        if not here:
            return f"No action is to be seen at the {region}."
        bank = self.family.bank
        return opened(joined([one.clause(bank, self.rng) for one in group(here, bank)])) + "."

    def _which(
        self, seen: Sequence[UnitLabel], units: Sequence[UnitLabel], hidden: Collection[str]
    ) -> Iterator[Item]:
        """Ask for the active one of two regions; each is the answer half the time."""
        surplus = {r: self.ledger.surplus["which", r] for r in REGIONS}
        active = [r for r in _active(seen) if surplus[r] <= self.ledger.slack]
        still = [r for r in _still(units, hidden) if surplus[r] >= -self.ledger.slack]
        if not active or not still:
            return
        right, wrong = self.rng.choice(active), self.rng.choice(still)
        for region in (right, wrong):
            self.ledger.note(("which", region), yes=region == right)
        one, other = self.rng.sample([right, wrong], 2)
        question = self.rng.choice(self.family.ask_which).format(one=one, other=other)
        account = self._account(right, seen)
        answer = f"The {right}: {account[:1].lower()}{account[1:]}"
        yield Item(question, answer, "which region", region=right)

    # ---- what a photo does not tell ----

    def _covered(self, region: str) -> Item:
        question = self.rng.choice(self.family.ask_region).format(region=region)
        answer = covered(region, self.family, self.rng)
        return Item(question, answer, "cannot be told", region=region)

    def _unanswerable(self) -> Item:
        question, answer = (
            self.rng.choice(self.family.unanswerable),
            self.rng.choice(self.family.refusals),
        )
        return Item(question, answer, "cannot be told")


def _active(seen: Sequence[UnitLabel]) -> list[str]:
    """List the regions where a nameable unit shows first."""
    shown = {UNITS[u.unit].region for u in seen}
    return [region for region in REGIONS if region in shown]


def _still(units: Sequence[UnitLabel], hidden: Collection[str]) -> list[str]:
    """List visible regions where no unit is coded, not even weakly or as a side effect."""
    touched = {r for u in units for r in (UNITS[u.unit].region, *UNITS[u.unit].also)}
    return [region for region in REGIONS if region not in touched and region not in hidden]


def fill(template: str, clause: str, noun: str) -> str:
    """Fill a question's template."""
    inverted = invert(clause)
    return template.format(clauses=clause, nouns=noun, inverted=inverted, Inverted=opened(inverted))


def invert(clause: str) -> str:
    """Turn a clause into a question: "the lips are parted" as "are the lips parted"."""
    match = _VERB.match(clause)
    assert match, f"a clause needs is or are: {clause!r}"
    return f"{match[2]} {match[1]} {match[3]}"


def denial(clause: str) -> str:
    """Deny a clause: "the lips are parted" as "the lips are not parted"."""
    match = _VERB.match(clause)
    assert match, f"a clause needs is or are: {clause!r}"
    return f"{match[1]} {match[2]} not {match[3]}"
