"""The formats of a result by name: what each says of a photo, and who writes that."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from ferce.core.types import Report
from ferce.report import JsonWriter, page, photo_to_json, table, text
from ferce.report.files import Sink
from ferce.report.page import MAX_PICTURES, HtmlWriter
from ferce.report.table import CsvWriter
from ferce.report.text import TextWriter

__all__ = ["MAX_PICTURES", "entries", "sink"]

_ENTRIES: Mapping[str, Callable[[Report], Any]] = {
    "json": photo_to_json,
    "csv": table.lines,
    "html": lambda report: page.entry(report, draw=True),
    "text": text.entry,
}
_PLAIN = {**_ENTRIES, "html": lambda report: page.entry(report, draw=False)}


def entries(report: Report, formats: Iterable[str], *, draw: bool = True) -> dict[str, Any]:
    """Make the entry of each format, which is JSON data; pictures for the page only if `draw`."""
    make = _ENTRIES if draw else _PLAIN
    return {name: make[name](report) for name in formats}


def sink(name: str, file: TextIO, models: Mapping[str, str]) -> Sink:
    """Make the writer of a format; that of "html" must be left as a context."""
    make: dict[str, Callable[[], Sink]] = {
        "json": lambda: JsonWriter(file, models),
        "csv": lambda: CsvWriter(file),
        "html": lambda: HtmlWriter(file, models),
        "text": lambda: TextWriter(file),
    }
    return make[name]()
