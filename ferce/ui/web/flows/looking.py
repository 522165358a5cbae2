"""Another heat map of the face on the page: another method, another label, or one against one."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ferce.core.types import Reading, ReadingError
from ferce.reading.pipeline import Reader
from ferce.ui.web import choices
from ferce.ui.web.panels import where
from ferce.ui.web.session import Look, Session, Work

SAME = "A label cannot be told from itself; choose another one to compare it with."
BROKEN = "This map could not be made because of a fault in ferce. The server's log says more."

_log = logging.getLogger(__name__)


def look(reader: Reader | None, session: Session, told: Any) -> Iterator[dict[str, str]]:
    """Draw the map that the page asks for; what was asked before and is still going is dropped."""
    work, reading = session.work, session.work.newest
    if reader is None or reading is None or reading.prediction is None or not reading.heatmap:
        return
    wanted = choices.chosen(told, reading.prediction)
    if wanted is None:
        return
    work.looks += 1
    mine = work.looks
    yield {"where": where.searching(seen(work, reading), wanted)}
    trouble = _make(reader, work, reading, wanted)
    if session.work is work and work.looks == mine:
        yield {"where": draw(work, reading, trouble)}


def draw(work: Work, reading: Reading, trouble: str = "") -> str:
    """The panel with the map that the user chose, or else that of the reading."""
    wanted = work.looked[work.picked][0] if work.picked in work.looked else None
    return where.draw(seen(work, reading), wanted, trouble)


def seen(work: Work, reading: Reading) -> Reading:
    """The reading with the map that is on the page."""
    chosen = work.looked.get(work.picked)
    return replace(reading, heatmap=chosen[1]) if chosen else reading


def _make(reader: Reader, work: Work, reading: Reading, wanted: Look) -> str:
    """Keep the map in `work`; returns why there is none, or nothing."""
    if wanted.label == wanted.against:
        return SAME
    try:
        located = reader.locate(reading, wanted.label, wanted.method, wanted.against)
    except (ValueError, ReadingError) as error:
        return str(error)
    except Exception:  # the border to the user: never a stack trace on the page
        _log.exception("a heat map could not be made")
        return BROKEN
    if located.heatmap is not None:
        work.looked[work.picked] = (wanted, located.heatmap)
    return ""
