"""The Models tab: what is offered and loaded, what is known of each, which one the page uses."""

from typing import Any

import gradio as gr

from ferce.publishing import dossier
from ferce.ui.web.flows.models import FollowStates, ModelPanels, UseModel, name_of
from ferce.ui.web.markup import Update
from ferce.ui.web.panels import models as panel
from ferce.ui.web.runner import Page, Runner
from ferce.ui.web.session import Session

NAME = "Models"
# What the browser sends of a model that was pressed, of one to use, and of an id that was sent.
_CHOSEN = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-name]');
  if (button) trigger('select', {name: button.dataset.name});
});
element.addEventListener('submit', (event) => {
  event.preventDefault();
  trigger('submit', {name: event.target.elements.model.value});
});
"""
_USED = """
element.addEventListener('click', (event) => {
  if (event.target.closest('[data-use]')) trigger('select', {use: true});
});
"""


def tab(page: Page) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    results, parts = page.settings.results, dict[str, Any]()
    panels = ModelPanels(page.models, results)
    first = panels.draw(Session(page.models))
    with gr.Row(elem_classes=["read", "models-tab"]):
        with gr.Column(elem_classes="source"):
            parts["names"] = gr.HTML(
                first["names"], js_on_load=_CHOSEN, elem_classes="card shelf-list"
            )
        with gr.Column(elem_classes="compared"):
            parts["facts"] = gr.HTML(first["facts"], js_on_load=_USED)
            with gr.Accordion("Model card", open=False, elem_classes="model-card"):
                parts["card"] = gr.Markdown(first["card"])
            gr.HTML(panel.boards(dossier.leaderboards(results)))
    parts["used"] = page.model

    def select(session: Session, sent: Any) -> Update:
        return panels.open(session, name_of(sent))

    runner, at_once = Runner(page, UseModel.turns, parts), {"concurrency_limit": None}
    runner.answer(parts["names"].select, select)
    runner.on_event(page.tabs[NAME].select, lambda _: FollowStates(panels), at_once)
    runner.on_event(parts["facts"].select, lambda _: UseModel(panels), at_once)
    runner.on_event(parts["names"].submit, lambda sent: UseModel(panels, name_of(sent)), at_once)
