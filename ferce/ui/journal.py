"""What a run has read so far, on disk: one that is killed loses only what it was reading then.

`out.json.partial.jsonl` lies beside the first output file until a run has read everything. Its
first line is a header: `journal` (version of this form), `ferce` (version), `asked` (models and
options) and `models` (role -> spec). Each line after it is a `Row`; of several on one photo the
last counts.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any, Self

from ferce import __version__
from ferce.core import jsontext

FORM = 1
SUFFIX = ".partial.jsonl"


class JournalError(ValueError):
    """One clear sentence on why a run cannot go on from a journal, or begin beside one."""


@dataclass(frozen=True)
class Row:
    """What became of one photo or video.

    Attributes:
        name: its path as it was named.
        stamp: its size in bytes and time of change in ns when it was read; None where unknown.
        error: why it could not be read; None where it was.
        faces: how many were found.
        entries: format -> what it says of it, as JSON data.
    """

    name: str
    stamp: tuple[int, int] | None = None
    error: str | None = None
    faces: int = 0
    entries: Mapping[str, Any] = field(default_factory=dict)

    def to_line(self) -> bytes:
        """Write the row as a line of JSON; raises ValueError for NaN."""
        return json.dumps(asdict(self), allow_nan=False).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read the row of a line; raises ValueError or TypeError when it is none."""
        values = jsontext.parse(line)
        stamp = values.pop("stamp")
        return cls(**values, stamp=None if stamp is None else tuple(stamp))


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Read size and time of change, None where the file cannot be looked at."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_size, stat.st_mtime_ns


class Journal:
    """The rows of a run and of the stopped one that it goes on from; keeps names and places only.

    Leaving it as a context closes the file; `remove` ends a run that has read everything.
    """

    def __init__(self, path: Path, asked: Mapping[str, Any], resume: bool) -> None:
        """Look at what an earlier run left, and write nothing yet.

        Args:
            path: of the journal.
            asked: models and options, as JSON holds them.
            resume: whether to go on from what is there.

        Raises:
            JournalError: there are rows and nobody asked for them, or they are of another run.
        """
        self.path, self._asked = path, dict(asked)
        self._places: dict[str, int] = {}  # name -> where its line begins
        self._end = 0  # of the last whole line
        self._header: dict[str, Any] | None = None
        self._reads: BufferedReader | None = None
        self._writes: BufferedWriter | None = None
        if path.exists():
            self._scan()
            self._check(resume)

    def __len__(self) -> int:
        return len(self._places)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._reads, self._writes):
            if file is not None:
                with contextlib.suppress(OSError):  # a full disk was reported by `add`
                    file.close()

    def begin(self, models: Mapping[str, str]) -> None:
        """Open the file for rows by these models; what a kill left of a last line is cut off.

        Raises:
            JournalError: the rows that are there were read by other models.
        """
        if not self._places:
            header = {"journal": FORM, "ferce": __version__, "asked": self._asked}
            line = json.dumps({**header, "models": dict(models)}).encode() + b"\n"
            self.path.write_bytes(line)
        elif self._header is not None and self._header["models"] != dict(models):
            raise JournalError(f"{self.path} holds rows of other models; {self._afresh}.")
        else:
            os.truncate(self.path, self._end)
        self._writes, self._reads = self.path.open("ab"), self.path.open("rb")

    def add(self, row: Row) -> None:
        """Write a row so that it outlives this process."""
        assert self._writes is not None, "a journal begins before it takes rows"
        line = row.to_line()
        self._writes.write(line)
        self._writes.flush()
        self._places[row.name] = self._writes.tell() - len(line)

    def known(self, path: Path) -> Row | None:
        """Find the row of a photo that has not changed since; None where it must be read.

        What could not be read is tried again.
        """
        place = self._places.get(str(path))
        if place is None:
            return None
        assert self._reads is not None, "a journal begins before it gives rows"
        self._reads.seek(place)
        row = Row.from_line(self._reads.readline())
        whole = row.error is None and row.stamp is not None and row.stamp == stamp_of(path)
        return row if whole else None

    def remove(self) -> None:
        """Delete the file."""
        self.__exit__()
        self.path.unlink(missing_ok=True)

    def _scan(self) -> None:
        """Note header and places; a line that is none is as if it were not there."""
        for place, line in _lines(self.path):
            if place == 0:
                self._header = _header(line)
            else:
                with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                    self._places[Row.from_line(line).name] = place
            self._end = place + len(line)

    def _check(self, resume: bool) -> None:
        if self._header is None and self._end:
            raise JournalError(f"{self.path} is no journal of ferce; move it away.")
        if not self._places:
            return
        if not resume:
            raise JournalError(
                f"{self.path} holds what a stopped run has read ({len(self)}); go on with "
                f"--resume, or {self._afresh}."
            )
        odd = self._odd()
        if odd is not None:
            name, was, wanted = odd
            raise JournalError(
                f"The run in {self.path} has {name:.60} = {was!r:.200}, not {wanted!r:.200}; give "
                f"the same command, or {self._afresh}."
            )

    @property
    def _afresh(self) -> str:
        return "delete that file to start afresh"

    def _odd(self) -> tuple[str, Any, Any] | None:
        """Find the first thing in which the journal's run differs: name, its value, ours."""
        header = self._header or {}
        was = {"ferce": header.get("ferce"), **header.get("asked", {})}
        wanted = json.loads(json.dumps({"ferce": __version__, **self._asked}))
        names = [name for name in {**was, **wanted} if was.get(name) != wanted.get(name)]
        return (names[0], was.get(names[0]), wanted.get(names[0])) if names else None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """List the whole lines, each with where it begins."""
    place = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield place, line
            place += len(line)


def _header(line: bytes) -> dict[str, Any] | None:
    try:
        header = jsontext.parse(line)
    except ValueError:
        return None
    known = isinstance(header, dict) and header.get("journal") == FORM
    parts = (header.get(name) for name in ("asked", "models")) if known else (None,)
    return header if all(isinstance(part, dict) for part in parts) else None
