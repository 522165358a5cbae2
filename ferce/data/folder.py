"""Read a folder of images: one folder a label, perhaps below one folder a split, or no labels."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ferce.data import hub, manifest
from ferce.data.record import DataError, Problem, Row, Sample, is_split, parse_label, parse_split
from ferce.images import SUFFIXES

METADATA = ("metadata.jsonl", "metadata.csv")


def read(where: str) -> Iterator[Row]:
    """Read samples by split, label and name.

    Understood are `label/x.jpg`, `train/label/x.jpg`, folders of pictures alone (no labels), either
    with `metadata.jsonl` or `metadata.csv` beside the pictures, and what `Dataset.save_to_disk` of
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
    splits = sorted(p for p in root.iterdir() if p.is_dir() and is_split(p.name))
    count = 0
    for folder in splits or [root]:
        split = parse_split(folder.name) if splits else None
        for row in _read_split(folder, split, root):
            count += 1
            yield row
    if not count:
        raise DataError(f"{root} holds no picture ({', '.join(sorted(SUFFIXES))}).")


def _read_split(folder: Path, split: str | None, root: Path) -> Iterator[Row]:
    tables = [folder / name for name in METADATA if (folder / name).is_file()]
    if tables:
        yield from _with_split(manifest.read(str(tables[0])), split)
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
        for path in _pictures(place):
            yield Sample(_name(path, root), path, label, split=split)


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


def _pictures(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    for name in names:
        if Path(name).suffix.lower() in SUFFIXES:
            yield folder / name


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _with_split(rows: Iterator[Row], split: str | None) -> Iterator[Row]:
    """Give the split to rows of a table that lies in a split's folder."""
    for row in rows:
        if split is None:
            yield row
        elif row.split not in (None, split):
            raise DataError(
                f"{row.name} lies in the folder of {split} but its row says {row.split}."
            )
        elif isinstance(row, Problem):
            yield Problem(f"{split}/{row.name}", row.reason, split)
        else:
            yield replace(row, name=f"{split}/{row.name}", split=split)
