"""The Read tab: one photograph, its faces, and the parts of a reading as they become ready."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from ferce import images
from ferce.ui.web import markup, thumbnails, uploads
from ferce.ui.web.flows import asking, flow, looking
from ferce.ui.web.flows.flow import Flow, Shown
from ferce.ui.web.loading import QUEUE, Models
from ferce.ui.web.panels import questions, where
from ferce.ui.web.session import Sessions
from ferce.ui.web.settings import Settings

NAME = "Read"
_LISTEN: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "api_visibility": "private",
}
# What the browser tells of a list that was set, and of a question that was sent.
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
Parts = Mapping[str, gr.HTML]


def tab(settings: Settings, models: Models, sessions: Sessions) -> Callable[[gr.State], None]:
    """Lay out the tab and connect it; call inside `gr.Blocks`.

    Gives what connects the state that changes when the page turns to another model: the photo is
    then read again.
    """
    examples = images.find([str(settings.examples)]) if _has_photos(settings.examples) else []
    with gr.Row(elem_classes="read"):
        with gr.Column(elem_classes="source"):
            photo = _photo()
            parts = {name: gr.HTML(value) for name, value in _left().items()}
            parts["faces"] = thumbnails.row(name="faces")
            row = thumbnails.row(_examples(examples), "examples") if examples else None
        with gr.Column(elem_classes="reading"):
            question = _panels(parts)
    reads = Flow(models)
    turn = gr.State(0)
    _connect(photo, parts, (turn, reads, sessions), settings.readers)
    _connect_face(parts, question, reads, sessions, settings.readers)
    if row is not None:
        row.select(_taker(examples), None, photo, **_LISTEN)
    return _again(parts, turn, sessions)


def _panels(parts: dict[str, gr.HTML]) -> gr.HTML:
    """The four panels and the raw numbers; returns the field for the user's own question."""
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


def _photo() -> gr.Image:
    return gr.Image(
        label="Photo",
        sources=["upload", "webcam", "clipboard"],
        height=300,
        buttons=[],
        # Mirrored pictures would swap the person's left and right.
        webcam_options=gr.WebcamOptions(mirror=False),
        placeholder="Drop a photo here\nor click to choose one",
        elem_classes="photo",
        alt_text="The photo you chose",
    )


def _left() -> Shown:
    return {"status": flow.line(flow.HELLO)}


def _has_photos(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix in images.SUFFIXES for path in folder.iterdir())


def _examples(paths: list[Path]) -> str:
    pictures = [
        thumbnails.Thumbnail(markup.thumbnail(images.load(path)), f"Example: {_title(path)}")
        for path in paths
    ]
    return thumbnails.draw("Examples", pictures)


def _title(path: Path) -> str:
    return path.stem.replace("_", " ").replace("-", " ")


def _taker(examples: list[Path]) -> Any:
    def take(event: gr.EventData) -> Any:
        index = thumbnails.chosen(event, len(examples))
        return gr.skip() if index is None else str(examples[index])

    return take


def _again(parts: Parts, turn: gr.State, sessions: Sessions) -> Callable[[gr.State], None]:
    def again(request: gr.Request) -> dict[Any, Any]:
        session = sessions.of(request.session_hash)
        path = session.work.path
        if path is None:
            return {turn: session.work.turn}
        shown = flow.waiting("Reading the photo again.") | {"faces": ""}
        return {turn: session.begin(path).turn, **_update(parts, shown)}

    def connect(used: gr.State) -> None:
        used.change(again, None, [turn, *parts.values()], concurrency_limit=None, **_LISTEN)

    return connect


def _connect(
    photo: gr.Image, parts: Parts, world: tuple[gr.State, Flow, Sessions], readers: int
) -> None:
    """A choice clears the page at once and takes a new turn; a new turn starts a run."""
    turn, reads, sessions = world
    outputs = list(parts.values())
    queued = {**_LISTEN, "concurrency_limit": readers, "concurrency_id": QUEUE}
    # In the queue all the same: Gradio 6.31 tells of a changed state only there.
    at_once = {**_LISTEN, "concurrency_limit": None}

    def run(turn: int, request: gr.Request) -> Iterator[dict[Any, Any]]:
        steps = reads.read(sessions.of(request.session_hash), turn)
        yield from (_update(parts, shown) for shown in steps if shown)
        # Gradio sends the last value once more at the end; a run that was overtaken must not
        # repeat its own, so every run ends by changing nothing.
        yield {parts["status"]: gr.skip()}

    def take(photo: uploads.Upload, request: gr.Request) -> dict[Any, Any]:
        path = uploads.path(photo)
        work = sessions.of(request.session_hash).begin(path)
        shown = flow.waiting("Looking for faces.") if path else flow.blank()
        return {turn: work.turn, **_update(parts, shown | {"faces": ""})}

    def pick(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        session = sessions.of(request.session_hash)
        index = thumbnails.chosen(event, len(session.work.faces))
        if index is None:
            return {turn: session.work.turn}
        work = session.pick(index)
        shown = flow.waiting("Reading the face.") | {"faces": flow.strip(work)}
        return {turn: work.turn, **_update(parts, shown)}

    # An older run ends by itself, as its turn is over. Gradio's `cancels` would add nothing but a
    # failed request whenever a choice comes before the run it cancels is in the queue.
    turn.change(run, turn, outputs, **queued)
    photo.change(take, photo, [turn, *outputs], preprocess=False, **at_once)
    parts["faces"].select(pick, None, [turn, *outputs], **at_once)


def _connect_face(
    parts: Parts, question: gr.HTML, reads: Flow, sessions: Sessions, readers: int
) -> None:
    """What may be asked of the face on the page: another map, and questions."""
    queued = {**_LISTEN, "concurrency_limit": readers, "concurrency_id": QUEUE}

    def look(event: gr.EventData, request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = sessions.of(request.session_hash)
        steps = looking.look(reads.of(session.work).reader, session, event._data)
        yield from (_update(parts, shown) for shown in steps)
        yield {parts["where"]: gr.skip()}

    def answer(event: gr.EventData, request: gr.Request) -> Iterator[dict[Any, Any]]:
        told = event._data.get("question") if isinstance(event._data, dict) else None
        session = sessions.of(request.session_hash)
        steps = asking.ask(reads.of(session.work).reader, session, told)
        yield from (_update(parts, shown) for shown in steps)
        yield {parts["asked"]: gr.skip()}

    parts["looks"].select(look, None, parts["where"], **queued)
    question.submit(answer, None, parts["asked"], **queued)


def _update(parts: Parts, shown: Shown) -> dict[Any, str]:
    return {parts[name]: value for name, value in shown.items()}
