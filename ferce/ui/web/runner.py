"""One runner for all tabs: it takes turns, waits for models, guards errors, updates the parts.

A tab lays out its parts and names its events here; a `Flow` is an order of steps, each of which
changes some parts. Flows know nothing of Gradio, so that they run in tests without a page.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, ClassVar, Self

import gradio as gr

from ferce.core.types import ReadingError
from ferce.images import ImageError
from ferce.images.archive import ArchiveError
from ferce.reading.pipeline import Reader
from ferce.reading.video import VideoError
from ferce.ui.web import markup
from ferce.ui.web.examples import Examples
from ferce.ui.web.markup import Update
from ferce.ui.web.models import Catalogue, Models
from ferce.ui.web.session import Session, Sessions
from ferce.ui.web.settings import Settings

# Errors whose message is a sentence for the visitor.
EXPECTED: tuple[type[Exception], ...] = (ReadingError, ImageError, ArchiveError, VideoError)
# How every event is called: no spinners of Gradio's, none dropped, no endpoint of its own.
LISTEN: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "api_visibility": "private",
}
AT_ONCE: dict[str, Any] = {**LISTEN, "concurrency_limit": None}

Steps = Generator[Update, None, None]
Answer = Callable[[Session, Any], Update | None]

_log = logging.getLogger(__name__)


class Guard:
    """Turns an error within its block into one sentence: `problem`, "" where there was none.

    An error that is expected speaks for itself; any other is logged, and `problem` is `fault`.
    """

    def __init__(self, fault: str, *expected: type[Exception]) -> None:
        self.fault, self.expected = fault, (*EXPECTED, *expected)
        self.problem = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        expected = isinstance(error, self.expected)
        self.problem = (str(error) if expected else "") or self.fault
        if not expected:  # the border to the visitor: never a stack trace on the page
            _log.error(self.fault, exc_info=error)
        return True


class Flow(ABC):
    """What happens on a tab, step by step.

    Attributes:
        turns: name of its turns in the session; a newer turn ends the run of an older one.
        fault: what the visitor reads where ferce itself fails.
        expected: errors besides `EXPECTED` whose message is a sentence for the visitor.
    """

    turns: ClassVar[str]
    fault: ClassVar[str]
    expected: ClassVar[tuple[type[Exception], ...]] = ()

    def begin(self, session: Session) -> int:
        """Take the turn of a run that an event starts."""
        return session.take(self.turns)

    @abstractmethod
    def steps(self, session: Session) -> Steps:
        """Do it; every step gives what changes on the page, which may be nothing."""

    @abstractmethod
    def refuse(self, session: Session, words: str) -> Update:
        """Draw what changes where it cannot be done; `words` are one sentence, plain text."""


def run(flow: Flow, session: Session, turn: int) -> Iterator[Update]:
    """Run a flow until it ends or a newer turn was taken; an error becomes one sentence."""
    if not session.holds(flow.turns, turn):
        return
    guard = Guard(flow.fault, *flow.expected)
    with guard, closing(flow.steps(session)) as steps:
        for update in steps:
            if not session.holds(flow.turns, turn):
                return
            if update:
                yield update
    if guard.problem and session.holds(flow.turns, turn):
        yield flow.refuse(session, guard.problem)


def load(models: Models, what: str) -> Generator[Update, None, Reader]:
    """Say in the status line what is being loaded, until the reader is there; returns it.

    Args:
        models: those to wait for.
        what: what waits, such as "photo is" of "your photo is next".

    Raises:
        ReadingError: loading has failed.
    """
    for doing in models.progress():
        words = f"Loading {markup.text(doing)}; your {what} next."
        yield {"status": markup.status(words, "busy")}
    return models.ready()


@dataclass(frozen=True)
class Page:
    """What the tabs share.

    Attributes:
        settings: what the operator decides.
        models: those offered.
        sessions: of the open pages.
        model: a state that changes when the page turns to another model.
        loaded: the event of a page that opens.
        tabs: the tabs by name, for the events of their choice.
    """

    settings: Settings
    models: Catalogue
    sessions: Sessions
    model: gr.State
    loaded: Callable[..., Any]
    tabs: dict[str, gr.Tab] = field(default_factory=dict)

    @cached_property
    def examples(self) -> Examples:
        """The example photos."""
        return Examples(self.settings.examples)

    @property
    def reading(self) -> dict[str, Any]:
        """Limit of events that read: pages and endpoints wait in one line."""
        return {"concurrency_limit": self.settings.readers, "concurrency_id": "reading"}

    def session(self, request: gr.Request) -> Session:
        """Find the session of the page that asks."""
        return self.sessions.of(request.session_hash)


class Runner:
    """Connects the events of one tab to what they change among its parts."""

    def __init__(self, page: Page, turns: str, parts: Mapping[str, Any]) -> None:
        """`turns` is the name of the tab's turns, `parts` are its components by name."""
        self._page, self._turns, self._parts = page, turns, parts

    @cached_property
    def _turn(self) -> gr.State:
        """The number of the newest turn, which starts a run when it changes."""
        return gr.State(0)

    def answer(self, event: Callable[..., Any], answer: Answer, given: Any = None) -> None:
        """Answer an event at once, past everything that waits for a model.

        Args:
            event: such as `photo.change`.
            answer: takes the session and the value of `given`, and gives what changes.
            given: a component whose raw value is passed, None for what the event itself tells.
        """
        self._connect(event, answer, given, [])

    def start(self, event: Callable[..., Any], answer: Answer, given: Any = None) -> None:
        """Answer an event at once, and run the flow of `on_turn` if the answer took a turn."""
        # Gradio 6.31 tells of a changed state only in its queue, so the answer waits there too.
        self._connect(event, answer, given, [self._turn])

    def on_turn(self, flow: Flow, limit: Mapping[str, Any], ended: Update | None = None) -> None:
        """Run a flow at every new turn, once; `ended` is what changes when it is over.

        Two events at the same moment (Gradio clears a photo before it sends the next one) both tell
        of the newer turn, so the run takes it from the session.
        """

        def work(request: gr.Request) -> Iterator[dict[Any, Any]]:
            session = self._page.session(request)
            turn = session.start(flow.turns)
            if turn is not None:
                yield from map(self._changes, run(flow, session, turn))
                if ended and session.holds(flow.turns, turn):
                    yield self._changes(ended)
            yield self._nothing()

        self._turn.change(work, None, [*self._parts.values()], **LISTEN, **limit)

    def on_event(
        self, event: Callable[..., Any], flow: Callable[[Any], Flow], limit: Mapping[str, Any]
    ) -> None:
        """Run the flow that is made of what an event tells."""

        def work(event: gr.EventData, request: gr.Request) -> Iterator[dict[Any, Any]]:
            session, made = self._page.session(request), flow(event._data)
            yield from map(self._changes, run(made, session, made.begin(session)))
            yield self._nothing()

        event(work, None, [*self._parts.values()], **LISTEN, **limit)

    def _connect(
        self, event: Callable[..., Any], answer: Answer, given: Any, more: list[gr.State]
    ) -> None:
        def respond(value: Any, request: gr.Request) -> dict[Any, Any]:
            session = self._page.session(request)
            with session.answering:
                changes = self._changes(answer(session, value) or {})
            turns = {state: session.turn(self._turns) for state in more}
            return changes | turns or self._nothing()

        def respond_to_event(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
            return respond(event._data, request)

        function = respond_to_event if given is None else respond
        event(function, given, [*more, *self._parts.values()], preprocess=False, **AT_ONCE)

    def _changes(self, update: Update) -> dict[Any, Any]:
        return {self._parts[name]: value for name, value in update.items()}

    def _nothing(self) -> dict[Any, Any]:
        """Change nothing.

        Gradio sends the last value of a run once more at its end; a run that was overtaken must not
        repeat its own, so every run ends with this.
        """
        return {next(iter(self._parts.values())): gr.skip()}
