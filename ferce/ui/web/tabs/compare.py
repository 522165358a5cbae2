"""The Compare tab: the same face through several models, side by side."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from ferce import images
from ferce.core.types import Face, ReadingError
from ferce.reading.pipeline import Options
from ferce.ui.web import components, markup
from ferce.ui.web.markup import Update
from ferce.ui.web.models import Catalogue
from ferce.ui.web.panels import compare as panel
from ferce.ui.web.reading import NO_FACE
from ferce.ui.web.runner import Flow, Guard, Page, Runner, Steps, load
from ferce.ui.web.session import Column, Compared, Session

NAME = "Compare"
ALONE = (
    "This server offers one model. Its operator names further ones in <code>FERCE_MODELS</code>, "
    "and they appear here."
)

NONE = "Choose at least one model."
_SHOWN = Options(measure=False)  # a column has no place for the faithfulness of its words
_FAULT = "This model could not read the face because of a fault in ferce."


def tab(page: Page) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    names, parts = page.models.names, dict[str, Any]()
    blank = panel.blank(names)
    with gr.Row(elem_classes=["read", "compare"]):
        with gr.Column(elem_classes="source"):
            photo = components.photo(240)
            ticked = gr.CheckboxGroup(
                list(names), value=list(names), label="Models", elem_classes="ticked"
            )
            if len(names) == 1:
                gr.HTML(f'<p class="fine">{ALONE}</p>')
            parts["status"] = gr.HTML(blank["status"])
            parts["faces"] = components.thumbnails("faces")
            components.examples(page.examples, photo)
        with gr.Column(elem_classes="compared"):
            parts["agreement"] = gr.HTML(blank["agreement"])
            parts["columns"] = gr.HTML(blank["columns"])

    _connect(page, parts, photo, ticked)


def _connect(page: Page, parts: dict[str, Any], photo: gr.Image, ticked: gr.CheckboxGroup) -> None:
    names = page.models.names

    def choose(session: Session, sent: components.Upload) -> Update:
        return _start(session, Compared(components.path(sent), session.compared.names or names))

    def tick(session: Session, sent: Any) -> Update:
        held = session.compared
        chosen = tuple(name for name in names if isinstance(sent, list) and name in sent)
        return _start(session, replace(held, names=chosen))

    runner = Runner(page, Compare.turns, parts)
    runner.start(photo.change, choose, photo)
    runner.start(ticked.input, tick, ticked)
    runner.start(parts["faces"].select, _pick)
    runner.on_turn(Compare(page.models), page.reading)


def _pick(session: Session, sent: Any) -> Update | None:
    held = session.compared
    index = components.pressed(sent, len(held.faces))
    if index is None:
        return None
    return _start(session, replace(held, picked=index))


def _start(session: Session, held: Compared) -> Update:
    """Clear the page for another comparison and give it a turn."""
    session.compared = held
    session.take(Compare.turns)
    update = panel.waiting(held.names) if held.path else panel.blank(held.names)
    if held.faces:
        update |= {"faces": markup.faces(held.faces, held.picked, held.photo)}
    return update


@dataclass(frozen=True)
class Compare(Flow):
    """Let every model that is ticked read the picked face."""

    turns = "compare"
    fault = "This photo could not be read because of a fault in ferce. The server's log says more."

    catalogue: Catalogue

    def steps(self, session: Session) -> Steps:
        """Find the faces, then fill the columns."""
        held = session.compared
        if held.path is None:
            return
        if not held.names:
            raise ReadingError(NONE)
        reader = yield from load(self.catalogue, "photo is")
        if held.photo is None:
            held.photo = images.load(held.path)
            held.faces = reader.detect(held.photo)
        if not held.faces:
            raise ReadingError(NO_FACE)
        face, faces = held.faces[held.picked], markup.faces(held.faces, held.picked, held.photo)
        yield {"faces": faces}
        if face.problem:
            yield panel.sorry(face.problem) | {"faces": faces}
            return
        # As the default model measured it, so that claims of all are checked against the same.
        yield from self._read(held.names, reader.predict([face])[0].face)

    def _read(self, names: Sequence[str], face: Face) -> Iterator[Update]:
        columns = [Column(name) for name in names]
        for i, column in enumerate(columns, 1):
            words = f"Model {i} of {len(columns)}: {markup.text(column.name)}."
            yield {"status": markup.status(words, "busy")}
            for _ in fill(self.catalogue, column, face, _SHOWN):
                yield {"columns": panel.columns(columns)}
        yield panel.ended(columns)

    def refuse(self, _: Session, words: str) -> Update:
        """Clear the tab and say why."""
        return panel.sorry(words)


def fill(
    catalogue: Catalogue, column: Column, face: Face, options: Options | None = None
) -> Iterator[None]:
    """Let one model read; pauses whenever there is something new in the column."""
    column.doing = "Loading"
    yield
    guard = Guard(_FAULT)
    with guard:
        reader = catalogue.of(column.name).ready()
        column.doing, column.voice, started = "Reading", reader.voice.name, time.monotonic()
        for reading in reader.stream(face, options):
            new = panel.differs(column.reading, reading)
            column.reading, column.seconds = reading, time.monotonic() - started
            if new:
                yield
    column.doing, column.trouble = "", guard.problem
    yield
