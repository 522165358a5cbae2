"""The Read tab: one photograph, its faces, and the parts of a reading as they become ready."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ferce.core.types import ReadingError
from ferce.models import prompts
from ferce.ui.web import components, markup
from ferce.ui.web.examples import title
from ferce.ui.web.markup import Update
from ferce.ui.web.models import Catalogue
from ferce.ui.web.panels import choices, questions, where, why
from ferce.ui.web.reading import HELLO, ReadPhoto, blank, draw_chosen, waiting
from ferce.ui.web.runner import Flow, Page, Runner, Steps, run
from ferce.ui.web.session import MAP, READ, Session

NAME = "Read"
NOTHING_TO_ASK = "There is no face to ask about yet; choose a photo first."
SAME = "A label cannot be told from itself; choose another one to compare it with."
# What the browser sends of a list that was set, and of a question.
_CHOSEN = """
element.addEventListener('change', (event) => {
  const form = event.target.closest('form');
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
    examples = page.examples
    with gr.Row(elem_classes=["read", "first"]):
        with gr.Column(elem_classes="source"):
            photo = components.photo(300, examples.first)
            parts["status"] = gr.HTML(markup.status(HELLO))
            parts["faces"] = components.thumbnails("faces")
            components.examples(examples, photo)
        with gr.Column(elem_classes="reading"):
            question = _panels(parts, choices.voices(page.models.voices, page.models.voices[0]))
    runner = Runner(page, READ, parts)
    runner.start(photo.change, _choose, photo)
    runner.start(parts["faces"].select, _pick)
    runner.start(page.model.change, partial(_read_again, page.models))
    runner.start(parts["voice"].select, partial(_speak, page.models))
    if examples.first is not None:
        runner.start(page.loaded, partial(_open, examples.first), page.model)
        page.models.then.append(partial(_prepare, page, examples.first))
    runner.on_turn(ReadPhoto(examples), page.reading)
    runner.on_event(parts["looks"].select, DrawMap, page.reading)
    runner.on_event(question.submit, Ask, page.reading)


def _panels(parts: dict[str, Any], spoken: str) -> gr.HTML:
    """Lay out the four panels and the raw numbers; returns the field for a question."""
    empty = blank()

    def part(name: str, **more: Any) -> None:
        parts[name] = gr.HTML(empty.get(name, ""), elem_classes=[f"part-{name}"], **more)

    part("prediction")
    with gr.Column(elem_classes=["card", "panel-where"]):
        gr.HTML(markup.heading(where.TITLE))
        part("looks", js_on_load=_CHOSEN)
        part("where")
    with gr.Column(elem_classes=["card", "panel-why"]):
        gr.HTML(markup.heading(why.TITLE))
        parts["voice"] = gr.HTML(spoken, elem_classes=["part-voice"], js_on_load=_CHOSEN)
        part("why")
    with gr.Column(elem_classes=["card", "panel-questions"]):
        question = gr.HTML(questions.form(), js_on_load=_ASKED)
        part("asked")
        part("questions")
    part("raw")
    return question


def _open(path: Path, session: Session, _: Any) -> Update | None:
    """Begin with an example, unless the visitor was quicker."""
    if session.work.path is not None:
        return None
    session.begin(path)
    return waiting(f"{title(path)} is read first; choose a photo of your own.")


def _prepare(page: Page, path: Path) -> None:
    """Read the first example before anybody comes."""
    session = Session(page.models)
    session.begin(path)
    for _ in run(ReadPhoto(page.examples), session, session.turn(READ)):
        pass


def _speak(models: Catalogue, session: Session, sent: Any) -> Update | None:
    """Let the voice that was chosen explain and answer anew."""
    name = sent.get("voice") if isinstance(sent, dict) else None
    if name not in models.voices:
        return None
    work = session.speak(models.speaking(session.models, name))
    if work.path is None:
        return None
    return {"why": why.waiting(), "questions": questions.waiting(), "asked": "", "raw": ""}


def _choose(session: Session, sent: components.Upload) -> Update:
    """Clear the page for another photo, which is read in a new turn."""
    path = components.path(sent)
    session.begin(path)
    return (waiting("Looking for faces.") if path else blank()) | {"faces": ""}


def _pick(session: Session, sent: Any) -> Update | None:
    index = components.pressed(sent, len(session.work.faces))
    if index is None:
        return None
    work = session.pick(index)
    faces = markup.faces(work.faces, index, work.photo)
    return waiting("Reading the face.") | {"faces": faces}


def _read_again(models: Catalogue, session: Session, _: Any) -> Update | None:
    """Read the photo again with the model that the page has turned to, and its own voice."""
    own = session.models.ready().voice.name
    update = {"voice": choices.voices(models.voices, own)}
    path = session.work.path
    if path is None:
        return update
    session.begin(path)
    return waiting("Reading the photo again.") | {"faces": ""} | update


@dataclass(frozen=True)
class DrawMap(Flow):
    """Draw another heat map of the face on the page; `sent` is what the page asks for."""

    turns = MAP
    fault = "This map could not be made because of a fault in ferce. The server's log says more."
    expected = (ValueError,)  # of a method that this model or this face does not allow

    sent: Any

    def steps(self, session: Session) -> Steps:
        """Dim the map on the page, then show the other one; a choice not offered does nothing."""
        work, reading = session.work, session.work.newest
        if reading is None or reading.prediction is None or reading.heatmap is None:
            return
        wanted = choices.chosen(self.sent, reading.prediction)
        if wanted is None:
            return
        yield {"where": where.searching(work.maps.get(work.picked, (None, reading))[1], wanted)}
        if wanted.label == wanted.against:
            raise ReadingError(SAME)
        reader = work.models.ready()
        located = reader.locate(reading, wanted.label, wanted.method, wanted.against)
        work.maps[work.picked] = (wanted, reader.accompany(located, wanted.against))
        yield {"where": draw_chosen(work, reading)}

    def refuse(self, session: Session, words: str) -> Update:
        """Say why beside the map that was there."""
        reading = session.work.newest
        return {"where": draw_chosen(session.work, reading, words)} if reading else {}


@dataclass(frozen=True)
class Ask(Flow):
    """Answer the visitor's own question on the face on the page; `sent` holds it."""

    turns = READ
    fault = "This question could not be answered because of a fault in ferce."

    sent: Any

    def begin(self, session: Session) -> int:
        """Stay in the turn of the reading, which goes on."""
        return session.turn(READ)

    def steps(self, session: Session) -> Steps:
        """Show the question as pending above those that were answered, then its answer."""
        text = self.sent.get("question") if isinstance(self.sent, dict) else None
        if not isinstance(text, str):
            return
        work, reading = session.work, session.work.newest
        if reading is None or reading.prediction is None:
            raise ReadingError(NOTHING_TO_ASK)
        question = _checked(text)
        yield {"asked": questions.own(work.answers, pending=question)}
        answered = work.models.ready().answer(reading, [question])
        work.answers.extend(answered.answers[len(reading.answers) :])
        yield {"asked": questions.own(work.answers)}

    def refuse(self, session: Session, words: str) -> Update:
        """Say why above the questions that were answered."""
        return {"asked": questions.sorry(session.work.answers, words)}


def _checked(text: str) -> str:
    try:
        return prompts.question(text)
    except ValueError as error:
        raise ReadingError(str(error)) from error
