"""One reading as a card to share: the face, its heat, the likeliest readings, the words."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ferce.core import notice
from ferce.core.parts import Reading
from ferce.core.types import Pixels
from ferce.report.drawing import (
    GREY,
    INK,
    PAPER,
    TRACK,
    Colour,
    draw_bars,
    draw_heatmap,
    draw_regions,
    fit,
    font,
    smooth,
)
from ferce.report.text import headline

_WIDTH, _MARGIN, _SIDE = 1200, 40, 350  # pixels of the card, its edge, and each picture
_BARS = _WIDTH - 2 * _MARGIN - 2 * _SIDE - 2 * 24  # pixels


@dataclass(frozen=True)
class Lines:
    """Words of one size: `letters` a line, `size` and `step` in pixels."""

    letters: int
    size: int
    step: int
    colour: Colour = INK

    def wrap(self, text: str) -> list[str]:
        """Break the words into lines."""
        return textwrap.wrap(text, self.letters)

    def write(self, pen: ImageDraw.ImageDraw, top: int, lines: Sequence[str]) -> int:
        """Write the lines from `top` on; returns where the next thing may begin."""
        for i, line in enumerate(lines):
            pen.text((_MARGIN, top + i * self.step), line, self.colour, font(self.size))
        return top + len(lines) * self.step


_TITLE, _TEXT = Lines(54, 42, 52), Lines(98, 23, 34)
_SMALL = Lines(160, 15, 22, GREY)


def draw(reading: Reading) -> Pixels:
    """Draw a reading as (H, 1200, 3) uint8 RGB.

    Raises:
        ValueError: the reading has no prediction.
    """
    if reading.prediction is None:
        raise ValueError("a picture needs a reading with a prediction; this face was not read")
    title, words = _TITLE.wrap(headline(reading)), _TEXT.wrap(_words(reading))
    small = _SMALL.wrap(f"{_source(reading)} {notice.SHORT}")
    pictures = _pictures(reading)
    top = _MARGIN + _TITLE.step * len(title) + 20
    low = top + pictures.shape[0] + 24
    foot = low + _TEXT.step * len(words) + 24
    image = Image.new("RGB", (_WIDTH, foot + 16 + _SMALL.step * len(small) + _MARGIN // 2), PAPER)
    pen = ImageDraw.Draw(image)
    _TITLE.write(pen, _MARGIN, title)
    image.paste(Image.fromarray(pictures), (_MARGIN, top))
    _TEXT.write(pen, low, words)
    pen.line([(_MARGIN, foot), (_WIDTH - _MARGIN, foot)], TRACK, 2)
    _SMALL.write(pen, foot + 16, small)
    return np.array(image)


def _words(reading: Reading) -> str:
    """Take the explanation, in its repaired form where the face contradicts it."""
    said = reading.revised or reading.explanation
    return said.text.replace("*", "") if said else reading.reason


def _source(reading: Reading) -> str:
    heat = reading.heatmap
    by = f" Heat: what speaks for {heat.label}, by {heat.method}." if heat else ""
    words = " The words are composed from the measured action units."
    composed = reading.explanation is not None and reading.explanation.composed
    return f"Read by ferce.{by}{words if composed else ''}"


def _pictures(reading: Reading) -> Pixels:
    """Set the face, its heat and the bars side by side, (H, 1120, 3)."""
    assert reading.prediction is not None, "only what was read is drawn"
    bars = draw_bars(reading.prediction, _BARS, top=6)
    parts = (fit(reading.face.crop, _SIDE), _heat(reading), bars)
    height = max(part.shape[0] for part in parts)
    canvas = np.full((height, _WIDTH - 2 * _MARGIN, 3), PAPER, np.uint8)
    left = 0
    for part in parts:
        canvas[: part.shape[0], left : left + part.shape[1]] = part
        left += part.shape[1] + 24
    return canvas


def _heat(reading: Reading) -> Pixels:
    crop, heat = fit(reading.face.crop, _SIDE), reading.heatmap
    if heat is None:
        return crop
    words = {name: f"{name} {share:.0%}" for name, share in heat.regions.items()}
    drawn = draw_heatmap(crop, smooth(heat))  # with its scale below the face
    drawn[:_SIDE] = draw_regions(np.ascontiguousarray(drawn[:_SIDE]), reading.face.regions, words)
    return drawn
