"""Find the text files and image folders of RAF's releases below a folder, and read them."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from ferce.data.record import DataError

DEPTH = 4  # folders down that are searched, as in RAF/RAF-DB/compound/Image/aligned
KINDS = ("aligned", "original")


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
            raise DataError(f"{path.name} line {number} should be 'name value'; got {name!r}.")
        if name in values:
            raise DataError(f"{path.name} line {number} names {name} a second time; keep one line.")
        values[name] = value or str(empty)
    if not values:
        raise DataError(f"{path} is empty.")
    return values


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, name, what follows it) of each line that is not empty."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                name, _, value = line.strip().replace("\t", " ").partition(" ")
                yield number, name, value.strip()


def whole_numbers(path: Path) -> dict[str, int]:
    """Read name -> whole number of a text file, in its order; raises DataError as `column` does."""
    values = column(path)
    for name, value in values.items():
        if not value.isascii() or not value.isdigit():
            raise DataError(f"{path.name} should give a whole number for {name}; got {value!r}.")
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
