"""The Read tab: one photograph, its faces, and the parts of a reading as they become ready."""

from pathlib import Path
from typing import Any

import gradio as gr

from ferce import images
from ferce.ui.web import components, markup
from ferce.ui.web.flows import read as flow
from ferce.ui.web.flows.read import Ask, DrawMap, ReadPhoto
from ferce.ui.web.markup import Thumbnail, Update
from ferce.ui.web.panels import questions, where
from ferce.ui.web.runner import AT_ONCE, Page, Runner
from ferce.ui.web.session import READ, Session

NAME = "Read"
# What the browser sends of a list that was set, and of a question.
_CHOSEN = """
element.addEventListener('change', (event) => {
  const form = event.target.closest('form.looks');
  if (form) trigger('select', Object.fromEntries(new FormData(form)));
});
"""
_ASKED = """
element.addEventListener('submit', (event) => {
  event.preventDefault();
  const field = event.target.elements.question;
  trigger('submit', {question: field.value});
  field.value = '';
});
"""


def tab(page: Page) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    parts: dict[str, Any] = {}
    with gr.Row(elem_classes="read"):
        with gr.Column(elem_classes="source"):
            photo = components.photo(300)
            parts["status"] = gr.HTML(markup.status(flow.HELLO))
            parts["faces"] = components.thumbnails("faces")
            _examples(page.settings.examples, photo)
        with gr.Column(elem_classes="reading"):
            question = _panels(parts)
    runner = Runner(page, READ, parts)
    runner.start(photo.change, _choose, photo)
    runner.start(parts["faces"].select, _pick)
    runner.start(page.model.change, _read_again)
    runner.on_turn(ReadPhoto(), page.reading)
    runner.on_event(parts["looks"].select, DrawMap, page.reading)
    runner.on_event(question.submit, Ask, page.reading)


def _panels(parts: dict[str, Any]) -> gr.HTML:
    """Lay out the four panels and the raw numbers; returns the field for a question."""
    blank = flow.blank()

    def part(name: str, **more: Any) -> None:
        parts[name] = gr.HTML(blank[name], elem_classes=[f"part-{name}"], **more)

    part("prediction")
    with gr.Column(elem_classes=["card", "panel-where"]):
        gr.HTML(markup.heading(where.TITLE))
        part("looks", js_on_load=_CHOSEN)
        part("where")
    part("why")
    with gr.Column(elem_classes=["card", "panel-questions"]):
        question = gr.HTML(questions.form(), js_on_load=_ASKED)
        part("asked")
        part("questions")
    part("raw")
    return question


def _examples(folder: Path, photo: gr.Image) -> None:
    """Lay out the photos of a folder, any of which can be chosen; nothing where it has none."""
    if not folder.is_dir() or not any(path.suffix in images.SUFFIXES for path in folder.iterdir()):
        return
    paths = images.find([str(folder)])
    pictures = [Thumbnail(markup.thumbnail(images.load(path)), _title(path)) for path in paths]
    row = components.thumbnails("examples", markup.thumbnails("Examples", pictures))

    def take(event: gr.EventData) -> Any:
        index = components.pressed(event._data, len(paths))
        return gr.skip() if index is None else str(paths[index])

    row.select(take, None, photo, **AT_ONCE)


def _title(path: Path) -> str:
    return f"Example: {path.stem.replace('_', ' ').replace('-', ' ')}"


def _choose(session: Session, sent: components.Upload) -> Update:
    """Clear the page for another photo, which is read in a new turn."""
    path = components.path(sent)
    session.begin(path)
    return (flow.waiting("Looking for faces.") if path else flow.blank()) | {"faces": ""}


def _pick(session: Session, sent: Any) -> Update | None:
    index = components.pressed(sent, len(session.work.faces))
    if index is None:
        return None
    work = session.pick(index)
    return flow.waiting("Reading the face.") | {"faces": markup.faces(work.faces, index)}


def _read_again(session: Session, _: Any) -> Update | None:
    """Read the photo again with the model that the page has turned to."""
    path = session.work.path
    if path is None:
        return None
    session.begin(path)
    return flow.waiting("Reading the photo again.") | {"faces": ""}
