"""The Batch tab: many photos or a ZIP in, one row a face out, with files to take away."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ferce.core.parts import Report
from ferce.core.types import ReadingError
from ferce.images import SUFFIXES, UNREAD
from ferce.images.archive import Archive, ArchiveError, is_archive
from ferce.images.refusal import printable
from ferce.reading.pipeline import Reader
from ferce.report import JsonWriter
from ferce.report.files import Writer
from ferce.report.page import HtmlWriter
from ferce.report.table import CsvWriter
from ferce.ui.web import components
from ferce.ui.web.examples import Examples
from ferce.ui.web.markup import Update
from ferce.ui.web.panels import batch as panel
from ferce.ui.web.runner import AT_ONCE, Flow, Guard, Page, Runner, Steps, load
from ferce.ui.web.session import Session

NAME = "Batch"

FAULT = "A fault in ferce kept it from being read; the server's log says more."
_CALM = 0.8  # seconds between two drawings of the table, which grows


def tab(page: Page) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    blank, parts = panel.blank(), dict[str, Any]()
    with gr.Row(elem_classes=["read", "batch"]):
        with gr.Column(elem_classes="source"):
            files = _files()
            _examples(page.examples, files)
            with gr.Row(elem_classes="buttons"):
                parts["start"] = gr.Button("Read them", variant="primary", interactive=False)
                parts["stop"] = gr.Button("Stop", interactive=False)
            parts["status"] = gr.HTML(blank["status"])
        with gr.Column(elem_classes="results"):
            parts["results"] = components.pressable(blank["results"], "part-results")
            parts["files"] = gr.HTML(blank["files"])
            parts["opened"] = gr.HTML(blank["opened"])
    most = page.settings.max_photos

    def choose(session: Session, sent: components.Uploads) -> Update:
        session.end(ReadBatch.turns)
        session.files = components.paths(sent)
        return list_photos(session.files, most) | _buttons(start=bool(session.files))

    runner = Runner(page, ReadBatch.turns, parts)
    runner.answer(files.change, choose, files)
    runner.start(parts["start"].click, _start)
    runner.answer(parts["stop"].click, _stop)
    runner.answer(parts["results"].select, _open)
    # One batch at a time, so that single photos are read meanwhile.
    runner.on_turn(ReadBatch(most), {"concurrency_limit": 1}, ended=_buttons(start=True))


def _examples(examples: Examples, files: gr.File) -> None:
    """Add a button that takes the example photos; nothing without any."""
    if not examples.paths:
        return
    taken = [str(path) for path in examples.paths]
    button = gr.Button(f"Take the {len(taken)} examples", elem_classes="quiet")
    button.click(lambda: taken, None, files, **AT_ONCE)


def _open(session: Session, sent: Any) -> Update | None:
    index = components.pressed(sent, len(session.details))
    return None if index is None else open_row(session, index)


def _files() -> gr.File:
    return gr.File(
        label="Photos or a ZIP",
        file_count="multiple",
        file_types=[
            *sorted(SUFFIXES | UNREAD),
            ".zip",
        ],  # the unread ones are named, with what to do
        height=220,
        elem_classes="files",
    )


def _start(session: Session, _: Any) -> Update:
    session.take(ReadBatch.turns)
    return panel.waiting() | _buttons(stop=True)


def _stop(session: Session, _: Any) -> Update:
    session.halt(ReadBatch.turns)
    return {"stop": gr.update(interactive=False)}


def _buttons(start: bool = False, stop: bool = False) -> Update:
    return {"start": gr.update(interactive=start), "stop": gr.update(interactive=stop)}


@dataclass(frozen=True)
class Item:
    """One photo: `open` gives what `images.load` takes; `problem` says why it is not read."""

    name: str
    open: Callable[[], Path | io.BytesIO] | None = None
    problem: str = ""


class Named(io.BytesIO):
    """Bytes that know what they are called, for the sentence that refuses them."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


