"""The Batch tab: many photos or a ZIP in, one row a face out, with files to take away."""

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from ferce.images import SUFFIXES
from ferce.ui.web import uploads
from ferce.ui.web.flows import batching
from ferce.ui.web.loading import Models
from ferce.ui.web.panels import batch as panel
from ferce.ui.web.session import Sessions
from ferce.ui.web.settings import Settings

NAME = "Batch"
_LISTEN: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "api_visibility": "private",
}
_PARTS = ("status", "results", "files")
Parts = Mapping[str, gr.HTML]


def tab(settings: Settings, models: Models, sessions: Sessions) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    blank = panel.blank()
    with gr.Row(elem_classes=["read", "batch"]):
        with gr.Column(elem_classes="source"):
            files = _files()
            with gr.Row(elem_classes="buttons"):
                start = gr.Button("Read them", variant="primary", interactive=False)
                stop = gr.Button("Stop", interactive=False)
            parts = {"status": gr.HTML(blank["status"])}
        with gr.Column(elem_classes="results"):
            parts["results"] = gr.HTML(blank["results"], elem_classes="part-results")
            parts["files"] = gr.HTML(blank["files"])
    _connect(files, (start, stop), parts, (settings, models, sessions))


def _files() -> gr.File:
    return gr.File(
        label="Photos or a ZIP",
        file_count="multiple",
        file_types=[*sorted(SUFFIXES), ".zip"],
        height=220,
        elem_classes="files",
    )


def _connect(
    files: gr.File,
    buttons: tuple[gr.Button, gr.Button],
    parts: Parts,
    world: tuple[Settings, Models, Sessions],
) -> None:
    """Choosing looks into the files; the button takes a turn; a new turn starts a run."""
    settings, models, sessions = world
    (start, stop), turn, outputs = buttons, gr.State(0), list(parts.values())
    at_once = {**_LISTEN, "concurrency_limit": None}

    def take(files: Any, request: gr.Request) -> list[Any]:
        session = sessions.of(request.session_hash)
        session.take(batching.TAB)  # what runs for the files before is out of date
        session.files = uploads.paths(files)
        shown = batching.look(session, settings.max_photos)
        return [*(shown[name] for name in _PARTS), *_buttons(start=bool(session.files))]

    def begin(request: gr.Request) -> list[Any]:
        session = sessions.of(request.session_hash)
        shown = panel.waiting()
        mine = session.take(batching.TAB)
        return [mine, *(shown[name] for name in _PARTS), *_buttons(stop=True)]

    def run(turn: int, request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = sessions.of(request.session_hash)
        chosen = session.models or models
        for shown in batching.read(chosen, session, turn, settings.max_photos):
            yield {parts[name]: value for name, value in shown.items()}
        if session.holds(batching.TAB, turn):
            yield dict(zip(buttons, _buttons(start=True), strict=True))
        yield {parts["status"]: gr.skip()}  # Gradio repeats the last value at the end of a run

    def halt(request: gr.Request) -> Any:
        sessions.of(request.session_hash).halt(batching.TAB)
        return gr.Button(interactive=False)

    files.change(take, files, [*outputs, *buttons], preprocess=False, **at_once)
    start.click(begin, None, [turn, *outputs, *buttons], **at_once)
    # One batch at a time, so that single photos are read meanwhile.
    turn.change(run, turn, [*outputs, *buttons], concurrency_limit=1, **_LISTEN)
    stop.click(halt, None, stop, **at_once)


def _buttons(start: bool = False, stop: bool = False) -> list[Any]:
    return [gr.Button(interactive=start), gr.Button(interactive=stop)]
