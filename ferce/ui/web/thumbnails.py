"""A row of pictures to choose from: the faces of a photograph, the examples."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from ferce.ui.web import markup

# Buttons, so that they are reached and pressed with the keyboard; the press is told to Python.
_PRESSED = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('select', {index: Number(button.dataset.index)});
});
"""


@dataclass(frozen=True)
class Thumbnail:
    """One picture of the row: `source` is a data URI, `words` say what it shows."""

    source: str
    words: str
    caption: str = ""


def row(value: str = "", name: str = "") -> gr.HTML:
    """The component; its `select` event carries `index`."""
    return gr.HTML(value, js_on_load=_PRESSED, elem_classes=["thumbnails", name])


def draw(title: str, pictures: Sequence[Thumbnail], picked: int | None = None) -> str:
    """The row as HTML; nothing for no pictures."""
    if not pictures:
        return ""
    buttons = "".join(_button(i, picture, picked) for i, picture in enumerate(pictures))
    return f'<h3>{title}</h3><div class="row" role="group" aria-label="{title}">{buttons}</div>'


def _button(index: int, picture: Thumbnail, picked: int | None) -> str:
    pressed = "" if picked is None else f' aria-pressed="{str(index == picked).lower()}"'
    caption = f"<span>{markup.text(picture.caption)}</span>" if picture.caption else ""
    words = markup.text(picture.words)
    return (
        f'<button type="button" data-index="{index}"{pressed} title="{words}">'
        f'<img src="{picture.source}" alt="{words}" width="56" height="56">{caption}</button>'
    )


def chosen(event: gr.EventData, count: int) -> int | None:
    """The index that was pressed, or None when the page sent something else."""
    index = getattr(event, "index", None) if isinstance(event._data, dict) else None
    return index if isinstance(index, int) and 0 <= index < count else None
