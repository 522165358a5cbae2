"""The Video tab: a clip in; faces followed, their expressions over time, key moments explained."""

from pathlib import Path
from typing import Any

import gradio as gr

from ferce.ui.web import components
from ferce.ui.web.flows import video as flow
from ferce.ui.web.flows.video import ReadClip
from ferce.ui.web.markup import Update
from ferce.ui.web.runner import Page, Runner
from ferce.ui.web.session import Clip, Session

NAME = "Video"
_SCRIPT = Path(__file__).with_name("lanes.js")


def tab(page: Page) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    seconds, parts = page.settings.max_seconds, dict[str, Any]()
    blank, script = flow.hello(seconds), _SCRIPT.read_text("utf-8")
    with gr.Row(elem_classes=["read", "watch"]):
        with gr.Column(elem_classes="source"):
            clip = _clip()
            with gr.Row(elem_classes="buttons"):
                parts["stop"] = gr.Button("Stop", interactive=False)
            parts["status"] = gr.HTML(blank["status"])
            parts["faces"] = components.thumbnails("faces")
        with gr.Column(elem_classes="watched"):
            parts["lanes"] = gr.HTML(blank["lanes"], elem_classes="part-lanes", js_on_load=script)
            parts["moments"] = gr.HTML(blank["moments"], elem_classes="part-moments")
            parts["files"] = gr.HTML("", elem_classes="part-raw")

    def choose(session: Session, sent: components.Upload) -> Update:
        session.clip = Clip(components.path(sent))
        session.take(ReadClip.turns)
        chosen = session.clip.path is not None
        update = flow.waiting() if chosen else flow.hello(seconds)
        return update | {"stop": gr.update(interactive=chosen)}

    runner = Runner(page, ReadClip.turns, parts)
    runner.start(clip.change, choose, clip)
    runner.answer(parts["stop"].click, _stop)
    runner.answer(parts["faces"].select, _pick)
    # One clip at a time, so that photos are read meanwhile.
    ended = {"stop": gr.update(interactive=False)}
    runner.on_turn(ReadClip(seconds), {"concurrency_limit": 1}, ended)


def _clip() -> gr.Video:
    return gr.Video(
        label="Clip",
        sources=["upload", "webcam"],
        height=300,
        include_audio=False,
        buttons=[],
        webcam_options=components.CAMERA,
        elem_classes="clip",
    )


def _stop(session: Session, _: Any) -> Update:
    session.halt(ReadClip.turns)
    return {"stop": gr.update(interactive=False)}


def _pick(session: Session, sent: Any) -> Update | None:
    timeline = session.clip.timeline
    index = components.pressed(sent, len(timeline.tracks) if timeline else 0)
    return None if index is None else flow.pick(session, index)
