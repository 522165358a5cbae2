"""Read and write action units as text: RAF's `4+L10+17`, `17+B22+T24` and `null`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ferce.data.record import DataError, UnitLabel

# RAF-AU and RAF-CE join codes with "+"; L, R, T, B stand for left, right, top and bottom only.
_TOKEN = re.compile(r"([LRTB]?)(\d{1,2})")
NOT_CODED = "null"
NEUTRAL_FACE = "0"  # FACS: AU0, coded and nothing there


def parse(text: str) -> tuple[UnitLabel, ...] | None:
    """Read a string of codes.

    Left and right are the person's, as in FACS. `L12+R12`, `L4+4` and `T24+B24` are each the whole
    unit. `null` is None (not coded), which is not the same as `0`, a face coded as showing nothing.

    Raises:
        DataError: the text is not in this form.
    """
    text = text.strip()
    if text.lower() == NOT_CODED:
        return None
    if text == NEUTRAL_FACE:
        return ()
    sides: dict[int, set[str]] = {}
    for token in text.split("+"):
        match = _TOKEN.fullmatch(token.strip())
        if match is None or int(match[2]) == 0:
            raise DataError(
                f"Action units are written like '4+L10+17' or 'null'; got {text!r}, where "
                f"{token!r} is no code."
            )
        sides.setdefault(int(match[2]), set()).add(match[1])
    return tuple(_label(unit, letters) for unit, letters in sorted(sides.items()))


def _label(unit: int, sides: set[str]) -> UnitLabel:
    if sides == {"L"}:
        return UnitLabel(unit, left=1.0, right=0.0)
    if sides == {"R"}:
        return UnitLabel(unit, left=0.0, right=1.0)
    if sides == {"T"}:
        return UnitLabel(unit, part="top")
    if sides == {"B"}:
        return UnitLabel(unit, part="bottom")
    return UnitLabel(unit)


def text(units: Iterable[UnitLabel] | None) -> str:
    """Write units in RAF's form; strengths are lost, units below `record.PRESENT` left out."""
    if units is None:
        return NOT_CODED
    return "+".join(map(_token, (u for u in units if u.present))) or NEUTRAL_FACE


def _token(unit: UnitLabel) -> str:
    prefix = {"left": "L", "right": "R", "top": "T", "bottom": "B"}.get(
        unit.side or unit.part or "", ""
    )
    return f"{prefix}{unit.unit}"


def read(value: Any) -> tuple[UnitLabel, ...] | None:
    """Read what a table holds: None, a string of codes, or a list of numbers or of mappings.

    A mapping has `unit`, and optionally `intensity`, `left`, `right` (0..1) and `part`.

    Raises:
        DataError: the value has another form.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return parse(value) if value.strip() else None
    if isinstance(value, Sequence):
        return tuple(map(_from_item, value))
    raise DataError(f"Action units must be text like '4+L10' or a list; got {value!r}.")


def _from_item(item: Any) -> UnitLabel:
    if isinstance(item, int) and not isinstance(item, bool):
        return UnitLabel(item)
    if isinstance(item, Mapping) and "unit" in item:
        optional = ("intensity", "left", "right", "part")
        try:
            return UnitLabel(int(item["unit"]), *(item.get(name) for name in optional))
        except (TypeError, ValueError) as error:
            raise DataError(f"The action unit {dict(item)} cannot be read: {error}.") from error
    raise DataError(f"An action unit must be a number or have 'unit'; got {item!r}.")
