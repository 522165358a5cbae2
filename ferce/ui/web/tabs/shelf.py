"""The Models tab: what is offered and loaded, what is known of each, which one the page uses."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ferce.publishing import dossier
from ferce.publishing.dossier import Dossier
from ferce.ui.web.catalogue import Catalogue
from ferce.ui.web.loading import Models
from ferce.ui.web.markup import text
from ferce.ui.web.panels import shelf as panel
from ferce.ui.web.session import Session, Sessions
from ferce.ui.web.settings import Settings

NAME = "Models"
_LISTEN: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "concurrency_limit": None,
    "api_visibility": "private",
}
_POLL = 0.3  # seconds between looks at whether a model is there
# What the browser tells of a model that was pressed, of one to use, and of an id that was sent.
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
# A card is of others' making: no pictures, which would be fetched, and no HTML.
_UNWANTED = re.compile(r"!\[[^\]]*\]\([^)]*\)|<[^>\n]*>")

Shown = list[str]  # list, dossier, card


def tab(settings: Settings, catalogue: Catalogue, sessions: Sessions) -> gr.State:
    """Lay out the tab and connect it; gives the state that changes when the page turns to another.

    Call inside `gr.Blocks`.
    """
    desk = Desk(catalogue, settings.results)
    first = desk.shown(Session())
    with gr.Row(elem_classes=["read", "models-tab"]):
        with gr.Column(elem_classes="source"):
            names = gr.HTML(first[0], js_on_load=_CHOSEN, elem_classes="card shelf-list")
        with gr.Column(elem_classes="compared"):
            facts = gr.HTML(first[1], js_on_load=_USED)
            with gr.Accordion("Model card", open=False, elem_classes="model-card"):
                card = gr.Markdown(first[2])
            gr.HTML(panel.boards(dossier.leaderboards(settings.results)))
    used = gr.State("")
    _connect((names, facts, card), used, desk, sessions)
    return used


@dataclass(frozen=True)
class Desk:
    """Answers what is asked on the tab."""

    catalogue: Catalogue
    results: Path

    def shown(self, session: Session, trouble: str = "") -> Shown:
        """The tab as this page sees it."""
        name = session.opened or session.model or self.catalogue.names[0]
        told = dossier.read(name, self.results)
        used = name == (session.model or self.catalogue.names[0])
        facts = panel.draw(told, used, self._state(name), trouble)
        return [
            panel.listed(self._rows(session, name), self.catalogue.allow_any),
            facts,
            _card(told),
        ]

    def use(self, session: Session, name: str) -> Iterator[Shown | None]:
        """Load a model and turn the page to it; None once that is done."""
        try:
            models = self.catalogue.of(name)
        except ValueError as error:
            yield self.shown(session, str(error))
            return
        session.opened = name
        while not models.wait(_POLL):
            yield self.shown(session)
        if models.failure:
            yield self.shown(session, models.failure)
            return
        session.models, session.model = models, name
        yield self.shown(session)
        yield None

    def _rows(self, session: Session, opened: str) -> list[panel.Row]:
        mine = session.model or self.catalogue.names[0]
        names = dict.fromkeys((*self.catalogue.names, mine, opened))
        return [panel.Row(n, self._state(n), n == mine, n == opened) for n in names]

    def _state(self, name: str) -> str:
        models: Models | None = self.catalogue.known().get(name)
        if models is None:
            return "Not loaded yet"
        if models.failure:
            return "Could not be loaded"
        return "Loaded" if models.reader else "Loading …"


def _card(told: Dossier) -> str:
    """Text of the card, harmless; a sentence where there is none."""
    if not told.card:
        return f"There is no card beside {text(told.name)}."
    parts = re.split(r"(```.*?```)", told.card, flags=re.DOTALL)
    return "".join(part if part.startswith("```") else _UNWANTED.sub("", part) for part in parts)


def _connect(
    parts: tuple[gr.HTML, gr.HTML, gr.Markdown], used: gr.State, desk: Desk, sessions: Sessions
) -> None:
    names, facts, _ = parts
    outputs = [*parts, used]

    def told(event: gr.EventData) -> str:
        name = event._data.get("name") if isinstance(event._data, dict) else None
        return name.strip()[:300] if isinstance(name, str) else ""

    def select(event: gr.EventData, request: gr.Request) -> Shown:
        session, name = sessions.of(request.session_hash), told(event)
        if name in (*desk.catalogue.names, session.model):
            session.opened = name
        return desk.shown(session)

    def use(session: Session, name: str) -> Iterator[list[Any]]:
        for shown in desk.use(session, name):
            yield [gr.skip()] * 3 + [name] if shown is None else [*shown, gr.skip()]

    def turn(request: gr.Request) -> Iterator[list[Any]]:
        session = sessions.of(request.session_hash)
        yield from use(session, session.opened or desk.catalogue.names[0])

    def submit(event: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        yield from use(sessions.of(request.session_hash), told(event))

    names.select(select, None, list(parts), **_LISTEN)
    facts.select(turn, None, outputs, **_LISTEN)
    names.submit(submit, None, outputs, **_LISTEN)
