"""Read a folder of images: one folder a label, perhaps below one folder a split, or no labels."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ferce.data import hub, manifest
from ferce.data.record import DataError, Problem, Row, Sample, is_split, parse_label, parse_split
from ferce.images import SUFFIXES, UNREAD

METADATA = ("metadata.jsonl", "metadata.csv")


def read(where: str) -> Iterator[Row]:
    """Read samples by split, label and name.

    Understood are `label/x.jpg`, `train/label/x.jpg`, both with folders below the label (of people,
    or of splits), folders of pictures alone (no labels), either with `metadata.jsonl` or
    `metadata.csv` beside the pictures or above the splits, and what `Dataset.save_to_disk` of
    `datasets` writes.

    Raises:
        DataError: the folder does not exist or holds no picture, or a folder name is no label.
    """
    root = Path(where)
    if not root.is_dir():
        raise DataError(f"There is no folder {root}; give the path of a folder of images.")
    if hub.is_saved(root):
        yield from hub.read_saved(root)
        return
    count = 0
    for row in _read_folder(root):
        count += 1
        yield row
    if not count:
        raise DataError(f"{root} holds no picture ({', '.join(sorted(SUFFIXES))}).")


def _read_folder(root: Path) -> Iterator[Row]:
    splits = sorted(p for p in root.iterdir() if p.is_dir() and is_split(p.name))
    table = _table(root)
    if table and not any(map(_table, splits)):
        for row in manifest.read(str(table)):
            yield _with_split(row, _split_of(Path(row.name.replace("\\", "/"))))
        return
    for folder in splits or [root]:
        split = parse_split(folder.name) if splits else None
        yield from _read_split(folder, split, root)


def _table(folder: Path) -> Path | None:
    return next((folder / name for name in METADATA if (folder / name).is_file()), None)


def _read_split(folder: Path, split: str | None, root: Path) -> Iterator[Row]:
    table = _table(folder)
    if table:
        for row in manifest.read(str(table)):
            named = replace(row, name=f"{split}/{row.name}") if split else row
            yield _with_split(named, split)
        return
    labels = _label_folders(folder)
    for path in _pictures(folder):
        if labels:
            yield Problem(
                _name(path, root), "lies beside the label folders, so it has no label", split
            )
        else:
            yield Sample(_name(path, root), path, split=split)
    for label, place in labels:
        for path in _pictures(place, deep=True):
            within = split or _split_of(path.relative_to(place))
            yield Sample(_name(path, root), path, label, split=within)


def _split_of(path: Path) -> str | None:
    """Return the split that a folder of the path names, None where none does."""
    return next((parse_split(part) for part in path.parts[:-1] if is_split(part)), None)


def _label_folders(folder: Path) -> list[tuple[str, Path]]:
    """List (label, folder) of each folder that is not hidden."""
    places = sorted(
        p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__"))
    )
    return [(_label(place), place) for place in places]


def _label(place: Path) -> str:
    try:
        return parse_label(place.name)
    except DataError as error:
        raise DataError(f"The folder {place} is not named after a label. {error}") from error


def _pictures(folder: Path, deep: bool = False) -> Iterator[Path]:
    """List pictures by name, if `deep` those of the folders below after them."""
    for place, folders, names in os.walk(folder, onerror=_fail):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and deep)
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES | UNREAD:
                yield Path(place, name)


def _fail(error: OSError) -> None:
    raise error


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _with_split(row: Row, split: str | None) -> Row:
    """Give a row of a table the split of the folder that it lies in."""
    if split is not None and row.split not in (None, split):
        raise DataError(f"{row.name} lies in the folder of {split} but its row says {row.split}.")
    return replace(row, split=split) if split else row
