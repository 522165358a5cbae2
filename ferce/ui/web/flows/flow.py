"""The order of events on the Read tab: photograph, faces, parts of the reading, calm refusals."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferce import images
from ferce.core.types import Face, Reading, ReadingError
from ferce.reading.pipeline import Reader
from ferce.ui.web import choices, markup
from ferce.ui.web.flows import asking, looking
from ferce.ui.web.loading import Models
from ferce.ui.web.panels import looks, prediction, questions, raw, where, why
from ferce.ui.web.session import Session, Work
from ferce.ui.web.thumbnails import Thumbnail, draw

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
    asked = {"questions": questions.blank(), "asked": ""}
    top = {"status": status or line(HELLO), "faces": "", "raw": ""}
    return {**top, "looks": looks.blank(), **panels, **asked}


def waiting(words: str) -> Shown:
    """The page from the moment of choice until the first part is there."""
    return {"status": line(words, "busy"), "raw": "", **_ghosts()}


def _ghosts() -> Shown:
    panels = {"prediction": prediction.waiting(), "where": where.waiting(), "why": why.waiting()}
    return {**panels, "looks": looks.blank(), "questions": questions.waiting(), "asked": ""}


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
        yield from self._loaded(work)
        reader = self.of(work).reader
        if reader is None:
            return
        started = time.monotonic()
        try:
            work.photo = images.load(path)
        except images.ImageError as error:
            yield sorry(str(error))
            return
        work.faces = reader.detect(work.photo)
        work.seconds = time.monotonic() - started
        if not work.faces:
            yield sorry(NO_FACE)
            return
        work.picked = next((i for i, face in enumerate(work.faces) if not face.problem), 0)
        yield from self._face(work)

    def of(self, work: Work) -> Models:
        """The models that read this photograph."""
        return work.models or self.models

    def _loaded(self, work: Work) -> Iterator[Shown]:
        models = self.of(work)
        while not models.wait(_POLL):
            doing = markup.text(models.doing)
            yield {"status": line(f"Loading {doing}; your photo is next.", "busy")}
        if models.failure:
            yield sorry(models.failure)

    def _face(self, work: Work) -> Iterator[Shown]:
        reader, face = self.of(work).reader, work.faces[work.picked]
        if reader is None:
            return
        yield {"faces": strip(work), "status": line("Reading the face.", "busy")}
        known = work.readings.get(work.picked)
        if known is None:
            yield from _grown(reader, work, face)
        else:
            work.newest = known
            yield _whole(reader, work, known)
        yield self._ended(reader, work)

    def _ended(self, reader: Reader, work: Work) -> Shown:
        reading = work.readings[work.picked]
        links = raw.draw(work.report(), reading, reader.models)
        return {**_whole(reader, work, reading), "status": line(_summary(work)), "raw": links}


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


def _grown(reader: Reader, work: Work, face: Face) -> Iterator[Shown]:
    """Each part as soon as it is there; only complete readings are kept."""
    started, before = time.monotonic(), Reading(face)
    for reading in reader.stream(face):
        work.newest = reading
        yield _news(reader, work, before, reading)
        before = reading
    if before.prediction is not None:
        yield from asking.fill(reader, work, before)
    work.seconds += time.monotonic() - started
    work.readings[work.picked] = work.newest or before


def _news(reader: Reader, work: Work, before: Reading, after: Reading) -> Shown:
    """The panels whose part has changed; those still empty keep waiting."""
    shown = {}
    if after.prediction != before.prediction:
        shown["prediction"] = prediction.draw(after)
    if after.heatmap is not before.heatmap:
        shown |= _places(reader, work, after)
    if _words(after) != _words(before):
        shown["why"] = why.draw(after)
    return shown


def _words(reading: Reading) -> tuple[object, ...]:
    return reading.explanation, reading.revised, reading.faithfulness


def _places(reader: Reader, work: Work, reading: Reading) -> Shown:
    """The map, and the lists to ask for another one."""
    methods = choices.methods(reader.classifier, reading.face)
    wanted = work.looked[work.picked][0] if work.picked in work.looked else None
    return {
        "looks": looks.draw(reading, methods, wanted),
        "where": looking.draw(work, reading),
    }


def _whole(reader: Reader, work: Work, reading: Reading) -> Shown:
    if reading.prediction is None:
        return {
            "prediction": prediction.refused(reading.reason),
            "looks": looks.blank(),
            "where": where.refused(reading.face),
            "why": why.refused(),
            "questions": questions.refused(),
            "asked": "",
        }
    return {
        "prediction": prediction.draw(reading),
        **_places(reader, work, reading),
        "why": why.draw(reading),
        "questions": questions.draw(reading, work.silent.get(work.picked, "")),
        "asked": questions.own(work.answers),
    }


def strip(work: Work) -> str:
    """The faces to choose from; nothing where there is no choice."""
    return faces(work.faces, work.picked)


def faces(found: Sequence[Face], picked: int) -> str:
    """A row of the faces; nothing where there is no choice."""
    if len(found) < 2:
        return ""
    pictures = [_thumbnail(i, face, len(found)) for i, face in enumerate(found)]
    return draw("Faces in this photo", pictures, picked)


def _thumbnail(index: int, face: Face, count: int) -> Thumbnail:
    words = f"Face {index + 1} of {count}" + (f": {face.problem}" if face.problem else "")
    return Thumbnail(markup.thumbnail(face.crop), words)


def _summary(work: Work) -> str:
    count = len(work.faces)
    faces = "1 face" if count == 1 else f"{count} faces, no. {work.picked + 1} shown"
    return f"{faces} · read in {work.seconds:.1f}&thinsp;s"
