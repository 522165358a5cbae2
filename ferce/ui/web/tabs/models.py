"""The Models tab: what is offered and loaded, what is known of each, which one the page uses."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ferce.publishing import dossier
from ferce.publishing.dossier import Dossier
from ferce.ui.web.markup import Update, text
from ferce.ui.web.models import Catalogue
from ferce.ui.web.panels import models as panel
from ferce.ui.web.runner import Flow, Page, Runner, Steps
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

_PAUSE = 0.5  # seconds from one look at what is loading to the next
# A card is of others' making: no pictures, which would be fetched, and no HTML.
_UNWANTED = re.compile(r"!\[[^\]]*\]\([^)]*\)|<[^>\n]*>")


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


@dataclass(frozen=True)
class ModelPanels:
    """Draws the tab; `results` is the folder of evaluations."""

    catalogue: Catalogue
    results: Path

    def draw(self, session: Session, trouble: str = "") -> Update:
        """Draw the list, and the facts and the card of the model that is opened."""
        used = session.model or self.catalogue.names[0]
        opened = session.opened or used
        facts = dossier.read(opened, self.results)
        names = dict.fromkeys((*self.catalogue.names, used, opened))
        rows = [panel.Row(n, self._state(n), n == used, n == opened) for n in names]
        return {
            "names": panel.listed(rows, self.catalogue.allow_any),
            "facts": panel.draw(facts, opened == used, self._state(opened), trouble),
            "card": _card(facts),
        }

    def open(self, session: Session, name: str) -> Update:
        """Turn to the facts of a model that is in the list."""
        if name in (*self.catalogue.names, session.model):
            session.opened = name
        return self.draw(session)

    @property
    def loading(self) -> frozenset[str]:
        """The names of models that are being loaded."""
        known = self.catalogue.known().items()
        return frozenset(name for name, models in known if not (models.reader or models.failure))

    def _state(self, name: str) -> str:
        models = self.catalogue.known().get(name)
        if models is None:
            return "Not loaded yet"
        if models.failure:
            return "Could not be loaded"
        return "Loaded" if models.reader else "Loading …"


@dataclass(frozen=True)
class FollowStates(Flow):
    """Draw the tab when it is turned to, and again as models become ready."""

    turns = "states"
    fault = "The models cannot be shown because of a fault in ferce."

    panels: ModelPanels

    def steps(self, session: Session) -> Steps:
        """Go on until nothing is being loaded."""
        loading = self.panels.loading
        yield self.panels.draw(session)
        while loading:
            time.sleep(_PAUSE)
            before, loading = loading, self.panels.loading
            yield self.panels.draw(session) if before != loading else {}

    def refuse(self, session: Session, words: str) -> Update:
        """Say why beside what is known of the opened model."""
        return self.panels.draw(session, words)


@dataclass(frozen=True)
class UseModel(Flow):
    """Load a model and turn the page to it; `name` is None for the one that is opened."""

    turns = "models"
    fault = "This model could not be loaded because of a fault in ferce."
    expected = (ValueError,)  # of a name that is not offered

    panels: ModelPanels
    name: str | None = None

    def steps(self, session: Session) -> Steps:
        """Draw the tab while the model loads; last comes `used`, its name."""
        opened = session.opened or self.panels.catalogue.names[0]
        name = opened if self.name is None else self.name
        models = self.panels.catalogue.of(name)
        session.opened = name
        for _ in models.progress():
            yield self.panels.draw(session)
        models.ready()
        session.use(models, name)
        yield self.panels.draw(session)
        yield {"used": name}

    def refuse(self, session: Session, words: str) -> Update:
        """Say why beside what is known of the opened model."""
        return self.panels.draw(session, words)


def name_of(sent: Any) -> str:
    """Read the name that the page sent; "" where it sent none."""
    name = sent.get("name") if isinstance(sent, dict) else None
    return name.strip()[:300] if isinstance(name, str) else ""


def _card(facts: Dossier) -> str:
    """Make the text of the card harmless; a sentence where there is none."""
    if not facts.card:
        return f"There is no card beside {text(facts.name)}."
    parts = re.split(r"(```.*?```)", facts.card, flags=re.DOTALL)
    return "".join(part if part.startswith("```") else _UNWANTED.sub("", part) for part in parts)
