"""Read a CSV or JSONL table of images: one row a picture; other columns become attributes."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ferce.data import coding
from ferce.data.record import DataError, Readable, Row, Sample, checked, parse_label, parse_split

# The first of these columns that a table has is taken for each field.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": ("file_name", "file", "filename", "image", "path"),
    "label": ("label", "expression", "emotion", "class"),
    "units": ("action_units", "units", "aus", "au"),
    "subject": ("subject", "person", "identity", "subject_id"),
    "split": ("split", "partition", "subset"),
}
NO_LABEL = ("", "null", "none", "nan")


def read(
    where: str, root: str = "", file: str = "", label: str = "", units: str = "", split: str = ""
) -> Iterator[Row]:
    """Read samples in the order of the table, line by line.

    Args:
        where: a .csv (comma, semicolon or tab) or .jsonl file.
        root: folder that file names start from; the table's folder when empty.
        file: name of the column with the file names, when it is not one of `COLUMNS["file"]`.
        label: likewise; a table without such a column has no labels.
        units: likewise; text like `4+L10`, or a list in JSONL.
        split: likewise.

    In JSONL the columns `shares` (label -> 0..1) and `coded_units` (a list) become those of
    `Sample`.

    Raises:
        DataError: the table cannot be read; the message names the line.
    """
    path = Path(where)
    if not path.is_file():
        raise DataError(f"There is no table {path}; give the path of a .csv or .jsonl file.")
    folder = Path(root) if root else path.parent
    given = {"file": file, "label": label, "units": units, "split": split}
    for number, row in rows(path):
        try:
            fields = choose(row, given)
            yield checked(sample(row, fields, folder / _file_name(row, fields)))
        except ValueError as error:
            raise DataError(f"{path.name} line {number}: {error}") from error


def _file_name(row: Mapping[str, Any], fields: Mapping[str, str]) -> str:
    name = row.get(fields.get("file", ""))
    if not isinstance(name, str) or not name:
        raise DataError(f"a row needs a file name ({', '.join(COLUMNS['file'])}); got {list(row)}.")
    return name


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, row) of a CSV or JSONL file, one at a time."""
    kind = path.suffix.lower()
    if kind == ".jsonl":
        yield from _json_rows(path)
    elif kind in (".csv", ".tsv"):
        yield from _csv_rows(path)
    else:
        raise DataError(f"A table is a .csv, .tsv or .jsonl file; got {path.name}.")


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path.name} line {number} is not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise DataError(f"{path.name} line {number} should be one JSON object.")
            yield number, row


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=header.count)
        reader = csv.DictReader(file, delimiter=delimiter)
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"{path.name} line {reader.line_num} should have as many fields as the header."
                )
            yield reader.line_num, dict(row)


def choose(row: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Choose the column of each field: the one given, or the first usual name that exists.

    Raises:
        DataError: a column was named that the table does not have.
    """
    chosen = {}
    for field, usual in COLUMNS.items():
        asked = given.get(field, "")
        if asked and asked not in row:
            raise DataError(f"the table has no column {asked!r}; it has {', '.join(row)}.")
        column = asked or next((name for name in usual if name in row), None)
        if column:
            chosen[field] = column
    return chosen


def sample(
    row: Mapping[str, Any], fields: Mapping[str, str], image: Readable, name: str = ""
) -> Sample:
    """Make a sample of one row; other columns with single values become attributes.

    Raises:
        DataError: a label, split or action unit cannot be read.
    """
    value = {field: row.get(column) for field, column in fields.items()}
    taken = set(fields.values())
    return Sample(
        name=name or str(value["file"]),
        image=image,
        label=_label(value.get("label")),
        units=coding.read(value.get("units")),
        subject=str(value["subject"]) if value.get("subject") not in (None, "") else None,
        shares=_shares(row.get("shares")),
        coded=_coded(row.get("coded_units")),
        split=parse_split(str(value["split"])) if value.get("split") not in (None, "") else None,
        attributes={
            key: str(v)
            for key, v in row.items()
            if key not in taken and isinstance(v, str | int | float | bool) and v != ""
        },
    )


def _shares(value: Any) -> dict[str, float] | None:
    """Read a JSON object from label to share."""
    if not isinstance(value, Mapping):
        return None
    return {parse_label(str(name)): float(share) for name, share in value.items()}


def _coded(value: Any) -> frozenset[int] | None:
    """Read a JSON list of the units that the annotator coded."""
    return frozenset(int(unit) for unit in value) if isinstance(value, list) else None


def _label(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in NO_LABEL):
        return None
    if isinstance(value, str):
        return parse_label(value)
    raise DataError(
        f"a label should be a name; got {value!r}. Numbers have no fixed order: write names."
    )
