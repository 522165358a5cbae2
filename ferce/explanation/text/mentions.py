"""Compare the action units that a text claims with those that were annotated."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from itertools import groupby

from ferce.explanation.text import parse


@dataclass(frozen=True)
class Mentions:
    """Counts of one text against one picture's annotation.

    Attributes:
        right: claims of which a unit is annotated as there.
        invented: claims of which none is.
        unsettled: claims of units coded too faintly to say; in neither of the above.
        found: annotated units that some claim names.
        there: annotated units.
        denied: annotated units that the text says are not there.
    """

    right: int = 0
    invented: int = 0
    unsettled: int = 0
    found: int = 0
    there: int = 0
    denied: int = 0


COUNTS = tuple(item.name for item in fields(Mentions))


def compare(text: str, there: Collection[int], faint: Collection[int] = ()) -> Mentions:
    """Count the text's claims against the annotation.

    A phrase that means one of several units ("raised brows": AU1 or AU2) is one claim, right when
    any of them is there. Regions named without a movement claim nothing.

    Args:
        text: of the explanation.
        there: annotated units that are clearly there.
        faint: annotated units too weak to be named.
    """
    right = invented = unsettled = 0
    named: set[int] = set()
    denied: set[int] = set()
    for _, phrase in groupby(parse(text), key=lambda cue: (cue.start, cue.end)):
        cues = list(phrase)
        units = {cue.unit for cue in cues if cue.unit is not None and not cue.negated}
        denied |= {cue.unit for cue in cues if cue.unit is not None and cue.negated}
        named |= units
        right += bool(units & set(there))
        invented += bool(units) and not units & (set(there) | set(faint))
        unsettled += bool(units & set(faint)) and not units & set(there)
    found, refused = len(named & set(there)), len(denied & set(there) - named)
    return Mentions(right, invented, unsettled, found, len(set(there)), refused)
