"""One frame of the camera read in full, as a photo is: prediction, heat map, text, checks."""

import logging
from collections.abc import Iterator
from typing import Any

from ferce.core.types import Reading, ReadingError
from ferce.images import ImageError
from ferce.reading.pipeline import NO_FACE, Reader
from ferce.ui.web import markup
from ferce.ui.web.flows.flow import line
from ferce.ui.web.flows.streaming import decoded
from ferce.ui.web.panels import prediction, where, why
from ferce.ui.web.session import Session

Shown = dict[str, str]

TAB = "live"
BROKEN = "This moment could not be read because of a fault in ferce. The server's log says more."
PARTS = ("moment", "prediction", "where", "why")

_log = logging.getLogger(__name__)


def blank() -> Shown:
    """Before a moment was chosen: nothing, so that the camera has the page."""
    return dict.fromkeys(PARTS, "")


def explain(reader: Reader | None, session: Session, told: Any) -> Iterator[Shown]:
    """Read the largest face of the frame part by part, until the next moment is asked for."""
    if reader is None:
        return
    mine = session.take(TAB)
    try:
        for shown in _steps(reader, told):
            if not session.holds(TAB, mine):
                return
            yield shown
    except (ImageError, ReadingError) as error:
        yield blank() | {"moment": line(markup.text(error), "sorry")}
    except Exception:  # the border to the user: never a stack trace on the page
        _log.exception("a moment could not be explained")
        yield blank() | {"moment": line(BROKEN, "sorry")}


def _steps(reader: Reader, told: Any) -> Iterator[Shown]:
    pixels = decoded(told.get("image") if isinstance(told, dict) else None)
    yield {"moment": line("Reading this moment.", "busy"), **_waiting()}
    faces = reader.detect(pixels)
    if not faces:
        yield blank() | {"moment": line(markup.text(NO_FACE), "sorry")}
        return
    face = next((face for face in faces if not face.problem), faces[0])
    for reading in reader.stream(face):
        yield _drawn(reading)
    yield {"moment": line("This moment, read in full:")}


def _waiting() -> Shown:
    return {
        "prediction": prediction.waiting(),
        "where": markup.panel(where.TITLE, where.waiting()),
        "why": why.waiting(),
    }


def _drawn(reading: Reading) -> Shown:
    """The panels whose part is there; the others keep waiting."""
    if reading.prediction is None:
        refused = markup.panel(where.TITLE, where.refused(reading.face))
        return {
            "prediction": prediction.refused(reading.reason),
            "where": refused,
            "why": why.refused(),
        }
    shown = {"prediction": prediction.draw(reading)}
    if reading.heatmap is not None:
        shown["where"] = markup.panel(where.TITLE, where.draw(reading))
    if reading.explanation is not None:
        shown["why"] = why.draw(reading)
    return shown
