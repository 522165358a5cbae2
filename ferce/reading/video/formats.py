"""The formats of timelines by name: what each says of a clip, and who writes that."""

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from ferce.reading.video import document, table, words
from ferce.reading.video.timeline import Timeline
from ferce.report.files import Sink
from ferce.report.text import plain


def entries(timeline: Timeline, formats: Iterable[str]) -> dict[str, Any]:
    """Format -> its entry, which is JSON data."""
    make: dict[str, Callable[[Timeline], Any]] = {
        "json": document.clip_to_json,
        "csv": _rows,
        "text": _text,
    }
    return {name: make[name](timeline) for name in formats}


def sink(name: str, file: TextIO, models: Mapping[str, str]) -> Sink:
    """The writer of a format."""
    if name == "json":
        return document.ClipsWriter(file, models)
    return _Plain(file, table.HEADER if name == "csv" else "")


class _Plain:
    """Writes a header and then each entry as it is."""

    def __init__(self, file: TextIO, header: str) -> None:
        self._file = file
        self._file.write(header)

    def put(self, entry: str) -> None:
        """Write one clip at once, so that a reader of a pipe sees it."""
        self._file.write(entry)
        self._file.flush()

    def finish(self) -> None:
        """Nothing follows the last clip."""


def _rows(timeline: Timeline) -> str:
    file = io.StringIO()
    table.write_rows([timeline], file)
    return file.getvalue().removeprefix(table.HEADER)


def _text(timeline: Timeline) -> str:
    return "".join(map(_line, words.lines(timeline)))


def _line(text: str) -> str:
    """Free of control characters, with its indent."""
    return " " * (len(text) - len(text.lstrip())) + plain(text) + "\n"
