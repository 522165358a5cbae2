"""Read a CSV or JSONL table of images: one row a picture; other columns become attributes."""

import codecs
import csv
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ferce.core import jsontext
from ferce.data import layout
from ferce.data.record import (
    DataError,
    Readable,
    Row,
    Sample,
    checked,
    is_file,
    parse_label,
    parse_split,
)

# The first of these columns that a table has is taken for each field.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": ("file_name", "file", "filename", "image", "path"),
    "label": ("label", "expression", "emotion", "class"),
    "units": ("action_units", "units", "aus", "au"),
    "subject": ("subject", "person", "identity", "subject_id"),
    "split": ("split", "partition", "subset"),
}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls
NO_LABEL = ("", "null", "none", "nan")


def read(
    where: str, root: str = "", file: str = "", label: str = "", units: str = "", split: str = ""
) -> Iterator[Row]:
    """Read samples in the order of the table, line by line.

    A name may differ from the file's in slashes, case and Unicode form, as between systems.

    Args:
        where: a .csv (comma, semicolon, tab or bar) or .jsonl file in UTF-8 or UTF-16.
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
    places = _Places(Path(root) if root else path.parent)
    given = {"file": file, "label": label, "units": units, "split": split}
    for number, row in rows(path):
        try:
            fields = choose(row, given)
            yield checked(sample(row, fields, places.find(_file_name(row, fields))))
        except ValueError as error:
            raise DataError(f"{path.name} line {number}: {error}") from error


def _file_name(row: Mapping[str, Any], fields: Mapping[str, str]) -> str:
    name = row[fields["file"]] if "file" in fields else None
    if not isinstance(name, str) or not name:
        names = ", ".join(COLUMNS["file"])
        raise DataError(f"a row needs a file name ({names}); got {list(row)!s:.200}.")
    return name


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, row) of a CSV or JSONL file, one at a time."""
    readers = {".jsonl": _json_rows, ".csv": _csv_rows, ".tsv": _csv_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"A table is a .csv, .tsv or .jsonl file; got {path.name}. Save a spreadsheet's sheet "
            'as "CSV UTF-8".'
        )
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise _not_unicode(path) from error
    except csv.Error as error:
        raise DataError(f"{path.name} is no table of text: {error}.") from error


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _not_unicode(path: Path) -> DataError:
    """Name the first line that is not UTF-8 and show it as the usual other encoding."""
    with path.open("rb") as file:
        if file.read(4) in _WORKBOOKS:
            return DataError(f'{path.name} is a workbook; save its sheet as "CSV UTF-8".')
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if line.decode(errors="ignore").encode() != line:
            shown = line.decode("cp1252", "replace").strip()[:60]
            return DataError(
                f"{path.name} line {number} is not UTF-8 (as Windows-1252: {shown!r}); save the "
                'table as "CSV UTF-8", or convert it with iconv -f cp1252 -t utf-8.'
            )
    return DataError(f"{path.name} is cut off in the middle of a character; copy it again.")


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding=_encoding(path)) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = jsontext.parse(line)
            except ValueError as error:
                raise DataError(f"{path.name} line {number} is not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise DataError(f"{path.name} line {number} should be one JSON object.")
            yield number, row


_SEPARATOR = re.compile(r'"?sep=([^"\s]|\t)"?\s*$', re.IGNORECASE)  # Excel's first line


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding=_encoding(path), newline="") as file:
        first = file.readline()
        separator = _SEPARATOR.match(first)
        if not separator:
            file.seek(0)
        delimiter = separator[1] if separator else max(",;\t|", key=first.count)
        reader = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True)
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        _check_header(path, reader.fieldnames)
        for row in reader:
            number = reader.line_num + bool(separator)
            if any(row.pop(None, ())) or None in row.values():  # type: ignore[call-overload]
                raise DataError(
                    f"{path.name} line {number} should have as many fields as the header."
                )
            if any(row.values()):  # spreadsheets write empty rows
                yield number, dict(row)


def _check_header(path: Path, names: Sequence[str]) -> None:
    """Refuse two columns of one name, of which the last alone would count."""
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise DataError(f"{path.name} has two columns {twice!r}; rename or delete one.")


def choose(row: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Choose the column of each field: the one given, or the first usual name that exists.

    Raises:
        DataError: a column was named that the table does not have.
    """
    chosen, spelt = {}, {name.lower().replace(" ", "_"): name for name in row}
    for what, usual in COLUMNS.items():
        asked = given.get(what, "")
        if asked and asked not in row:
            raise DataError(f"the table has no column {asked!r}; it has {', '.join(row)}.")
        column = asked or next((spelt[name] for name in usual if name in spelt), None)
        if column:
            chosen[what] = column
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
        units=layout.read_units(value.get("units")),
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
    return {parse_label(str(name)): _share(share) for name, share in value.items()}


def _share(value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError, OverflowError):
        share = math.nan
    if not math.isfinite(share):
        raise DataError(f"a share should be a number from 0 to 1; got {value!r:.60}.")
    return share


def _coded(value: Any) -> frozenset[int] | None:
    """Read a JSON list of the units that the annotator coded."""
    if not isinstance(value, list):
        return None
    try:
        return frozenset(map(int, value))
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"coded_units should be whole numbers; got {value!r:.60}.") from error


def _label(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in NO_LABEL):
        return None
    if isinstance(value, str) and not value.strip().isdigit():
        return parse_label(value)
    raise DataError(
        f"a label should be a name; got {value!r}. Numbers have no fixed order: write names."
    )


@dataclass(frozen=True)
class _Places:
    """The files below a folder, by names that may differ in slashes, case and Unicode form.

    Windows writes backslashes, macOS takes apart letters with marks, and both ignore the case.
    """

    root: Path
    listed: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)

    def find(self, name: str) -> Path:
        """Return the file's path; that of the very name where none or several are alike."""
        path = self.root / name
        return path if is_file(path) else self._alike(name) or path

    def _alike(self, name: str) -> Path | None:
        place = self.root
        for part in PurePosixPath(name.strip().replace("\\", "/")).parts:
            if part in ("/", ".."):
                place /= part
                continue
            alike = self._names(place)[_key(part)]
            exact = [path for path in alike if path.name == part] or alike
            if len(exact) != 1:
                return None
            place = exact[0]
        return place if is_file(place) else None

    def _names(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self.listed:
            self.listed[folder] = defaultdict(list)
            for path in folder.iterdir() if folder.is_dir() else ():
                self.listed[folder][_key(path.name)].append(path)
        return self.listed[folder]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
