"""Text files of `name value` lines, as the RAF data sets have them, and their image folders."""

from collections.abc import Iterator
from pathlib import Path

from ferce.data.record import DataError


def find_file(root: Path, name: str, what: str) -> Path:
    """The one file of this name in the folder or up to two levels below.

    Raises:
        DataError: there is none, or more than one.
    """
    places = [p for level in ("", "*/", "*/*/") for p in sorted(root.glob(level + name))]
    if len(places) == 1:
        return places[0]
    if not places:
        raise DataError(
            f"{root} should hold {name} ({what}), also up to two folders down; it does not."
        )
    raise DataError(
        f"{root} holds {name} {len(places)} times ({places[0]}, {places[1]}); keep one."
    )


def find_folder(root: Path, kind: str) -> Path:
    """The folder of images called "aligned" or "original", up to two levels below `root`.

    Raises:
        DataError: there is none, or more than one.
    """
    places = [
        p for level in ("", "*/", "*/*/") for p in sorted(root.glob(level + kind)) if p.is_dir()
    ]
    if len(places) == 1:
        return places[0]
    if not places:
        raise DataError(
            f"{root} should hold a folder '{kind}' with the images; it does not. Unpack the "
            f"{kind} images there, or choose the others with ?images=."
        )
    raise DataError(
        f"{root} holds '{kind}' {len(places)} times ({places[0]}, {places[1]}); name one."
    )


def lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line number, name, value) of each line that is not empty.

    Raises:
        DataError: a line does not consist of a name, white space and a value.
    """
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            fields = line.split()
            if not fields:
                continue
            if len(fields) != 2:
                raise DataError(
                    f"{path.name} line {number} should be 'name value'; got {line.strip()!r}."
                )
            yield number, fields[0], fields[1]


def column(path: Path) -> dict[str, str]:
    """Name -> value of the whole file, in its order.

    Raises:
        DataError: a line is malformed or a name comes twice.
    """
    values: dict[str, str] = {}
    for number, name, value in lines(path):
        if name in values:
            raise DataError(f"{path.name} line {number} names {name} a second time; keep one line.")
        values[name] = value
    if not values:
        raise DataError(f"{path} is empty.")
    return values


def numbers(path: Path) -> dict[str, int]:
    """As `column`, with whole numbers for values."""
    values = column(path)
    for name, value in values.items():
        if not value.isascii() or not value.isdigit():
            raise DataError(f"{path.name} should give a whole number for {name}; got {value!r}.")
    return {name: int(value) for name, value in values.items()}


def image_path(folder: Path, name: str, kind: str) -> Path:
    """`aligned/0001_aligned.jpg` or `original/0001.jpg` for the name `0001.jpg`."""
    if kind == "original":
        return folder / name
    stem, suffix = Path(name).stem, Path(name).suffix
    return folder / f"{stem}_aligned{suffix}"


def check_kind(kind: str) -> None:
    """Raises `DataError` unless the kind of images exists."""
    if kind not in ("aligned", "original"):
        raise DataError(f"images must be 'aligned' or 'original'; got {kind!r}.")
