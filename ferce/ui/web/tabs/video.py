"""The Video tab: a clip in; faces followed, their expressions over time, key moments explained."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ferce.reading import video
from ferce.reading.video import Limits, Options, Timeline
from ferce.ui.web import components, markup
from ferce.ui.web.examples import Examples
from ferce.ui.web.markup import Update
from ferce.ui.web.panels import clip
from ferce.ui.web.runner import AT_ONCE, Flow, Page, Runner, Steps, load
from ferce.ui.web.session import Clip, Session

NAME = "Video"
_SCRIPT = Path(__file__).with_name("lanes.js")

RATE = 10.0  # frames read a second; expressions last half a second and more
_PAUSE = 0.3  # seconds from one progress bar to the next


def tab(page: Page) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    seconds, parts = page.settings.max_seconds, dict[str, Any]()
    first, script = hello(seconds), _SCRIPT.read_text("utf-8")
    with gr.Row(elem_classes=["read", "watch"]):
        with gr.Column(elem_classes="source"):
            upload = _clip()
            _example(page.examples, upload)
            with gr.Row(elem_classes="buttons"):
                parts["stop"] = gr.Button("Stop", interactive=False)
            parts["status"] = gr.HTML(first["status"])
            parts["faces"] = components.thumbnails("faces")
        with gr.Column(elem_classes="watched"):
            parts["lanes"] = gr.HTML(first["lanes"], elem_classes="part-lanes", js_on_load=script)
            parts["moments"] = gr.HTML(first["moments"], elem_classes="part-moments")
            parts["files"] = gr.HTML("", elem_classes="part-raw")

    def choose(session: Session, sent: components.Upload) -> Update:
        session.clip = Clip(components.path(sent))
        session.take(ReadClip.turns)
        chosen = session.clip.path is not None
        update = waiting() if chosen else hello(seconds)
        return update | {"stop": gr.update(interactive=chosen)}

    runner = Runner(page, ReadClip.turns, parts)
    runner.start(upload.change, choose, upload)
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


def _example(examples: Examples, target: gr.Video) -> None:
    """Add a button that takes the example clip; nothing without example photos."""
    if not examples.paths:
        return
    button = gr.Button("Take the example clip", elem_classes="quiet")
    button.click(
        lambda: str(examples.clip) if examples.clip else gr.skip(), None, target, **AT_ONCE
    )


def _stop(session: Session, _: Any) -> Update:
    session.halt(ReadClip.turns)
    return {"stop": gr.update(interactive=False)}


def _pick(session: Session, sent: Any) -> Update | None:
    read = session.clip.timeline
    index = components.pressed(sent, len(read.tracks) if read else 0)
    return None if index is None else pick(session, index)


def blank(status: str) -> Update:
    """Draw the tab without a clip; `status` is HTML."""
    panels = {"lanes": clip.blank_lanes(), "moments": clip.blank()}
    return {"status": status, "faces": "", **panels, "files": ""}


def hello(seconds: float) -> Update:
    """Draw the tab before a clip was chosen; `seconds` is how long one may be."""
    words = f"Choose a clip of up to {video.spoken(seconds)}, or record one."
    return blank(markup.status(words))


def waiting() -> Update:
    """Draw the tab from the choice of a clip until its timeline is there."""
    status = markup.status("Waiting for a free reader.", "busy")
    return blank(status) | {"lanes": clip.waiting_lanes(), "moments": clip.waiting()}


def options(seconds: float) -> Options:
    """Choose how the page reads a clip; `seconds` is how long one may be."""
    return Options(rate=RATE, limits=Limits(seconds=seconds))


@dataclass(frozen=True)
class ReadClip(Flow):
    """Read the clip of the page, of at most so many seconds."""

    turns = "video"
    fault = "This clip could not be read because of a fault in ferce. The server's log says more."

    seconds: float

    def steps(self, session: Session) -> Steps:
        """Draw progress, then the timeline, then each key moment as it is explained."""
        held, how = session.clip, options(self.seconds)
        reader = yield from load(session.models, "clip is")
        if held.path is None:
            return
        started, drawn = time.monotonic(), 0.0
        for part in video.stream(held.path, reader, how, lambda: session.halted(self.turns)):
            now = time.monotonic()
            if isinstance(part, Timeline):
                first, held.timeline = held.timeline is None, part
                yield (
                    _draw(part, held.picked) | _busy(part) if first else _moments(part, held.picked)
                )
            elif now - drawn > _PAUSE:
                drawn = now
                yield {"status": clip.progress(part, now - started)}
            else:
                yield {}  # a step at which a newer turn ends this one
        if held.timeline is not None:
            yield _ended(held.timeline, held.picked)

    def refuse(self, _: Session, words: str) -> Update:
        """Clear the tab and say why."""
        return blank(markup.status(markup.text(words), "sorry"))


def pick(session: Session, index: int) -> Update:
    """Turn to another face of the clip."""
    session.clip.picked = index
    read = session.clip.timeline
    return _draw(read, index, explaining=False) if read else {}


def _draw(read: Timeline, picked: int, explaining: bool = True) -> Update:
    faces, lanes = clip.faces(read, picked), clip.lanes(read, picked)
    return {**_moments(read, picked, explaining), "lanes": lanes, "faces": faces}


def _moments(read: Timeline, picked: int, explaining: bool = True) -> Update:
    return {"moments": clip.moments(read, picked, explaining)}


def _busy(read: Timeline) -> Update:
    count = len(read.moments)
    words = f"Explaining {count} key moment{'' if count == 1 else 's'}."
    return {"status": markup.status(words, "busy")} if count else {}


def _ended(read: Timeline, picked: int) -> Update:
    words = f"{video.spoken(read.duration)} read in {read.spent:.1f}&thinsp;s"
    if not read.complete:
        words = "Stopped; what was read until then is shown."
    shown = _moments(read, picked, explaining=False)
    return {**shown, "status": markup.status(words), "files": clip.files(read)}
