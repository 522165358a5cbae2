"""The Compare tab: the same face through several models, side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from ferce.ui.web import thumbnails, uploads
from ferce.ui.web.catalogue import Catalogue
from ferce.ui.web.flows import comparing, flow
from ferce.ui.web.loading import QUEUE
from ferce.ui.web.panels import compare as panel
from ferce.ui.web.session import Compared, Session, Sessions
from ferce.ui.web.settings import Settings

NAME = "Compare"
ALONE = (
    "This server offers one model. Its operator names further ones in <code>FERCE_MODELS</code>, "
    "and they appear here."
)
_LISTEN: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "api_visibility": "private",
}
_AT_ONCE: dict[str, Any] = {**_LISTEN, "concurrency_limit": None}
Parts = Mapping[str, gr.HTML]


def tab(settings: Settings, catalogue: Catalogue, sessions: Sessions) -> None:
    """Lay out the tab and connect it; call inside `gr.Blocks`."""
    blank = panel.blank(catalogue.names)
    with gr.Row(elem_classes=["read", "compare"]):
        with gr.Column(elem_classes="source"):
            photo = _photo()
            names = list(catalogue.names)
            ticked = gr.CheckboxGroup(names, value=names, label="Models", elem_classes="ticked")
            if len(names) == 1:
                gr.HTML(f'<p class="fine">{ALONE}</p>')
            parts = {"status": gr.HTML(blank["status"]), "faces": thumbnails.row(name="faces")}
        with gr.Column(elem_classes="compared"):
            parts["agreement"] = gr.HTML(blank["agreement"])
            parts["columns"] = gr.HTML(blank["columns"])
    _connect(photo, ticked, parts, (settings, catalogue, sessions))


def _photo() -> gr.Image:
    return gr.Image(
        label="Photo",
        sources=["upload", "webcam", "clipboard"],
        height=240,
        buttons=[],
        webcam_options=gr.WebcamOptions(mirror=False),
        placeholder="Drop a photo here\nor click to choose one",
        elem_classes="photo",
        alt_text="The photo you chose",
    )


def _connect(
    photo: gr.Image,
    ticked: gr.CheckboxGroup,
    parts: Parts,
    world: tuple[Settings, Catalogue, Sessions],
) -> None:
    """A photo, another face or another choice of models takes a turn; a turn starts a run."""
    settings, catalogue, sessions = world
    begin = _beginner(parts, turn := gr.State(0))
    outputs = list(parts.values())
    queued = {**_LISTEN, "concurrency_limit": settings.readers, "concurrency_id": QUEUE}

    def take(photo: uploads.Upload, request: gr.Request) -> dict[Any, Any]:
        session = sessions.of(request.session_hash)
        names = session.compared.names or catalogue.names
        return begin(session, Compared(uploads.path(photo), names))

    def tick(names: Sequence[str], request: gr.Request) -> dict[Any, Any]:
        session = sessions.of(request.session_hash)
        held = session.compared
        chosen = tuple(name for name in catalogue.names if name in names)
        return begin(session, Compared(held.path, chosen, held.faces, held.picked))

    def pick(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        session = sessions.of(request.session_hash)
        held = session.compared
        index = thumbnails.chosen(event, len(held.faces))
        if index is None:
            return {parts["status"]: gr.skip()}
        return begin(session, Compared(held.path, held.names, held.faces, index))

    def run(turn: int, request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = sessions.of(request.session_hash)
        for shown in comparing.compare(catalogue, session, turn):
            yield _update(parts, shown)
        yield {parts["status"]: gr.skip()}  # Gradio repeats the last value at the end of a run

    photo.change(take, photo, [turn, *outputs], preprocess=False, **_AT_ONCE)
    ticked.input(tick, ticked, [turn, *outputs], **_AT_ONCE)
    parts["faces"].select(pick, None, [turn, *outputs], **_AT_ONCE)
    turn.change(run, turn, outputs, **queued)


def _beginner(parts: Parts, turn: gr.State) -> Callable[[Session, Compared], dict[Any, Any]]:
    """What clears the page for another comparison and gives it a turn."""

    def begin(session: Session, held: Compared) -> dict[Any, Any]:
        session.compared = held
        shown = panel.waiting(held.names) if held.path else panel.blank(held.names)
        if held.faces:
            shown |= {"faces": flow.faces(held.faces, held.picked)}
        return {turn: session.take(comparing.TAB), **_update(parts, shown)}

    return begin


def _update(parts: Parts, shown: flow.Shown) -> dict[Any, str]:
    return {parts[name]: value for name, value in shown.items()}