@contextmanager
def opened(files: Sequence[Path], most: int) -> Iterator[tuple[Item, ...]]:
    """List every photo of files and ZIPs, in order; a ZIP that is refused is one item.

    Raises:
        ReadingError: there are more than `most` photos.
    """
    with ExitStack() as stack:
        items = tuple(item for path in files for item in _items(path, stack))
        count = sum(not item.problem for item in items)
        if count > most:
            raise ReadingError(f"These are {count} photos, more than the {most} accepted at once.")
        yield items


def _items(path: Path, stack: ExitStack) -> Iterator[Item]:
    try:
        if not is_archive(path):
            yield Item(path.name, lambda: path)
            return
        archive = stack.enter_context(Archive(path))
    except ArchiveError as error:
        yield Item(path.name, problem=str(error))
        return
    except OSError:  # deleted after its time
        yield Item(path.name, problem=f"{printable(path.name)} is no longer here; upload it again.")
        return
    if not archive.members:
        yield Item(path.name, problem=f"{printable(path.name)} holds no photo.")
    for member in archive.members:
        open_member = partial(_read_member, archive, member.name)
        yield Item(f"{path.stem}/{member.name}", open_member, member.problem)


def _read_member(archive: Archive, name: str) -> Named:
    return Named(archive.read(name), name)


def list_photos(files: Sequence[Path], most: int) -> Update:
    """Draw what was chosen, before anything is read."""
    if not files:
        return panel.blank()
    guard = Guard(FAULT)
    with guard, opened(files, most) as items:
        refused = [(item.name, item.problem) for item in items if item.problem]
        return panel.chosen(len(items) - len(refused), refused)
    return panel.sorry(guard.problem)


@dataclass(frozen=True)
class ReadBatch(Flow):
    """Read the photos that were chosen, at most `most`."""

    turns = "batch"
    fault = FAULT

    most: int

    def steps(self, session: Session) -> Steps:
        """Draw progress and, every now and then, the table; the files come last."""
        reader = yield from load(session.models, "photos are")
        with opened(session.files, self.most) as items, ExitStack() as stack:
            files = Files(reader.models, stack)
            table, started = panel.Table(len(items)), time.monotonic()
            session.details = table.details
            drawn = 0.0
            for item in items:
                yield {"status": panel.progress(table, item.name, time.monotonic() - started)}
                report = read_item(reader, item)
                files.add(report)
                table.add(report)
                if time.monotonic() - drawn > _CALM * (1 + len(table.rows) / 50):
                    yield {"results": table.draw()}
                    drawn = time.monotonic()
                if session.halted(self.turns):
                    break
            took = time.monotonic() - started
            yield panel.ended(table, took) | {"files": panel.files(files.finish())}

    def refuse(self, _: Session, words: str) -> Update:
        """Clear the tab and say why."""
        return panel.sorry(words)


class Files:
    """The results as files in memory, written photo by photo."""

    def __init__(self, models: Mapping[str, str], stack: ExitStack) -> None:
        self._texts = {kind: io.StringIO(newline="") for kind in ("html", "csv", "json")}
        page, table, document = self._texts.values()
        self._writers: list[Writer] = [
            stack.enter_context(HtmlWriter(page, models)),
            CsvWriter(table),
            JsonWriter(document, models),
        ]

    def add(self, report: Report) -> None:
        """Write one photo to each."""
        for writer in self._writers:
            writer.add(report)

    def finish(self) -> dict[str, str]:
        """Finish the files: kind -> content; nothing can be added after."""
        for writer in self._writers:
            writer.finish()
        return {kind: text.getvalue() for kind, text in self._texts.items()}


def open_row(session: Session, index: int) -> Update:
    """Draw the reading of a row in full."""
    return {"opened": session.details[index]}


def read_item(reader: Reader, item: Item) -> Report:
    """Read one photo; a fault of ours costs it alone, not the batch."""
    if item.problem or item.open is None:
        return Report(item.name, error=item.problem)
    guard = Guard(FAULT)
    with guard:
        return reader.read(item.open(), name=item.name)
    return Report(item.name, error=guard.problem)
