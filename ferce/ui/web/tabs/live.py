"""The Live tab: the camera read frame by frame, and one moment in full when asked for."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from ferce.ui.web.flows import explaining, streaming
from ferce.ui.web.flows.explaining import PARTS
from ferce.ui.web.flows.streaming import Json, Streams
from ferce.ui.web.loading import QUEUE, Models
from ferce.ui.web.panels import camera
from ferce.ui.web.session import Session, Sessions
from ferce.ui.web.settings import Settings

NAME = "Live"
FAULT = "This frame could not be read because of a fault in ferce; the server's log says more."
_LISTEN: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "api_visibility": "private",
}
_SCRIPT = Path(__file__).with_name("live.js")

_log = logging.getLogger(__name__)


def tab(settings: Settings, models: Models, sessions: Sessions) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    streams = Streams()
    stage = gr.HTML(
        camera.draw(),
        js_on_load=_SCRIPT.read_text("utf-8"),
        server_functions=_functions(streams),
        elem_classes="part-live",
    )
    # A new name of a stream reaches the script as text that is never shown.
    name = gr.HTML("", elem_classes="live-stream")
    moment = gr.HTML("", elem_classes="live-moment")
    with gr.Row(elem_classes="reading live-reading"):
        panels = [gr.HTML("", elem_classes=f"live-{part}") for part in PARTS[1:]]
    parts = dict(zip(PARTS, [moment, *panels], strict=True))
    _connect(stage, name, streams, (models, sessions))
    _connect_moment(stage, parts, settings, (models, sessions))


def _functions(streams: Streams) -> list[Any]:
    """What the script calls straight, past the queue: one frame is answered before the next."""

    def frame(told: Any) -> Json:
        try:
            return streaming.answer(streams, told)
        except Exception:  # the border to the user: never a stack trace on the page
            _log.exception("a frame could not be read")
            return {"problem": FAULT}

    def stop(told: Any) -> Json:
        streams.close(told)
        return {}

    return [frame, stop]


def _chosen(session: Session, models: Models) -> Models:
    return session.models or models


def _connect(
    stage: gr.HTML, name: gr.HTML, streams: Streams, world: tuple[Models, Sessions]
) -> None:
    """The start of the camera waits for the models and names the stream."""
    models, sessions = world

    def start(request: gr.Request) -> Iterator[str]:
        chosen = _chosen(sessions.of(request.session_hash), models)
        while not chosen.wait(0.3):
            yield _note("wait", f"Loading {chosen.doing}.")
        if chosen.reader is None:
            yield _note("problem", chosen.failure or "There are no models.")
            return
        yield _note("stream", streams.open(chosen.reader))

    stage.click(start, None, name, concurrency_limit=None, **_LISTEN)


def _note(kind: str, words: str) -> str:
    from ferce.ui.web import markup

    return f'<span hidden data-{kind}="{markup.text(words)}"></span>'


def _connect_moment(
    stage: gr.HTML,
    parts: dict[str, gr.HTML],
    settings: Settings,
    world: tuple[Models, Sessions],
) -> None:
    """The frame that the script sends is read in full."""
    models, sessions = world

    def explain(event: gr.EventData, request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = sessions.of(request.session_hash)
        reader = _chosen(session, models).reader
        for shown in explaining.explain(reader, session, event._data):
            yield {parts[name]: value for name, value in shown.items()}
        yield {parts["moment"]: gr.skip()}  # Gradio repeats the last value at the end of a run

    stage.submit(
        explain,
        None,
        list(parts.values()),
        concurrency_limit=settings.readers,
        concurrency_id=QUEUE,
        **_LISTEN,
    )
