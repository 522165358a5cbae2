"""Small pieces of HTML that the panels are made of; whatever comes from outside is escaped."""

import base64
import html
import io
import re

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, components

# Each basic emotion has one colour in the style sheet (`--happy` and so on), told apart without
# red-green vision; the name always stands beside it.
_SIDE = 96  # pixels, twice the size at which a thumbnail is shown


def text(value: object) -> str:
    """Escaped for HTML and for the template language of `gr.HTML`, which knows {{ }} and ${ }."""
    return (
        html.escape(str(value)).replace("{", "&#123;").replace("$", "&#36;").replace("`", "&#96;")
    )


def prose(value: str) -> str:
    """Escaped, with *starred words* in bold."""
    return re.sub(r"\*([^*\n]+)\*", r"<em>\1</em>", text(value))


def percent(value: float) -> str:
    """As 46 %; as <1 % what is there but rounds to nothing."""
    return "&lt;1 %" if 0 < value < 0.005 else f"{value:.0%}".replace("%", "&thinsp;%")


def bar(label: str, value: float, classes: str = "") -> str:
    """One row of a bar list: name, bar and number; `label` is HTML."""
    width = 100 * min(max(value, 0.0), 1.0)
    return (
        f'<li class="bar {classes}"><span class="bar-name">{label}</span>'
        '<span class="bar-track" aria-hidden="true">'
        f'<span style="width:{width:.1f}%"></span></span>'
        f'<span class="bar-value">{percent(value)}</span></li>'
    )


def dots(label: str) -> str:
    """The components of a label as coloured dots; decoration, since the name says the same."""
    marks = (f'<i class="dot {basic}"></i>' for basic in components(label) if basic in BASICS)
    return f'<span class="dots" aria-hidden="true">{"".join(marks)}</span>'


def picture(pixels: NDArray[np.uint8], kind: str = "webp") -> str:
    """A data URI of (H, W, 3) RGB or (H, W, 4) RGBA pixels, so that no file is ever written."""
    from PIL import Image

    buffer = io.BytesIO()
    options = {"quality": 88, "method": 2} if kind == "webp" else {}
    Image.fromarray(pixels).save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """A square data URI of the middle of a picture, 96 pixels wide."""
    from PIL import Image, ImageOps

    small = ImageOps.fit(Image.fromarray(pixels), (_SIDE, _SIDE))
    return picture(np.asarray(small))


def panel(title: str, body: str, state: str = "") -> str:
    """A titled card; `state` is a class such as "waiting"."""
    return (
        f'<section class="card {state}">{heading(title)}<div class="panel-body">{body}</div>'
        "</section>"
    )


def heading(title: str) -> str:
    """The title of a panel, for panels that are put together from several components."""
    return f"<header><h2>{title}</h2></header>"


def ghost(lines: int, figure: bool = False) -> str:
    """Grey lines in the place of what will come."""
    widths = (92, 78, 85, 64, 72, 55)
    rows = "".join(f'<i style="width:{widths[i % len(widths)]}%"></i>' for i in range(lines))
    square = '<i class="ghost-figure"></i>' if figure else ""
    return f'<div class="ghost" aria-hidden="true">{square}{rows}</div>'


def empty(words: str) -> str:
    """What a panel says before it has anything to show."""
    return f'<div class="empty"><p>{words}</p></div>'


def waiting(body: str) -> str:
    """Ghosts that breathe, in a panel put together from several components."""
    return f'<div class="waiting">{body}</div>'


def option(value: str, words: str, selected: bool = False) -> str:
    """One entry of a native list of choices."""
    chosen = " selected" if selected else ""
    return f'<option value="{text(value)}"{chosen}>{text(words)}</option>'
