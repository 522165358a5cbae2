"""The order of events on the Video tab: clip, progress, timeline, key moments one by one."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakKeyDictionary

from ferce.core.types import ReadingError
from ferce.reading import video
from ferce.reading.pipeline import Reader
from ferce.reading.video import Limits, Options, Timeline, VideoError
from ferce.ui.web import markup
from ferce.ui.web.flows.flow import line
from ferce.ui.web.loading import Models
from ferce.ui.web.panels import clip, lanes, moments
from ferce.ui.web.session import Session

Shown = dict[str, str]

TAB = "video"
RATE = 10.0  # frames read a second; expressions last half a second and more
BROKEN = "This clip could not be read because of a fault in ferce. The server's log says more."
_POLL = 0.3  # seconds between looks at whether the models are there, and between bars

_log = logging.getLogger(__name__)


def hello(seconds: float) -> str:
    """The status line before a clip was chosen."""
    return line(f"Choose a clip of up to {video.spoken(seconds)}, or record one.")


def blank(status: str) -> Shown:
    """The tab without a clip."""
    panels = {"lanes": lanes.blank(), "moments": moments.blank()}
    return {"status": status, "faces": "", **panels, "files": ""}


def waiting() -> Shown:
    """From the choice of a clip until its timeline is there."""
    panels = {"lanes": lanes.waiting(), "moments": moments.waiting()}
    return {
        "status": line("Waiting for a free reader.", "busy"),
        "faces": "",
        **panels,
        "files": "",
    }


class Watching:
    """Reads clips for pages; every method yields what changes on the page.

    Holds the newest timeline of each page, and which of its faces is picked, for as long as the
    page is open.
    """

    def __init__(self, models: Models, seconds: float) -> None:
        self._models = models
        self._limits = Limits(seconds=seconds)
        self._known: WeakKeyDictionary[Session, tuple[Timeline, int]] = WeakKeyDictionary()

    def read(self, session: Session, turn: int, path: Path | None) -> Iterator[Shown]:
        """Read the clip that was chosen in this turn, until another one is."""
        models = session.models or self._models
        while not models.wait(_POLL):
            if not session.holds(TAB, turn):
                return
            doing = markup.text(models.doing)
            yield {"status": line(f"Loading {doing}; your clip is next.", "busy")}
        if path is None:
            return
        if models.reader is None:
            yield _sorry(models.failure or "There are no models.")
            return
        steps = self._steps(models.reader, session, path)
        yield from _guarded(session, turn, steps)

    def _steps(self, reader: Reader, session: Session, path: Path) -> Iterator[Shown]:
        options = Options(rate=RATE, limits=self._limits)
        started, drawn = time.monotonic(), 0.0
        timeline: Timeline | None = None
        for part in video.stream(path, reader, options, lambda: session.halted(TAB)):
            now = time.monotonic()
            if isinstance(part, Timeline):
                first, timeline = timeline is None, part
                self._known[session] = (part, 0 if first else self._known[session][1])
                yield self._drawn(session, explaining=True, whole=first)
            elif now - drawn > _POLL:
                drawn = now
                yield {"status": clip.progress(part, now - started)}
            else:
                yield {}
        if timeline is not None:
            yield self._ended(session, timeline)

    def _drawn(self, session: Session, explaining: bool, whole: bool = True) -> Shown:
        timeline, picked = self._known[session]
        shown = {"moments": moments.draw(timeline, picked, explaining)}
        if not whole:
            return shown
        count = len(timeline.moments)
        busy = f"Explaining {count} key moment{'' if count == 1 else 's'}."
        more = {"status": line(busy, "busy")} if explaining and count else {}
        faces, drawn = clip.faces(timeline, picked), lanes.draw(timeline, picked)
        return {**shown, "lanes": drawn, "faces": faces, **more}

    def _ended(self, session: Session, timeline: Timeline) -> Shown:
        shown = self._drawn(session, explaining=False, whole=False)
        told = f"{video.spoken(timeline.duration)} read in {timeline.spent:.1f}&thinsp;s"
        if not timeline.complete:
            told = "Stopped; what was read until then is shown."
        return {**shown, "status": line(told), "files": clip.files(timeline)}

    def pick(self, session: Session, index: int) -> Shown:
        """Turn to another face of the clip."""
        known = self._known.get(session)
        if known is None:
            return {}
        self._known[session] = (known[0], index)
        return self._drawn(session, explaining=False)

    def count(self, session: Session) -> int:
        """How many faces there are to pick from."""
        known = self._known.get(session)
        return len(known[0].tracks) if known else 0

    def forget(self, session: Session) -> None:
        """The clip was taken away."""
        self._known.pop(session, None)


def _sorry(words: str) -> Shown:
    return blank(line(markup.text(words), "sorry"))


def _guarded(session: Session, turn: int, steps: Iterator[Shown]) -> Iterator[Shown]:
    """Pass the steps on until the page turns to another clip or they end; faults become words."""
    try:
        for shown in steps:
            if not session.holds(TAB, turn):
                return
            yield shown
    except (VideoError, ReadingError) as error:
        if session.holds(TAB, turn):
            yield _sorry(str(error))
    except Exception:  # the border to the user: never a stack trace on the page
        _log.exception("a clip could not be read")
        if session.holds(TAB, turn):
            yield _sorry(BROKEN)
