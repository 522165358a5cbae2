"""The Compare tab: the same face through several models, side by side."""

from dataclasses import replace
from typing import Any

import gradio as gr

from ferce.ui.web import components, markup
from ferce.ui.web.flows.compare import Compare
from ferce.ui.web.markup import Update
from ferce.ui.web.panels import compare as panel
from ferce.ui.web.runner import Page, Runner
from ferce.ui.web.session import Compared, Session

NAME = "Compare"
ALONE = (
    "This server offers one model. Its operator names further ones in <code>FERCE_MODELS</code>, "
    "and they appear here."
)


def tab(page: Page) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    names, parts = page.models.names, dict[str, Any]()
    blank = panel.blank(names)
    with gr.Row(elem_classes=["read", "compare"]):
        with gr.Column(elem_classes="source"):
            photo = components.photo(240)
            ticked = gr.CheckboxGroup(
                list(names), value=list(names), label="Models", elem_classes="ticked"
            )
            if len(names) == 1:
                gr.HTML(f'<p class="fine">{ALONE}</p>')
            parts["status"] = gr.HTML(blank["status"])
            parts["faces"] = components.thumbnails("faces")
            components.examples(page.examples, photo)
        with gr.Column(elem_classes="compared"):
            parts["agreement"] = gr.HTML(blank["agreement"])
            parts["columns"] = gr.HTML(blank["columns"])

    _connect(page, parts, photo, ticked)


def _connect(page: Page, parts: dict[str, Any], photo: gr.Image, ticked: gr.CheckboxGroup) -> None:
    names = page.models.names

    def choose(session: Session, sent: components.Upload) -> Update:
        return _start(session, Compared(components.path(sent), session.compared.names or names))

    def tick(session: Session, sent: Any) -> Update:
        held = session.compared
        chosen = tuple(name for name in names if isinstance(sent, list) and name in sent)
        return _start(session, replace(held, names=chosen))

    runner = Runner(page, Compare.turns, parts)
    runner.start(photo.change, choose, photo)
    runner.start(ticked.input, tick, ticked)
    runner.start(parts["faces"].select, _pick)
    runner.on_turn(Compare(page.models), page.reading)


def _pick(session: Session, sent: Any) -> Update | None:
    held = session.compared
    index = components.pressed(sent, len(held.faces))
    if index is None:
        return None
    return _start(session, replace(held, picked=index))


def _start(session: Session, held: Compared) -> Update:
    """Clear the page for another comparison and give it a turn."""
    session.compared = held
    session.take(Compare.turns)
    update = panel.waiting(held.names) if held.path else panel.blank(held.names)
    if held.faces:
        update |= {"faces": markup.faces(held.faces, held.picked, held.photo)}
    return update
