"""Explanations composed from measured action units: what is seen, and which emotion it fits."""

import zlib
from collections.abc import Sequence

from ferce.core.labels import components
from ferce.core.types import Face, Prediction, UnitEvidence
from ferce.explanation.text.sentences import Plan, worded
from ferce.explanation.text.wording import phrases
from ferce.facs.prototypes import PROTOTYPES, TRUSTED, UNITS, active, fits

PHRASINGS = 6
# A component's unit is missed aloud when at least this share of people show it.
EXPECTED = 0.5
# A unit shown this much more often with one component than with the other is attributed to it.
DECISIVE = 1.8
# At most so many units that do not fit the label are said, the strongest.
MISFITS = 3
# Share of people for units that only EMFACS lists; below every share in Du's table.
EMFACS_SHARE = 0.19


def phrasing_of(face: Face) -> int:
    """The phrasing of this photo: a hash of the crop's bytes, the same on every machine."""
    return zlib.crc32(face.crop.tobytes()) % PHRASINGS


def compose(face: Face, prediction: Prediction, phrasing: int) -> str:
    """An explanation of the predicted label from the face's measured action units.

    Args:
        face: its `units` are all that is claimed; one that cannot be told is never claimed.
        prediction: label and state.
        phrasing: which wording, any integer; `phrasing_of(face)` ties it to the photo.
    """
    return worded(_plan(face, prediction), phrasing % PHRASINGS)


def _plan(face: Face, prediction: Prediction) -> Plan:
    label = prediction.label
    found = active(face.units)
    parts = components(label) if label else ()
    owners = _owners(found, parts)
    groups = tuple((p, tuple(phrases([u for u in found if owners[u.unit] == (p,)]))) for p in parts)
    common = phrases([u for u in found if len(owners[u.unit]) > 1]) if parts else []
    rest = [u for u in found if not owners[u.unit]]
    told = phrases(rest if label is None else rest[:MISFITS])
    unknown = tuple(u for p in parts for u in _expected(p) if _untold(face, u))
    known = any(u.confidence >= TRUSTED for u in face.units.values())
    once = tuple(dict.fromkeys(unknown)) if known else ()
    return Plan(prediction, known, groups, tuple(common), tuple(told), once)


def _owners(found: Sequence[UnitEvidence], parts: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """Which components each unit speaks for.

    A unit that fits two evenly goes with the clearest one-sided unit of its region, where there is
    one: parted lips belong to the smile beside them.
    """
    owners = {u.unit: _owner(u.unit, parts) for u in found}
    clear = [u for u in found if len(owners[u.unit]) == 1]
    for unit in found:
        near = [u for u in clear if UNITS[u.unit].region == UNITS[unit.unit].region]
        if len(owners[unit.unit]) > 1 and near:
            owners[unit.unit] = owners[max(near, key=lambda u: u.intensity).unit]
    if 27 in owners:  # a mouth stretched wide open is one act, whatever else is open with it
        act = [n for n in (27, 26, 25) if n in owners]
        owners |= dict.fromkeys(act, next((owners[n] for n in act if owners[n]), ()))
    return owners


def _owner(unit: int, parts: Sequence[str]) -> tuple[str, ...]:
    """The component for which the unit speaks `DECISIVE` times more often, else all it fits."""
    shares = {p: _share(unit, p) for p in parts if fits(unit, p)}
    best = max(shares.values(), default=0.0)
    return tuple(p for p, share in shares.items() if share * DECISIVE > best)


def _share(unit: int, basic: str) -> float:
    """Share of people who show the unit with the emotion; a core unit counts as 1."""
    row = PROTOTYPES[basic]
    return 1.0 if unit in row.core else row.variants.get(unit, EMFACS_SHARE)


def _expected(basic: str) -> tuple[int, ...]:
    row = PROTOTYPES[basic]
    return (*row.core, *(u for u, share in row.variants.items() if share >= EXPECTED))


def _untold(face: Face, unit: int) -> bool:
    seen = face.units.get(unit)
    return seen is None or seen.confidence < TRUSTED
