"""Read a folder of images by their folders, or what the datasets library wrote or fetches."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ferce.data import manifest
from ferce.data.record import (
    Blob,
    DataError,
    Problem,
    Row,
    Sample,
    is_split,
    parse_label,
    parse_split,
)
from ferce.images import SUFFIXES, UNREAD

_MARKS = ("dataset_dict.json", "dataset_info.json")
_METADATA = ("metadata.jsonl", "metadata.csv")


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture in row `index` of a memory-mapped table."""

    table: Any
    column: str
    index: int

    def read_bytes(self) -> bytes:
        """Read the bytes of the file."""
        cell = self.table[self.index][self.column]
        return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()

    def __reduce__(self) -> tuple[type[Blob], tuple[bytes]]:
        """Pickle the bytes for another process, without the table."""
        return Blob, (self.read_bytes(),)


def read_hub(where: str, config: str = "", label: str = "", units: str = "") -> Iterator[Row]:
    """Read samples of a data set on the Hub (or a local folder that `load_dataset` reads).

    Args:
        where: `owner/name` or `owner/name@revision`; pin the revision for results that you report.
        config: name of the configuration, for data sets that have several.
        label: name of the label column, when it is not one of `manifest.COLUMNS["label"]`.
        units: likewise for action units.

    Raises:
        DataError: the data set has no image column, or its labels are numbers without names.
    """
    datasets = _library()
    name, _, revision = where.partition("@")
    tables = datasets.load_dataset(name, config or None, revision=revision or None)
    yield from _read_splits(tables, {"label": label, "units": units})


def is_saved(root: Path) -> bool:
    """Tell whether the folder was written by `save_to_disk`."""
    return any((root / mark).is_file() for mark in _MARKS)


def read_saved(root: Path) -> Iterator[Row]:
    """Read samples of a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""
    tables = _library().load_from_disk(str(root))
    yield from _read_splits(tables if isinstance(tables, dict) else {"": tables}, {})


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "Reading from the Hub needs the datasets library: pip install -r train/requirements.txt"
        ) from error
    return datasets


def _read_splits(tables: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[Row]:
    for split, table in tables.items():
        yield from _read_table(table, parse_split(split) if split else None, given)


def _read_table(table: Any, split: str | None, given: Mapping[str, str]) -> Iterator[Row]:
    datasets = _library()
    image = _image_column(table.features, datasets)
    stored = table.cast_column(image, datasets.Image(decode=False))
    words, cells = stored.remove_columns([image]), stored.with_format("arrow", [image])
    fields = manifest.choose(dict.fromkeys(words.features), given)
    fields.pop("file", None)
    classes = _class_names(words.features, fields.get("label"))
    for index in range(len(stored)):
        row = words[index] if words.features else {}
        name = f"{split or 'row'}/{index:06d}"
        if classes and row[fields["label"]] is not None:
            row[fields["label"]] = _class_name(classes, row[fields["label"]])
        lack = _lack(cells[index].column(0)[0])
        picture = Stored(stored, image, index)
        made = _sample(row, fields, picture, (name, split))
        yield Problem(name, lack, made.split) if lack else made


def _lack(cell: Any) -> str:
    """Say why a picture, as Arrow holds it, cannot be read; empty when it can."""
    stored = cell.is_valid and cell["bytes"].is_valid
    path = cell["path"].as_py() if cell.is_valid else None
    if stored or (path and Path(path).is_file()):
        return ""
    return f"is missing ({path})" if path else "has no picture"


def _sample(
    row: Mapping[str, Any], fields: Mapping[str, str], image: Stored, place: tuple[str, str | None]
) -> Row:
    name, split = place
    try:
        made = manifest.sample(row, fields, image, name)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from error
    if made.split is None and split is not None:
        return replace(made, split=split)
    return made


def _image_column(features: Mapping[str, Any], datasets: Any) -> str:
    columns = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    if len(columns) == 1:
        return columns[0]
    if "image" in columns:
        return "image"
    raise DataError(
        f"The data set should have one image column; it has {len(columns)} of {list(features)}."
    )


def _class_names(features: Mapping[str, Any], column: str | None) -> list[str] | None:
    """Return the names behind a ClassLabel column; None for text or no labels."""
    kind = features.get(column or "")
    return getattr(kind, "names", None)


def _class_name(classes: list[str], number: int) -> str | None:
    return classes[number] if number >= 0 else None  # -1 is the library's "no label"


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
    if is_saved(root):
        yield from read_saved(root)
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
    return next((folder / name for name in _METADATA if (folder / name).is_file()), None)


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
