"""The Compare tab: one face read by several models, one after the other; columns fill by parts."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ferce import images
from ferce.core.types import Face, ReadingError
from ferce.reading.pipeline import Options
from ferce.ui.web import markup
from ferce.ui.web.catalogue import Catalogue
from ferce.ui.web.flows.read import NO_FACE
from ferce.ui.web.markup import Update
from ferce.ui.web.panels import compare as panel
from ferce.ui.web.runner import Flow, Guard, Steps, load
from ferce.ui.web.session import Column, Session

NONE = "Choose at least one model."
_SHOWN = Options(measure=False)  # a column has no place for the faithfulness of its words
_FAULT = "This model could not read the face because of a fault in ferce."


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
