"""A CSV that grows row by row on disk, so that a run that was killed goes on where it was."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ferce.evaluation.plan import EvaluationError


class Table:
    """Rows with a `name` column, each of one line, appended in the order of the data set."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Open or make the file; a last line that was cut off is removed.

        Raises:
            EvaluationError: the file has other columns.
        """
        self.path, self.columns = path, tuple(columns)
        if path.is_file():
            _mend(path)
        if not path.is_file() or not path.stat().st_size:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write([dict(zip(columns, columns, strict=True))])
        self._check()

    def _check(self) -> None:
        with self.path.open(encoding="utf-8", newline="") as file:
            header = tuple(next(csv.reader(file)))
        if header != self.columns:
            raise EvaluationError(
                f"{self.path} has other columns than this version writes; start afresh (--fresh)."
            )

    def rows(self) -> Iterator[dict[str, str]]:
        """The rows on disk, one at a time."""
        with self.path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)

    def done(self) -> dict[str, str]:
        """Name -> label of the rows on disk ("" where there is no such column)."""
        return {row["name"]: row.get("label", "") for row in self.rows()}

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows to disk; cells are made one line, None becomes an empty cell."""
        self._write([{k: _cell(row.get(k)) for k in self.columns} for row in rows])

    def _write(self, rows: Sequence[Mapping[str, str]]) -> None:
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerows(rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return repr(float(value))  # all digits: figures do not change by being written
    return "" if value is None else " ".join(str(value).split())


def _mend(path: Path) -> None:
    """Cut the file behind its last whole line."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end > 0:
            start = max(end - 65_536, 0)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                file.truncate(start + place + 1)
                return
            end = start
        file.truncate(0)
