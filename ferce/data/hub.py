"""Read data sets of the Hugging Face Hub, and folders that the `datasets` library wrote.

Needs `datasets` (train/requirements.txt). Pictures stay in the library's memory-mapped Arrow files
and are read one at a time, undecoded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ferce.data import manifest
from ferce.data.record import Blob, DataError, Problem, Row, parse_split

_MARKS = ("dataset_dict.json", "dataset_info.json")


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


def read(where: str, config: str = "", label: str = "", units: str = "") -> Iterator[Row]:
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
