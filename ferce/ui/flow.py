"""The order of events on the Read tab: photograph, faces, parts of the reading, calm refusals."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferce import images
from ferce.errors import ReadingError
from ferce.types import Face, Reading
from ferce.ui import markup
from ferce.ui.loading import Models
from ferce.ui.panels import prediction, raw, where, why
from ferce.ui.session import Session, Work
from ferce.ui.thumbnails import Thumbnail, draw

Shown = dict[str, str]  # part of the page -> its new HTML; parts not named stay as they are

_log = logging.getLogger(__name__)
_POLL = 0.2  # seconds between looks at whether the models are there

NO_FACE = "No face was found. Try a photo with a face that is larger, lit and turned to the camera."
BROKEN = "This photo could not be read because of a fault in ferce. The server's log says more."
HELLO = "Choose a photo: drop a file, paste it, or use the camera."


def line(words: str, kind: str = "") -> str:
    """The status line; `kind` is "", "busy" or "sorry". `words` are HTML."""
    return f'<p class="status {kind}">{words}</p>'


def blank(status: str = "") -> Shown:
    """The page before a photograph was chosen."""
    panels = {"prediction": prediction.blank(), "where": where.blank(), "why": why.blank()}
    return {"status": status or line(HELLO), "faces": "", "raw": "", **panels}


def waiting(words: str) -> Shown:
    """The page from the moment of choice until the first part is there."""
    return {"status": line(words, "busy"), "raw": "", **_ghosts()}


def _ghosts() -> Shown:
    return {"prediction": prediction.waiting(), "where": where.waiting(), "why": why.waiting()}


def sorry(words: str) -> Shown:
    """The page after a photograph that cannot be read; `words` are plain text."""
    return blank(line(markup.text(words), "sorry"))


@dataclass(frozen=True)
class Flow:
    """Reads photographs for pages. Every method yields what changes on the page."""

    models: Models

    def read(self, session: Session, turn: int) -> Iterator[Shown]:
        """Do what the page asked for in this turn: read a new photo, or another face of it."""
        work = session.work
        if work.turn != turn or work.path is None:
            return
        steps = self._face(work) if work.faces else self._photo(work, work.path)
        yield from _current(session, work, steps)

    def _photo(self, work: Work, path: Path) -> Iterator[Shown]:
        """The largest face that may be read."""
        yield from self._models()
        if self.models.reader is None:
            return
        started = time.monotonic()
        try:
            work.photo = images.load(path)
        except images.ImageError as error:
            yield sorry(str(error))
            return
        work.faces = self.models.reader.detect(work.photo)
        work.seconds = time.monotonic() - started
        if not work.faces:
            yield sorry(NO_FACE)
            return
        work.picked = next((i for i, face in enumerate(work.faces) if not face.problem), 0)
        yield from self._face(work)

    def _models(self) -> Iterator[Shown]:
        while not self.models.wait(_POLL):
            doing = markup.text(self.models.doing)
            yield {"status": line(f"Loading {doing}; your photo is next.", "busy")}
        if self.models.failure:
            yield sorry(self.models.failure)

    def _face(self, work: Work) -> Iterator[Shown]:
        reader, face = self.models.reader, work.faces[work.picked]
        if reader is None:
            return
        yield {"faces": strip(work), "status": line("Reading the face.", "busy")}
        known = work.readings.get(work.picked)
        if known is None:
            yield from _grown(work, reader.stream(face))
        else:
            yield _whole(known)
        yield self._ended(work)

    def _ended(self, work: Work) -> Shown:
        from ferce.report import to_json

        reading = work.readings[work.picked]
        document = to_json([work.report()], self.models.reader.models if self.models.reader else {})
        return {
            **_whole(reading),
            "status": line(_summary(work)),
            "raw": raw.draw(document),
        }


def _current(session: Session, work: Work, steps: Iterator[Shown]) -> Iterator[Shown]:
    """Pass the steps on until the page turns to something else or they end; faults become words."""
    try:
        for shown in steps:
            if session.work is not work:
                return
            yield shown
    except ReadingError as error:
        if session.work is work:
            yield sorry(str(error))
    except Exception:  # the border to the user: never a stack trace on the page
        _log.exception("a photo could not be read")
        if session.work is work:
            yield sorry(BROKEN)


def _grown(work: Work, parts: Iterator[Reading]) -> Iterator[Shown]:
    """Each part as soon as it is there; only complete readings are kept."""
    started, before = time.monotonic(), Reading(work.faces[work.picked])
    for reading in parts:
        yield _news(before, reading)
        before = reading
    work.seconds += time.monotonic() - started
    work.readings[work.picked] = before


_PARTS: Mapping[str, tuple[Callable[[Reading], Any], Callable[[Reading], str]]] = {
    "prediction": (lambda reading: reading.prediction, prediction.draw),
    "where": (lambda reading: reading.heatmap, where.draw),
    "why": (lambda reading: (reading.explanation, reading.faithfulness), why.draw),
}


def _news(before: Reading, after: Reading) -> Shown:
    """The panels whose part has changed; those still empty keep waiting."""
    return {
        name: draw(after) for name, (part, draw) in _PARTS.items() if part(after) != part(before)
    }


def _whole(reading: Reading) -> Shown:
    if reading.prediction is None:
        return {
            "prediction": prediction.refused(reading.reason),
            "where": where.refused(reading.face),
            "why": why.refused(),
        }
    return {name: draw(reading) for name, (_, draw) in _PARTS.items()}


def strip(work: Work) -> str:
    """The faces to choose from; nothing where there is no choice."""
    if len(work.faces) < 2:
        return ""
    pictures = [_thumbnail(i, face, len(work.faces)) for i, face in enumerate(work.faces)]
    return draw("Faces in this photo", pictures, work.picked)


def _thumbnail(index: int, face: Face, count: int) -> Thumbnail:
    words = f"Face {index + 1} of {count}" + (f": {face.problem}" if face.problem else "")
    return Thumbnail(markup.thumbnail(face.crop), words)


def _summary(work: Work) -> str:
    count = len(work.faces)
    faces = "1 face" if count == 1 else f"{count} faces, no. {work.picked + 1} shown"
    return f"{faces} · read in {work.seconds:.1f}&thinsp;s"
