"""The Live tab: the camera read frame by frame, and one moment in full when asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ferce.core.labels import BASICS
from ferce.core.parts import Reading
from ferce.core.types import ReadingError
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import CHANNELS, TRUSTED
from ferce.reading.pipeline import NO_FACE
from ferce.ui.web import markup
from ferce.ui.web.camera import FAULT, Json, Streams, answer, decode
from ferce.ui.web.markup import Update
from ferce.ui.web.panels import prediction, where, why
from ferce.ui.web.runner import Flow, Page, Runner, Steps
from ferce.ui.web.session import Session

NAME = "Live"
PARTS = ("moment", "prediction", "where", "why")
_SCRIPT = Path(__file__).with_name("live.js")


def tab(page: Page) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    streams = Streams()
    stage = gr.HTML(
        _stage_and_numbers(),
        js_on_load=_SCRIPT.read_text("utf-8"),
        server_functions=_functions(streams),
        elem_classes="part-live",
    )
    # A new name of a stream reaches the script as text that is never shown.
    stream = gr.HTML("", elem_classes="live-stream")
    moment = gr.HTML("", elem_classes="live-moment")
    with gr.Row(elem_classes="reading live-reading"):
        panels = [gr.HTML("", elem_classes=f"live-{part}") for part in PARTS[1:]]
    camera = Runner(page, StartCamera.turns, {"stream": stream})
    camera.on_event(stage.click, lambda _: StartCamera(streams), {"concurrency_limit": None})
    parts = dict(zip(PARTS, [moment, *panels], strict=True))
    Runner(page, Explain.turns, parts).on_event(stage.submit, Explain, page.reading)


def _functions(streams: Streams) -> list[Any]:
    """Make what the script calls straight, past the queue: a late frame is worth nothing."""

    def frame(sent: Any) -> Json:
        return answer(streams, sent)

    def stop(name: Any) -> Json:
        streams.close(name)
        return {}

    return [frame, stop]


def _stage_and_numbers() -> str:
    """Draw everything; rows that change stay where they are, so that nothing jumps or flickers."""
    return f'<div class="live">{_stage()}<div class="live-numbers">{_now()}{_units()}</div></div>'


def _stage() -> str:
    body = (
        '<div class="stage"><video muted playsinline aria-label="Your camera"></video>'
        '<canvas aria-hidden="true"></canvas><p class="stage-hint">The picture stays in the '
        "memory of this server; nothing is stored.</p></div>"
        '<p class="status" data-part="status" role="status">Start the camera to begin.</p>'
        '<div class="stage-buttons"><button type="button" class="go" data-act="start">Start the '
        'camera</button><button type="button" data-act="explain" disabled>Explain this moment'
        '</button></div><p class="fine pace" data-part="pace">&nbsp;</p>'
    )
    return markup.panel("Camera", body)


def _now() -> str:
    body = (
        '<span class="chip" data-part="chip">No face yet</span><p class="headline">'
        '<small>The expression resembles</small> <span data-part="headline">–</span></p>'
        '<p class="reason" data-part="reason">&nbsp;</p>'
        f"<h3>Probabilities</h3>{markup.bars(_row(f'outcome-{i}', '–') for i in range(4))}"
        f"<h3>Components</h3>{markup.bars(_row(name, name, name) for name in BASICS)}"
    )
    return markup.panel("Now", body)


def _units() -> str:
    """Draw all units that MediaPipe shows; those that are active stand out."""
    rows = (
        _row(unit.code, f"{unit.code} {unit.name}", "unit")
        for number, unit in UNITS.items()
        if number in CHANNELS and CHANNELS[number].reliability >= TRUSTED
    )
    return markup.panel("Action units", markup.bars(rows, "unit-bars"))


def _row(key: str, name: str, classes: str = "") -> str:
    return (
        f'<li class="bar {classes}" data-row="{key}"><span class="bar-name">{name}</span>'
        '<span class="bar-track" aria-hidden="true"><span style="width:0"></span></span>'
        '<span class="bar-value">–</span></li>'
    )


@dataclass(frozen=True)
class StartCamera(Flow):
    """Open a stream once the models are there; its name reaches the script as hidden text."""

    turns = "camera"
    fault = FAULT

    streams: Streams

    def steps(self, session: Session) -> Steps:
        """Say what is being loaded, then the name of the stream."""
        for doing in session.models.progress():
            yield _note("wait", f"Loading {doing}.")
        yield _note("stream", self.streams.open(session.models.ready()))

    def refuse(self, _: Session, words: str) -> Update:
        """Say why the camera cannot be read."""
        return _note("problem", words)


def _note(kind: str, words: str) -> Update:
    return {"stream": f'<span hidden data-{kind}="{markup.text(words)}"></span>'}


@dataclass(frozen=True)
class Explain(Flow):
    """Read the frame that the page sent in full, as a photo is."""

    turns = "live"
    fault = "This moment could not be read because of a fault in ferce. The server's log says more."

    sent: Any

    def steps(self, session: Session) -> Steps:
        """Read the largest face that may be read, part by part."""
        if (reader := session.models.reader) is None:
            return
        pixels = decode(self.sent.get("image") if isinstance(self.sent, dict) else None)
        yield {"moment": markup.status("Reading this moment.", "busy"), **_waiting()}
        faces = reader.detect(pixels)
        if not faces:
            raise ReadingError(NO_FACE)
        face = next((face for face in faces if not face.problem), faces[0])
        for reading in reader.stream(face):
            yield _draw(reading)
        yield {"moment": markup.status("This moment, read in full:")}

    def refuse(self, _: Session, words: str) -> Update:
        """Clear the panels, so that the camera has the page, and say why."""
        sorry = markup.status(markup.text(words), "sorry")
        return dict.fromkeys(PARTS, "") | {"moment": sorry}


def _waiting() -> Update:
    return {
        "prediction": prediction.waiting(),
        "where": markup.panel(where.TITLE, where.waiting()),
        "why": markup.panel(why.TITLE, why.waiting()),
    }


def _draw(reading: Reading) -> Update:
    """Draw the panels whose part is there; the others keep waiting."""
    if reading.prediction is None:
        return {
            "prediction": prediction.refused(reading.reason),
            "where": markup.panel(where.TITLE, where.refused(reading.face)),
            "why": markup.panel(why.TITLE, why.refused()),
        }
    update = {"prediction": prediction.draw(reading)}
    if reading.heatmap is not None:
        update["where"] = markup.panel(where.TITLE, where.draw(reading))
    if reading.explanation is not None:
        update["why"] = markup.panel(why.TITLE, why.draw(reading))
    return update
