"""The Live tab: the camera read frame by frame, and one moment in full when asked for."""

from pathlib import Path
from typing import Any

import gradio as gr

from ferce.core.labels import BASICS
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import CHANNELS, TRUSTED
from ferce.ui.web import markup
from ferce.ui.web.flows import live as flow
from ferce.ui.web.flows.live import PARTS, Explain, Json, StartCamera, Streams
from ferce.ui.web.runner import Page, Runner

NAME = "Live"
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
    """Make what the script calls straight, past the queue: a frame is answered before the next."""

    def frame(sent: Any) -> Json:
        return flow.answer(streams, sent)

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
