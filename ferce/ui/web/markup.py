"""Small pieces of HTML that the panels are made of; whatever comes from outside is escaped."""

import base64
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, components
from ferce.core.types import Face, Pixels
from ferce.report.face import escape

Update = dict[str, Any]  # part of a tab -> its new HTML; parts that are not named stay as they are

# Each basic emotion has one colour in the style sheet (`--happy` and so on), told apart without
# red-green vision; the name always stands beside it.
_GROUP = 680  # pixels of a group photo on the page, at most
_SIDE = 96  # pixels, twice the size at which a thumbnail is shown


def text(value: object) -> str:
    """Escape for HTML and for the template language of `gr.HTML`, which knows {{ }} and ${ }."""
    return escape(str(value)).replace("{", "&#123;").replace("$", "&#36;").replace("`", "&#96;")


def prose(value: str) -> str:
    """Escape, with *starred words* in bold."""
    return re.sub(r"\*([^*\n]+)\*", r"<em>\1</em>", text(value))


def percent(value: float) -> str:
    """Write a share as 46 %, and as <1 % what is there but rounds to nothing."""
    return "&lt;1 %" if 0 < value < 0.005 else f"{value:.0%}".replace("%", "&thinsp;%")


def bar(label: str, value: float, classes: str = "") -> str:
    """Draw one row of a bar list: name, bar and number; `label` is HTML."""
    width = 100 * min(max(value, 0.0), 1.0)
    return (
        f'<li class="bar {classes}"><span class="bar-name">{label}</span>'
        '<span class="bar-track" aria-hidden="true">'
        f'<span style="width:{width:.1f}%"></span></span>'
        f'<span class="bar-value">{percent(value)}</span></li>'
    )


def bars(rows: Iterable[str], classes: str = "", label: str = "") -> str:
    """Join rows of `bar` to a list; `label` names it to screen readers."""
    aloud = f' aria-label="{label}"' if label else ""
    return f'<ul class="{f"bars {classes}".strip()}"{aloud}>{"".join(rows)}</ul>'


def dots(label: str) -> str:
    """Draw the components of a label as coloured dots, beside its name, which says the same."""
    marks = (f'<i class="dot {basic}"></i>' for basic in components(label) if basic in BASICS)
    return f'<span class="dots" aria-hidden="true">{"".join(marks)}</span>'


