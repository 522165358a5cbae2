"""One reading as one picture: the face with its heat, the most probable classes, the sentence."""

import textwrap

import numpy as np
from PIL import Image, ImageDraw

from ferce.core import notice
from ferce.core.types import Pixels, Reading
from ferce.report.drawing import GREY, INK, PAPER, draw_bars, draw_heatmap, draw_regions, fit, font
from ferce.report.text import headline

_SIDE = 480  # pixels of the face, and of the bars beside it
_MARGIN = 24
_LINE = 30  # pixels from one line of text to the next
_LETTERS, _SMALL = 22, 13  # pixels
_WIDE, _FINE = 80, 140  # letters a line of the headline and of the notice


def draw(reading: Reading) -> Pixels:
    """Draw a reading as (H, 1032, 3) uint8 RGB.

    Raises:
        ValueError: the reading has no prediction.
    """
    if reading.prediction is None:
        raise ValueError("a picture needs a reading with a prediction; this face was not read")
    figure, bars = _face(reading), draw_bars(reading.prediction, _SIDE, top=8)
    words = textwrap.wrap(headline(reading), _WIDE)
    small = textwrap.wrap(notice.SHORT, _FINE)
    top = _MARGIN + _LINE * len(words) + _MARGIN // 2
    low = top + max(figure.shape[0], bars.shape[0]) + _MARGIN
    size = (2 * _SIDE + 3 * _MARGIN, low + (_SMALL + 6) * len(small) + _MARGIN)
    image = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(image)
    for i, line in enumerate(words):
        pen.text((_MARGIN, _MARGIN + i * _LINE), line, INK, font(_LETTERS))
    image.paste(Image.fromarray(figure), (_MARGIN, top))
    image.paste(Image.fromarray(bars), (_SIDE + 2 * _MARGIN, top))
    for i, line in enumerate(small):
        pen.text((_MARGIN, low + i * (_SMALL + 6)), line, GREY, font(_SMALL))
    return np.array(image)


def _face(reading: Reading) -> Pixels:
    crop, heat = fit(reading.face.crop, _SIDE), reading.heatmap
    if heat is None:
        return crop
    words = {name: f"{name} {share:.0%}" for name, share in heat.regions.items()}
    drawn = draw_heatmap(crop, heat)  # with its scale below the face
    drawn[:_SIDE] = draw_regions(np.ascontiguousarray(drawn[:_SIDE]), reading.face.regions, words)
    return drawn
