"""The Batch tab: many photos or a ZIP in, one row a face out, with files to take away."""

from typing import Any

import gradio as gr

from ferce.images import SUFFIXES, UNREAD
from ferce.ui.web import components
from ferce.ui.web.examples import Examples
from ferce.ui.web.flows import batch as flow
from ferce.ui.web.flows.batch import ReadBatch
from ferce.ui.web.markup import Update
from ferce.ui.web.panels import batch as panel
from ferce.ui.web.runner import AT_ONCE, Page, Runner
from ferce.ui.web.session import Session

NAME = "Batch"
_TURNS = ReadBatch.turns


def tab(page: Page) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    blank, parts = panel.blank(), dict[str, Any]()
    with gr.Row(elem_classes=["read", "batch"]):
        with gr.Column(elem_classes="source"):
            files = _files()
            _examples(page.examples, files)
            with gr.Row(elem_classes="buttons"):
                parts["start"] = gr.Button("Read them", variant="primary", interactive=False)
                parts["stop"] = gr.Button("Stop", interactive=False)
            parts["status"] = gr.HTML(blank["status"])
        with gr.Column(elem_classes="results"):
            parts["results"] = components.pressable(blank["results"], "part-results")
            parts["files"] = gr.HTML(blank["files"])
            parts["opened"] = gr.HTML(blank["opened"])
    most = page.settings.max_photos

    def choose(session: Session, sent: components.Uploads) -> Update:
        session.take(_TURNS)  # what runs for the files before ends
        session.files = components.paths(sent)
        return flow.list_photos(session.files, most) | _buttons(start=bool(session.files))

    runner = Runner(page, _TURNS, parts)
    runner.answer(files.change, choose, files)
    runner.start(parts["start"].click, _start)
    runner.answer(parts["stop"].click, _stop)
    runner.answer(parts["results"].select, _open)
    # One batch at a time, so that single photos are read meanwhile.
    runner.on_turn(ReadBatch(most), {"concurrency_limit": 1}, ended=_buttons(start=True))


def _examples(examples: Examples, files: gr.File) -> None:
    """Add a button that takes the example photos; nothing without any."""
    if not examples.paths:
        return
    taken = [str(path) for path in examples.paths]
    button = gr.Button(f"Take the {len(taken)} examples", elem_classes="quiet")
    button.click(lambda: taken, None, files, **AT_ONCE)


def _open(session: Session, sent: Any) -> Update | None:
    index = components.pressed(sent, len(session.details))
    return None if index is None else flow.open_row(session, index)


def _files() -> gr.File:
    return gr.File(
        label="Photos or a ZIP",
        file_count="multiple",
        file_types=[
            *sorted(SUFFIXES | UNREAD),
            ".zip",
        ],  # the unread ones are named, with what to do
        height=220,
        elem_classes="files",
    )


def _start(session: Session, _: Any) -> Update:
    session.take(_TURNS)
    return panel.waiting() | _buttons(stop=True)


def _stop(session: Session, _: Any) -> Update:
    session.halt(_TURNS)
    return {"stop": gr.update(interactive=False)}


def _buttons(start: bool = False, stop: bool = False) -> Update:
    return {"start": gr.update(interactive=start), "stop": gr.update(interactive=stop)}
