"""Reads the photos of a batch one by one; what is there stays, whatever happens to the rest."""

import io
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ferce.core.types import Report
from ferce.images.archive import ArchiveError
from ferce.reading.pipeline import Reader
from ferce.report import JsonWriter
from ferce.report.files import Writer
from ferce.report.page import HtmlWriter
from ferce.report.table import CsvWriter
from ferce.ui.web.flows import pile
from ferce.ui.web.flows.flow import line
from ferce.ui.web.loading import Models
from ferce.ui.web.markup import text
from ferce.ui.web.panels import batch as panel
from ferce.ui.web.session import Session

Shown = dict[str, str]

TAB = "batch"
BROKEN = "A fault in ferce kept it from being read; the server's log says more."
_POLL = 0.3  # seconds between looks at whether the models are there
_CALM = 0.8  # seconds between two drawings of the table, which grows

_log = logging.getLogger(__name__)


@dataclass
class Files:
    """The results as files in memory, written photo by photo."""

    reader: Reader
    stack: ExitStack
    texts: dict[str, io.StringIO] = field(default_factory=dict)
    writers: list[Writer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.texts = {kind: io.StringIO(newline="") for kind in ("html", "csv", "json")}
        page = self.stack.enter_context(HtmlWriter(self.texts["html"], self.reader.models))
        table = CsvWriter(self.texts["csv"])
        document = JsonWriter(self.texts["json"], self.reader.models)
        self.writers = [page, table, document]

    def add(self, report: Report) -> None:
        """Write one photo to each."""
        for writer in self.writers:
            writer.add(report)

    def finish(self) -> dict[str, str]:
        """Kind -> content; nothing can be added after."""
        for writer in self.writers:
            writer.finish()
        return {kind: file.getvalue() for kind, file in self.texts.items()}


def look(session: Session, most: int) -> Shown:
    """What was chosen, before anything is read."""
    if not session.files:
        return panel.blank()
    try:
        with pile.opened(session.files, most) as items:
            return panel.chosen(items)
    except ValueError as error:
        return panel.sorry(str(error))


def read(models: Models, session: Session, turn: int, most: int) -> Iterator[Shown]:
    """Read what was chosen; every step says what changes on the page."""
    while not models.wait(_POLL):
        if not session.holds(TAB, turn):
            return
        yield {"status": line(f"Loading {text(models.doing)}; your photos are next.", "busy")}
    if models.reader is None:
        yield panel.sorry(models.failure or "There are no models.")
        return
    try:
        with pile.opened(session.files, most) as items, ExitStack() as stack:
            files = Files(models.reader, stack)
            yield from _read(files, items, session, turn)
    except ValueError as error:
        yield panel.sorry(str(error))


def _read(files: Files, items: Sequence[pile.Item], session: Session, turn: int) -> Iterator[Shown]:
    table, started, drawn = panel.Table(len(items)), time.monotonic(), 0.0
    for item in items:
        yield {"status": panel.progress(table, item.name, time.monotonic() - started)}
        report = report_of(files.reader, item)
        if not session.holds(TAB, turn):
            return
        files.add(report)
        table.add(report)
        if time.monotonic() - drawn > _CALM * (1 + len(table.rows) / 50):
            yield {"results": table.draw()}
            drawn = time.monotonic()
        if session.halted(TAB):
            break
    took = time.monotonic() - started
    yield panel.ended(table, took) | {"files": panel.files(files.finish())}


def report_of(reader: Reader, item: pile.Item) -> Report:
    """The report on one item; a fault of ours costs one photo, not the batch."""
    if item.problem or item.open is None:
        return Report(item.name, error=item.problem)
    try:
        return reader.read(item.open(), name=item.name)
    except ArchiveError as error:
        return Report(item.name, error=str(error))
    except Exception:  # the border to the user: never a stack trace on the page
        _log.exception("a photo of a batch could not be read")
        return Report(item.name, error=BROKEN)
