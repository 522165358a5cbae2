"""Reads one face with several models, one after the other; the columns fill part by part."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ferce import images
from ferce.core.types import Face, Reading, ReadingError
from ferce.ui.web.catalogue import Catalogue
from ferce.ui.web.flows import flow
from ferce.ui.web.loading import Models
from ferce.ui.web.markup import text
from ferce.ui.web.panels import compare as panel
from ferce.ui.web.session import Compared, Session

Shown = dict[str, str]

TAB = "compare"
NONE = "Choose at least one model."
BROKEN = "This model could not read the face because of a fault in ferce."
_POLL = 0.3  # seconds between looks at whether the models are there

_log = logging.getLogger(__name__)


@dataclass
class Column:
    """What one model says: `trouble` is why it says nothing, `doing` what it is busy with."""

    name: str
    reading: Reading | None = None
    seconds: float = 0.0
    doing: str = ""
    trouble: str = ""
    voice: str = ""


def compare(catalogue: Catalogue, session: Session, turn: int) -> Iterator[Shown]:
    """Find the faces, then let every model read the picked one."""
    held = session.compared
    for shown in _steps(catalogue, held):
        if not session.holds(TAB, turn):
            return
        yield shown


def _steps(catalogue: Catalogue, held: Compared) -> Iterator[Shown]:
    if held.path is None:
        return
    if not held.names:
        yield panel.sorry(NONE)
        return
    yield from _waited(catalogue)
    if catalogue.reader is None:
        yield panel.sorry(catalogue.failure or "There are no models.")
        return
    try:
        held.faces = held.faces or catalogue.reader.detect(images.load(held.path))
    except images.ImageError as error:
        yield panel.sorry(str(error))
        return
    if not held.faces:
        yield panel.sorry(flow.NO_FACE)
        return
    face = held.faces[held.picked]
    yield {"faces": flow.faces(held.faces, held.picked)}
    if face.problem:
        yield panel.sorry(face.problem) | {"faces": flow.faces(held.faces, held.picked)}
        return
    yield from _read(catalogue, held.names, face)


def _waited(models: Models) -> Iterator[Shown]:
    while not models.wait(_POLL):
        yield {"status": flow.line(f"Loading {text(models.doing)}; your photo is next.", "busy")}


def _read(catalogue: Catalogue, names: Sequence[str], face: Face) -> Iterator[Shown]:
    columns = [Column(name) for name in names]
    for i, column in enumerate(columns):
        words = f"Model {i + 1} of {len(columns)}: {text(column.name)}."
        yield {"status": flow.line(words, "busy")}
        for _ in fill(catalogue, column, face):
            yield {"columns": panel.columns(columns)}
    yield panel.ended(columns)


def fill(catalogue: Catalogue, column: Column, face: Face) -> Iterator[None]:
    """Let one model read; pauses whenever there is something new in the column."""
    models = catalogue.of(column.name)
    column.doing = "Loading"
    yield
    while not models.wait(_POLL):
        pass
    if models.reader is None:
        column.doing, column.trouble = "", models.failure or "It could not be loaded."
        yield
        return
    column.doing, column.voice, started = "Reading", models.reader.voice.name, time.monotonic()
    try:
        for reading in models.reader.stream(face):
            new = panel.differs(column.reading, reading)
            column.reading, column.seconds = reading, time.monotonic() - started
            if new:
                yield
    except ReadingError as error:
        column.trouble = str(error)
    except Exception:  # the border to the user: never a stack trace on the page
        _log.exception("a model could not read a face")
        column.trouble = BROKEN
    column.doing = ""
    yield
