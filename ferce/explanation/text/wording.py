"""Word action units as clauses ("the lips are parted") and noun phrases ("parted lips")."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ferce.core.types import REGIONS, Side, UnitEvidence
from ferce.facs.prototypes import UNITS

# Below this intensity a unit is called slight: half-way between seen (0.25) and level C of FACS.
SLIGHT = 0.45


@dataclass(frozen=True)
class Form:
    """Four wordings of one or more units.

    `{d}` takes a degree ("slightly "), `{p}` that of closed eyes ("partly "), `{side}` a side.
    `clause` and `noun` speak of both sides or of a unit without sides, `one` and `one_noun` of one
    side.
    """

    clause: str
    noun: str
    one: str = ""
    one_noun: str = ""


# Every wording must be understood by `parsing.parse`; the property test holds the two together.
FORMS: MappingProxyType[tuple[int, ...], Form] = MappingProxyType(
    {
        (1,): Form(
            "the inner brows are {d}raised",
            "{d}raised inner brows",
            "the {side} inner brow is {d}raised",
            "a {d}raised {side} inner brow",
        ),
        (2,): Form(
            "the outer brows are {d}raised",
            "{d}raised outer brows",
            "the {side} outer brow is {d}raised",
            "a {d}raised {side} outer brow",
        ),
        (1, 4): Form(
            "the inner brows are {d}raised and drawn together",
            "inner brows {d}raised and drawn together",
        ),
        (1, 2, 4): Form(
            "the brows are {d}raised and drawn together", "brows {d}raised and drawn together"
        ),
        (1, 2): Form(
            "both brows are {d}raised",
            "{d}raised brows",
            "the {side} brow is {d}raised",
            "a {d}raised {side} brow",
        ),
        (4,): Form(
            "the brows are {d}drawn together",
            "{d}furrowed brows",
            "the {side} brow is {d}lowered",
            "a {d}lowered {side} brow",
        ),
        (5,): Form(
            "the eyes are {d}widened",
            "{d}widened eyes",
            "the {side} eye is {d}widened",
            "a {d}widened {side} eye",
        ),
        (6,): Form(
            "the cheeks are {d}raised",
            "{d}raised cheeks",
            "the {side} cheek is {d}raised",
            "a {d}raised {side} cheek",
        ),
        (7,): Form(
            "the eyes are {d}narrowed",
            "{d}narrowed eyes",
            "the {side} eye is {d}narrowed",
            "a {d}narrowed {side} eye",
        ),
        (9,): Form(
            "the nose is {d}wrinkled",
            "a {d}wrinkled nose",
            "the {side} side of the nose is {d}wrinkled",
            "a nose {d}wrinkled on the {side}",
        ),
        (10,): Form(
            "the upper lip is {d}raised",
            "a {d}raised upper lip",
            "the upper lip is {d}raised on the {side}",
            "an upper lip {d}raised on the {side}",
        ),
        (11,): Form(
            "the nasolabial folds are {d}deepened",
            "{d}deepened nasolabial folds",
            "the {side} nasolabial fold is {d}deepened",
            "a {d}deepened {side} nasolabial fold",
        ),
        (12,): Form(
            "the mouth smiles {d}",
            "{a}smile",
            "the {side} lip corner is {d}pulled up",
            "a {side} lip corner {d}pulled up",
        ),
        (12, 25): Form("the mouth smiles {d}and opens", "{a}smile with parted lips"),
        (14,): Form(
            "the mouth corners are {d}tightened",
            "{d}tightened mouth corners",
            "the {side} mouth corner is {d}tightened",
            "a {d}tightened {side} mouth corner",
        ),
        (15,): Form(
            "the lip corners are {d}pulled down",
            "{d}downturned lip corners",
            "the {side} lip corner is {d}pulled down",
            "a {d}downturned {side} lip corner",
        ),
        (16,): Form(
            "the lower lip is {d}pulled down",
            "a {d}lowered lower lip",
            "the lower lip is {d}pulled down on the {side}",
            "a lower lip {d}pulled down on the {side}",
        ),
        (17,): Form("the chin is {d}pushed up", "a chin {d}pushed up"),
        (18,): Form("the lips are {d}puckered", "{d}puckered lips"),
        (20,): Form(
            "the lips are {d}stretched sideways",
            "{d}stretched lips",
            "the {side} mouth corner is {d}stretched sideways",
            "a {d}stretched {side} mouth corner",
        ),
        (22,): Form("the lips are {d}funnelled", "{d}funnelled lips"),
        (23,): Form("the lips are {d}tightened", "{d}tightened lips"),
        (24,): Form("the lips are {d}pressed together", "lips {d}pressed together"),
        (23, 24): Form(
            "the lips are {d}tightened and pressed together", "{d}tightened and pressed lips"
        ),
        (25,): Form("the lips are {d}parted", "{d}parted lips"),
        (26,): Form("the jaw is {d}dropped", "a {d}dropped jaw"),
        (25, 26): Form(
            "the mouth is open with the jaw {d}dropped", "parted lips with the jaw {d}dropped"
        ),
        (27,): Form("the mouth is {d}stretched wide open", "a mouth {d}stretched wide open"),
        (28,): Form("the lips are {d}sucked in", "lips {d}sucked in"),
        (43,): Form(
            "the eyes are {p}closed",
            "{p}closed eyes",
            "the {side} eye is {p}closed",
            "a {p}closed {side} eye",
        ),
    }
)
# A mouth stretched wide open is open and its jaw is dropped: the three are said as one.
_NESTED = {(25, 27): (27,), (26, 27): (27,), (25, 26, 27): (27,)}
_MERGES = (
    *((25, 26, 27), (25, 27), (26, 27)),
    *((1, 2, 4), (1, 4), (1, 2), (12, 25), (23, 24), (25, 26)),
)


@dataclass(frozen=True)
class Phrase:
    """One or more units in one phrase, with their codes."""

    units: tuple[int, ...]
    clause: str
    noun: str
    plural: bool

    @property
    def codes(self) -> str:
        """Codes in brackets, such as (AU1, AU2)."""
        return "(" + ", ".join(f"AU{u}" for u in self.units) + ")"

    @property
    def subject(self) -> str:
        """Subject of a clause in "are", such as "the lips are "; empty for others."""
        head, verb, _ = self.clause.partition(" are ")
        return head + verb if verb else ""

    @property
    def coded(self) -> str:
        """Clause with its codes."""
        return f"{self.clause} {self.codes}"

    @property
    def coded_noun(self) -> str:
        """Noun phrase with its codes."""
        return f"{self.noun} {self.codes}"


def phrase(units: tuple[int, ...], side: Side | None = None, slight: bool = False) -> Phrase:
    """Word units that share one phrase.

    Raises:
        ValueError: there is no wording for them.
    """
    form = FORMS.get(_NESTED.get(units, units))
    if form is None:
        raise ValueError(f"No wording for action units {units}. Known: {sorted(FORMS)}.")
    one = side is not None and bool(form.one)
    clause, noun = (form.one, form.one_noun) if one else (form.clause, form.noun)
    fill = {
        "d": "slightly " if slight else "",
        "p": "partly " if slight else "",
        "a": "a slight " if slight else "a ",
        "side": side or "",
    }
    clause = clause.format(**fill).strip().replace("  ", " ")
    noun = noun.format(**fill)
    return Phrase(units, clause, noun, not noun.startswith(("a ", "an ")))


def phrases(units: Sequence[UnitEvidence]) -> list[Phrase]:
    """Word the units, from brows to chin, those that belong together merged."""
    by_number = {u.unit: u for u in units}
    left = set(by_number)
    made: list[Phrase] = []
    for group in [*_MERGES, *((n,) for n in UNITS)]:
        sides = {by_number[n].side for n in group if n in left}
        if left.issuperset(group) and len(sides) == 1 and _may_merge(group, sides):
            slight = max(by_number[n].intensity for n in group) < SLIGHT
            made.append(phrase(group, sides.pop(), slight))
            left -= set(group)
    return sorted(made, key=_place)


def _may_merge(group: tuple[int, ...], sides: set[Side | None]) -> bool:
    """Tell whether units may share a phrase: it must not hide that one side is stronger."""
    return len(group) == 1 or sides == {None} or bool(FORMS[_NESTED.get(group, group)].one)


def _place(said: Phrase) -> tuple[int, int]:
    return min(REGIONS.index(UNITS[u].region) for u in said.units), min(said.units)


def joined(parts: Iterable[str], last: str = "and") -> str:
    """Join the parts as a sentence lists them, such as "a, b and c"."""
    items = list(parts)
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {last} {items[-1]}"


def unclear(clauses: Iterable[str]) -> str:
    """Word that this photo does not show whether the clauses hold."""
    return f"Whether {joined(clauses, 'or')} cannot be told from this photo."


def opened(text: str) -> str:
    """Capitalise the first letter of the text."""
    return text[:1].upper() + text[1:]
