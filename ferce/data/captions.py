"""Write explanations from the coded action units of a picture, and from its label where known.

They name no unit that was not coded, say which component of the label each one fits, and admit what
is covered. A picture whose units were not coded (RAF's `null`) gets no text at all.
"""

import os
import random
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ferce.core.labels import NOUNS, components
from ferce.core.types import REGIONS
from ferce.data.families import TRAINING, Bank, Family
from ferce.data.record import Sample, UnitLabel, hidden_in
from ferce.explanation.text.composition import attributed
from ferce.explanation.text.wording import joined, opened
from ferce.facs.action_units import UNITS

SLIGHT, CLEAR = 0.45, 0.8  # intensities below and from which a degree is said
PLURAL = {"brows", "eyes", "cheeks"}  # regions
_VERB = re.compile(r" (is|are) ")


@dataclass(frozen=True)
class Caption:
    """A text and the action units that it names, in the order of the face from brows to chin."""

    text: str
    units: tuple[int, ...]


@dataclass(frozen=True)
class Wording:
    """Units worded in one phrase, with the side and the degree that go with it."""

    units: tuple[int, ...]
    side: str | None
    degree: str

    def clause(self, bank: Bank, rng: random.Random) -> str:
        """Choose a clause, for instance "the left lip corner is slightly pulled up"."""
        clause = rng.choice(bank[self.units].clauses_on(self.side))
        return _VERB.sub(rf" \1 {self.degree}", clause, count=1)

    def noun(self, bank: Bank, rng: random.Random) -> str:
        """Choose a noun phrase, for instance "a left lip corner pulled up"; it has no degree."""
        noun = rng.choice(bank[self.units].nouns_on(self.side))
        return noun.replace("a upper", "an upper")


def explain(
    units: Sequence[UnitLabel] | None,
    label: str | None = None,
    seed: int | str = 0,
    family: Family = TRAINING,
    hidden: Collection[str] = (),
) -> Caption | None:
    """Write one explanation; another `seed` gives another wording of the same facts.

    Args:
        units: as coded; None gives None, whatever the label.
        label: named first, with its components attributed; None gives a plain description.
        seed: same arguments and seed, same text, on every machine.
        family: the words; never train on `families.REFERENCE`.
        hidden: names of regions that are covered: nothing is claimed of them.
    """
    if units is None:
        return None
    rng = random.Random(os.fsencode(f"explain/{seed}/{family.name}"))
    seen = visible(units, hidden)
    parts = components(label) if label else ()
    sentences = _sentences(seen, parts, family, rng)
    if label:
        sentences.insert(0, rng.choice(family.openings).format(label=label))
    sentences += [covered(region, family, rng) for region in REGIONS if region in hidden]
    return Caption(" ".join(sentences), tuple(u.unit for u in seen))


def references(
    units: Sequence[UnitLabel] | None, label: str | None, family: Family, count: int = 3
) -> tuple[str, ...]:
    """Write up to `count` different texts for one picture, for scores with many references."""
    made = (explain(units, label, seed, family) for seed in range(4 * count))
    texts = dict.fromkeys(caption.text for caption in made if caption)
    return tuple(texts)[:count]


def captions(
    samples: Iterable[Sample], seed: int = 0, family: Family = TRAINING
) -> Iterator[tuple[Sample, Caption]]:
    """Yield each sample with its explanation.

    Samples whose units were not coded are left out, as are those where something covers an unknown
    part of the face.
    """
    for sample in samples:
        hidden = hidden_in(sample)
        units = None if hidden is None else sample.units
        name = f"{seed}/{sample.name}"
        caption = explain(units, sample.label, name, family, hidden or ())
        if caption is not None:
            yield sample, caption


def visible(units: Iterable[UnitLabel], hidden: Collection[str] = ()) -> tuple[UnitLabel, ...]:
    """List units that can be named: known, clearly there, not covered; from brows to chin."""
    named = [u for u in units if u.known and u.present and UNITS[u.unit].region not in hidden]
    return tuple(sorted(named, key=lambda u: (REGIONS.index(UNITS[u.unit].region), u.unit)))


def group(units: Sequence[UnitLabel], bank: Bank) -> list[Wording]:
    """Group units for wording: those with a common phrase (both brows) together."""
    left = {u.unit: u for u in units}
    said = []
    for key in sorted(bank, key=len, reverse=True):
        together = [left[n] for n in key if n in left]
        sides = {_side(u) for u in together}
        if len(together) == len(key) and len(sides) == 1:
            said.append(Wording(key, sides.pop(), _degree(together)))
            left = {n: u for n, u in left.items() if n not in key}
    order = {u.unit: place for place, u in enumerate(units)}
    return sorted(said, key=lambda s: order[s.units[0]])


def _side(unit: UnitLabel) -> str | None:
    return unit.side or {"top": "upper", "bottom": "lower"}.get(unit.part or "")


def _degree(units: Sequence[UnitLabel]) -> str:
    known = [u.intensity for u in units if u.intensity is not None]
    if not known:
        return ""
    return "slightly " if max(known) < SLIGHT else "clearly " if min(known) >= CLEAR else ""


def _sentences(
    seen: Sequence[UnitLabel], parts: tuple[str, ...], family: Family, rng: random.Random
) -> list[str]:
    if not seen:
        return [rng.choice(family.rest)]
    if not parts:
        return [_fill(family.plain, seen, family, rng)]
    owned = {u.unit: attributed(u.unit, parts) for u in seen}
    made = []
    for part in parts:
        own = [u for u in seen if owned[u.unit] == (part,)]
        noun = {"emotion": NOUNS[part]}
        made.append(
            _fill(family.fitting, own, family, rng, noun)
            if own
            else _words(rng.choice(family.silent), noun)
        )
    common = [u for u in seen if len(owned[u.unit]) > 1]
    if common:
        both = dict(zip("ab", (NOUNS[part] for part in parts), strict=True))
        made.append(_fill(family.shared, common, family, rng, both))
    others = [u for u in seen if not owned[u.unit]]
    return [*made, _fill(family.misfit, others, family, rng)] if others else made


def _fill(
    templates: Sequence[str],
    units: Sequence[UnitLabel],
    family: Family,
    rng: random.Random,
    words: dict[str, str] | None = None,
) -> str:
    said = group(units, family.bank)
    clauses = joined([one.clause(family.bank, rng) for one in said])
    nouns = joined([one.noun(family.bank, rng) for one in said])
    return _words(rng.choice(templates), {"clauses": clauses, "nouns": nouns, **(words or {})})


def _words(template: str, words: dict[str, str]) -> str:
    return template.format(**words, **{key.capitalize(): opened(w) for key, w in words.items()})


def covered(region: str, family: Family, rng: random.Random) -> str:
    """Word that a region cannot be seen."""
    return rng.choice(family.hidden).format(
        region=region, **{"is": "are" if region in PLURAL else "is"}
    )
