"""RAF's releases: their text files and image folders found and read, their action-unit codes."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ferce.data.record import DataError, UnitLabel

DEPTH = 4  # folders down that are searched, as in RAF/RAF-DB/compound/Image/aligned
KINDS = ("aligned", "original")
# RAF-AU and RAF-CE join codes with "+"; L, R, T, B stand for left, right, top and bottom only.
_TOKEN = re.compile(r"([LRTB]?)(\d{1,2})")
NOT_CODED = "null"
_DIGITS = 9  # of a class or a split
NEUTRAL_FACE = "0"  # FACS: AU0, coded and nothing there


def find(root: Path, name: str) -> list[Path]:
    """List files and folders of this name, in the folder or up to `DEPTH` below, nearest first.

    What archives made on a Mac leave behind (`__MACOSX`) and hidden folders are passed over.
    """
    places = []
    for at, folders, files in os.walk(root, followlinks=True):
        if name in (*folders, *files):
            places.append(Path(at) / name)
        if len(Path(at).relative_to(root).parts) == DEPTH:
            folders.clear()
        folders[:] = [folder for folder in folders if not folder.startswith((".", "__"))]
    return sorted(places, key=lambda place: (len(place.parts), place))


def find_file(root: Path, name: str, content: str) -> Path:
    """Find the file of this name; copies with the same content count as one.

    Raises:
        DataError: there is none, or there are several that differ.
    """
    return only([place for place in find(root, name) if place.is_file()], root, name, content)


def only(places: Collection[Path], root: Path, name: str, content: str) -> Path:
    """Return the one file of several copies; see `find_file`."""
    if not places:
        raise DataError(
            f"{root} should hold {name} ({content}), also up to {DEPTH} folders down; it does not."
        )
    first, *others = places
    for other in others:
        if other.read_bytes() != first.read_bytes():
            raise DataError(
                f"{root} holds {name} {len(places)} times with other content ({first}, {other}); "
                "name the folder that holds the right one alone."
            )
    return first


def find_images(root: Path, kind: str, names: Collection[str], folder: str = "") -> Path:
    """Find the folder that holds the pictures of these names, the most of them where several do.

    Args:
        root: where folders called `kind` are searched.
        kind: "aligned" or "original".
        names: as the label file has them, such as "0001.jpg".
        folder: the folder itself, from `root` on; then none is searched.

    Raises:
        DataError: there is no such folder, or two hold as many pictures that differ.
    """
    if kind not in KINDS:
        raise DataError(f"images must be 'aligned' or 'original'; got {kind!r}.")
    if folder:
        if not (root / folder).is_dir():
            raise DataError(f"There is no folder {root / folder}; ?folder= names it from {root}.")
        return root / folder
    places = [place for place in find(root, kind) if place.is_dir()]
    if not places:
        raise DataError(
            f"{root} should hold a folder '{kind}' with the images; it does not. Unpack the "
            f"{kind} images there, choose the others with ?images=, or name it with ?folder=."
        )
    files = [image_path(Path(), name, kind).name for name in names]
    held = {place: [file for file in files if (place / file).is_file()] for place in places}
    most = max(map(len, held.values()))
    best = [place for place in places if len(held[place]) == most]
    if most and len({(place / held[place][0]).read_bytes() for place in best}) > 1:
        given = best[1].relative_to(root)
        raise DataError(
            f"{root} holds '{kind}' {len(best)} times with other pictures ({best[0]}, {best[1]}); "
            f"name one, such as ?folder={given}."
        )
    return best[0]


def image_path(folder: Path, name: str, kind: str) -> Path:
    """Return `aligned/0001_aligned.jpg` or `original/0001.jpg` for the name `0001.jpg`."""
    if kind == "original":
        return folder / name
    return folder / f"{Path(name).stem}_aligned{Path(name).suffix}"


def column(path: Path, empty: str | None = None) -> dict[str, str]:
    """Read name -> value of a text file with a pair a line, in its order.

    Args:
        path: of the file.
        empty: value of a line with a name alone; None refuses such lines.

    Raises:
        DataError: a line lacks its value, a name stands twice, or nothing is there.
    """
    values: dict[str, str] = {}
    for number, name, value in _lines(path):
        if not value and empty is None:
            raise DataError(f"{path.name} line {number} should be 'name value'; got {name!r:.60}.")
        if name in values:
            raise DataError(f"{path.name} line {number} names {name!r:.60} twice; keep one line.")
        values[name] = value or str(empty)
    if not values:
        raise DataError(f"{path} is empty.")
    return values


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, name, what follows it) of each line that is not empty."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    name, _, value = line.strip().replace("\t", " ").partition(" ")
                    yield number, name, value.strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is no text in UTF-8; use the official file.") from error


def whole_numbers(path: Path) -> dict[str, int]:
    """Read name -> whole number of a text file, in its order; raises DataError as `column` does."""
    values = column(path)
    for name, value in values.items():
        if not value.isascii() or not value.isdigit() or len(value) > _DIGITS:
            raise DataError(
                f"{path.name} should give a whole number for {name!r:.60}; got {value!r:.60}."
            )
    return {name: int(value) for name, value in values.items()}


def require_same_names(
    first: tuple[str, Collection[str]], second: tuple[str, Collection[str]]
) -> None:
    """Refuse two files, each (its name, names of pictures in it), of which one lacks a picture.

    Raises:
        DataError: names the file and three of the pictures.
    """
    for (holder, held), (_, other) in ((first, second), (second, first)):
        if names := set(other) - set(held):
            few = ", ".join(sorted(names)[:3])
            raise DataError(
                f"{holder} lacks {len(names)} names of the other files ({few}); use one release."
            )


def parse_units(text: str) -> tuple[UnitLabel, ...] | None:
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
                f"Action units are written like '4+L10+17' or 'null'; got {text!r:.60}, where "
                f"{token!r:.60} is no code."
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


def units_text(units: Iterable[UnitLabel] | None) -> str:
    """Write units in RAF's form; strengths are lost, units below `record.PRESENT` left out."""
    if units is None:
        return NOT_CODED
    return "+".join(map(_token, (u for u in units if u.present))) or NEUTRAL_FACE


def _token(unit: UnitLabel) -> str:
    prefix = {"left": "L", "right": "R", "top": "T", "bottom": "B"}.get(
        unit.side or unit.part or "", ""
    )
    return f"{prefix}{unit.unit}"


def read_units(value: Any) -> tuple[UnitLabel, ...] | None:
    """Read what a table holds: None, a string of codes, or a list of numbers or of mappings.

    A mapping has `unit`, and optionally `intensity`, `left`, `right` (0..1) and `part`.

    Raises:
        DataError: the value has another form.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return parse_units(value) if value.strip() else None
    if isinstance(value, Sequence):
        return tuple(map(_from_item, value))
    raise DataError(f"Action units must be text like '4+L10' or a list; got {value!r:.60}.")


def _from_item(item: Any) -> UnitLabel:
    if isinstance(item, int) and not isinstance(item, bool):
        return UnitLabel(item)
    if isinstance(item, Mapping) and "unit" in item:
        optional = ("intensity", "left", "right", "part")
        try:
            return UnitLabel(int(item["unit"]), *(item.get(name) for name in optional))
        except (TypeError, ValueError, OverflowError) as error:
            shown = f"{dict(item)!s:.200}"
            raise DataError(f"The action unit {shown} cannot be read: {error}.") from error
    raise DataError(f"An action unit must be a number or have 'unit'; got {item!r:.60}.")
