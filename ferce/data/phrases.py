"""Two disjoint banks of words for each action unit: one to train on, one for references and tests.

`{side}` is left or right (the person's), or upper or lower for the units of the lips. Clauses are
"subject is/are predicate", so that they turn into questions and negations. A phrase names its unit
and no other one: a test looks for overlaps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ferce.data.phrases_reference import REFERENCE_ROWS
from ferce.data.phrases_training import TRAINING_ROWS


@dataclass(frozen=True)
class Phrases:
    """How one unit is said: clauses ("the brow is ...") and nouns ("a ... brow").

    `side_clauses` and `side_nouns` hold `{side}`; they are empty for units that have no halves.
    """

    clauses: tuple[str, ...]
    nouns: tuple[str, ...]
    side_clauses: tuple[str, ...] = ()
    side_nouns: tuple[str, ...] = ()

    def clauses_on(self, side: str | None) -> tuple[str, ...]:
        """Clauses for the side, or for both (also where no half can be named)."""
        if side is None or not self.side_clauses:
            return self.clauses
        return tuple(clause.format(side=side) for clause in self.side_clauses)

    def nouns_on(self, side: str | None) -> tuple[str, ...]:
        """Nouns for the side, or for both (also where no half can be named)."""
        if side is None or not self.side_nouns:
            return self.nouns
        return tuple(noun.format(side=side) for noun in self.side_nouns)


Row = tuple[tuple[str, ...], ...]
Bank = Mapping[tuple[int, ...], Phrases]


def _bank(rows: Mapping[tuple[int, ...], Row]) -> Bank:
    return MappingProxyType({units: Phrases(*row) for units, row in rows.items()})


# Keys are units that are said together: (12,) or, for both brows, (1, 2).
TRAINING: Bank = _bank(TRAINING_ROWS)
REFERENCE: Bank = _bank(REFERENCE_ROWS)