def picture(pixels: NDArray[np.uint8], kind: str = "webp") -> str:
    """Encode (H, W, 3) RGB or (H, W, 4) RGBA pixels as a data URI, so that no file is written."""
    from PIL import Image

    buffer = io.BytesIO()
    options = {"quality": 88, "method": 2} if kind == "webp" else {}
    Image.fromarray(pixels).save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Encode the middle of a picture as a square data URI, 96 pixels wide."""
    from PIL import Image, ImageOps

    small = ImageOps.fit(Image.fromarray(pixels), (_SIDE, _SIDE))
    return picture(np.asarray(small))


def panel(title: str, body: str, state: str = "") -> str:
    """Draw a titled card; `state` is a class such as "waiting"."""
    return (
        f'<section class="card {state}">{heading(title)}<div class="panel-body">{body}</div>'
        "</section>"
    )


def heading(title: str) -> str:
    """Draw the title of a panel, for panels that are put together from several components."""
    return f"<header><h2>{title}</h2></header>"


def ghost(lines: int, figure: bool = False) -> str:
    """Draw grey lines in the place of what will come."""
    widths = (92, 78, 85, 64, 72, 55)
    rows = "".join(f'<i style="width:{widths[i % len(widths)]}%"></i>' for i in range(lines))
    square = '<i class="ghost-figure"></i>' if figure else ""
    return f'<div class="ghost" aria-hidden="true">{square}{rows}</div>'


def empty(words: str) -> str:
    """Say what a panel is for, before it has anything to show."""
    return f'<div class="empty"><p>{words}</p></div>'


def waiting(body: str) -> str:
    """Let ghosts breathe, in a panel put together from several components."""
    return f'<div class="waiting">{body}</div>'


def option(value: str, words: str, selected: bool = False) -> str:
    """Draw one entry of a native list of choices."""
    chosen = " selected" if selected else ""
    return f'<option value="{text(value)}"{chosen}>{text(words)}</option>'


def status(words: str, kind: str = "") -> str:
    """Draw the status line; `kind` is "", "busy" or "sorry", `words` are HTML."""
    return f'<p class="status {kind}">{words}</p>'


def trouble(words: str) -> str:
    """Draw a sentence on what went wrong, read aloud when it appears; plain text."""
    return f'<p class="trouble" role="status">{text(words)}</p>'


def download(name: str, words: str, media: str, content: bytes) -> str:
    """Draw a link that holds the file it saves as `name`, so that nothing is stored."""
    data = base64.b64encode(content).decode()
    return (
        f'<a class="download" download="{text(name)}" href="data:{media};base64,{data}">{words}</a>'
    )


def printing() -> str:
    """Draw a button that prints the report (HTML) beside it, which also saves it as PDF."""
    return '<button type="button" class="download" data-print>Print or save as PDF</button>'


@dataclass(frozen=True)
class Thumbnail:
    """A picture to choose: `source` is a data URI, `words` say what it shows."""

    source: str
    words: str
    number: int | None = None  # drawn on it


def thumbnails(title: str, pictures: Sequence[Thumbnail], picked: int | None = None) -> str:
    """Draw a row of pictures to choose from; nothing for no pictures."""
    if not pictures:
        return ""
    buttons = "".join(_button(i, picture, picked) for i, picture in enumerate(pictures))
    row = f'<div class="row" role="group" aria-label="{title}">{buttons}</div>'
    return f'<h2 class="small">{title}</h2>{row}'


def _button(index: int, picture: Thumbnail, picked: int | None) -> str:
    pressed = "" if picked is None else f' aria-pressed="{str(index == picked).lower()}"'
    words = text(picture.words)
    number = f'<span aria-hidden="true">{picture.number}</span>' if picture.number else ""
    return (
        f'<button type="button" data-index="{index}"{pressed} title="{words}">'
        f'<img src="{picture.source}" alt="{words}" width="56" height="56">{number}</button>'
    )


def faces(faces: Sequence[Face], picked: int, photo: Pixels | None = None) -> str:
    """Draw the faces of a photo to choose from; nothing where there is no choice.

    Args:
        faces: all of them, numbered from 1.
        picked: index of the one on the page.
        photo: on which their numbers are drawn as well.
    """
    if len(faces) < 2:
        return ""
    pictures = [_face(i, face, len(faces)) for i, face in enumerate(faces)]
    row = thumbnails("Faces in this photo", pictures, picked)
    return row if photo is None else row + _group(faces, picked, photo)


def _group(faces: Sequence[Face], picked: int, photo: Pixels) -> str:
    """Draw the photo with a numbered box around each face; a box can be pressed, too."""
    from PIL import Image, ImageOps

    height, width = photo.shape[:2]
    small = picture(np.asarray(ImageOps.contain(Image.fromarray(photo), (_GROUP, _GROUP))))
    letter = max(height, width) / 16
    boxes = "".join(
        f'<g data-index="{i}" class="{"picked" if i == picked else ""}"><rect x="{x0:.0f}" '
        f'y="{y0:.0f}" width="{x1 - x0:.0f}" height="{y1 - y0:.0f}"/>'
        f'<text x="{x0:.0f}" y="{max(y0, letter):.0f}" font-size="{letter:.0f}">{i + 1}</text></g>'
        for i, (x0, y0, x1, y1) in enumerate(face.box for face in faces)
    )
    return (
        f'<div class="group"><img src="{small}" alt="The photo with its faces numbered">'
        f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{boxes}</svg></div>'
    )


def _face(index: int, face: Face, count: int) -> Thumbnail:
    words = f"Face {index + 1} of {count}" + (f": {face.problem}" if face.problem else "")
    return Thumbnail(thumbnail(face.crop), words, index + 1)
