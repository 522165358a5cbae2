"""The Video tab: a clip in; faces followed, their expressions over time, key moments explained."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from ferce.core.types import ReadingError
from ferce.reading import video
from ferce.reading.video import Limits, Options, formats
from ferce.ui.web import thumbnails, uploads
from ferce.ui.web.flows import watching
from ferce.ui.web.flows.watching import RATE, TAB, Shown, Watching
from ferce.ui.web.loading import Models
from ferce.ui.web.session import Sessions
from ferce.ui.web.settings import Settings

NAME = "Video"
NO_CLIP = "No clip was sent; upload one as `clip`."
_LISTEN: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "api_visibility": "private",
}
_SCRIPT = Path(__file__).with_name("lanes.js")
Parts = Mapping[str, gr.HTML]


def tab(settings: Settings, models: Models, sessions: Sessions) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    blank = watching.blank(watching.hello(settings.max_seconds))
    with gr.Row(elem_classes=["read", "watch"]):
        with gr.Column(elem_classes="source"):
            clip = _clip()
            with gr.Row(elem_classes="buttons"):
                stop = gr.Button("Stop", interactive=False)
            parts = {"status": gr.HTML(blank["status"])}
            parts["faces"] = thumbnails.row(name="faces")
        with gr.Column(elem_classes="watched"):
            script = _SCRIPT.read_text("utf-8")
            parts["lanes"] = gr.HTML(blank["lanes"], elem_classes="part-lanes", js_on_load=script)
            parts["moments"] = gr.HTML(blank["moments"], elem_classes="part-moments")
            parts["files"] = gr.HTML("", elem_classes="part-raw")
    _connect(clip, stop, parts, (settings, models, sessions))
    _endpoint(settings, models)


def _clip() -> gr.Video:
    return gr.Video(
        label="Clip",
        sources=["upload", "webcam"],
        height=300,
        include_audio=False,
        buttons=[],
        # Mirrored pictures would swap the person's left and right.
        webcam_options=gr.WebcamOptions(mirror=False),
        elem_classes="clip",
    )


def _connect(
    clip: gr.Video, stop: gr.Button, parts: Parts, world: tuple[Settings, Models, Sessions]
) -> None:
    """A choice clears the tab and takes a new turn; a new turn starts a run."""
    settings, models, sessions = world
    watches, turn, path = Watching(models, settings.max_seconds), gr.State(0), gr.State(None)
    outputs = list(parts.values())
    at_once = {**_LISTEN, "concurrency_limit": None}

    def take(file: uploads.Upload, request: gr.Request) -> dict[Any, Any]:
        session = sessions.of(request.session_hash)
        watches.forget(session)
        mine, chosen = session.take(TAB), uploads.path(file)
        blank = watching.blank(watching.hello(settings.max_seconds))
        shown = watching.waiting() if chosen else blank
        button = gr.Button(interactive=chosen is not None)
        return {turn: mine, path: chosen, stop: button, **_update(parts, shown)}

    def run(turn: int, path: Path | None, request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = sessions.of(request.session_hash)
        for shown in watches.read(session, turn, path):
            if shown:
                yield _update(parts, shown)
        if session.holds(TAB, turn):
            yield {stop: gr.Button(interactive=False)}
        yield {parts["status"]: gr.skip()}  # Gradio repeats the last value at the end of a run

    def pick(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        session = sessions.of(request.session_hash)
        index = thumbnails.chosen(event, watches.count(session))
        shown = {} if index is None else watches.pick(session, index)
        return _update(parts, shown) or {parts["status"]: gr.skip()}

    def halt(request: gr.Request) -> Any:
        sessions.of(request.session_hash).halt(TAB)
        return gr.Button(interactive=False)

    clip.change(take, clip, [turn, path, stop, *outputs], preprocess=False, **at_once)
    # One clip at a time, so that photos are read meanwhile.
    turn.change(run, [turn, path], [stop, *outputs], concurrency_limit=1, **_LISTEN)
    stop.click(halt, None, stop, **at_once)
    parts["faces"].select(pick, None, outputs, **at_once)


def _update(parts: Parts, shown: Shown) -> dict[Any, str]:
    return {parts[name]: value for name, value in shown.items()}


def _endpoint(settings: Settings, models: Models) -> None:
    """`/video`; hidden components give its parameters their names."""

    def video(clip: uploads.Upload) -> dict[str, Any]:
        """Follow the faces of a clip and read them ten times a second.

        Args:
            clip: The clip as an uploaded file: MP4, WebM, MOV, MKV, AVI, OGG, MPEG, WMV or GIF.

        Returns:
            One clip of the JSON document that `python -m ferce clip.mp4 --json` writes: its
            `tracks` with probabilities and action units over time, and its `moments`; or `clip`
            and `error`.
        """
        return _read(models, uploads.path(clip), settings.max_seconds)

    gr.Button(visible=False).click(
        video,
        gr.Video(label="clip", visible=False),
        gr.JSON(label="timeline", visible=False),
        api_name="video",
        preprocess=False,
        concurrency_limit=1,
    )


def _read(models: Models, path: Path | None, seconds: float) -> dict[str, Any]:
    if path is None:
        return {"clip": "", "error": NO_CLIP}
    while not models.wait(60):
        pass
    if models.reader is None:
        raise gr.Error(models.failure or "There are no models.", print_exception=False)
    options = Options(rate=RATE, limits=Limits(seconds=seconds))
    try:
        return formats.clip_to_json(video.read(path, models.reader, options))
    except (video.VideoError, ReadingError) as error:
        return {"clip": path.name, "error": str(error)}
