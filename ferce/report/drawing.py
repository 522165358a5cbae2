"""Pixels: heat on a face with its scale, region outlines, bars.

Every picture is (H, W, 3) uint8 RGB, new, and depends on nothing but its arguments.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ferce.core.labels import BASICS, alone
from ferce.core.parts import Heatmap, Prediction
from ferce.core.types import Mask, Pixels

Floats = NDArray[np.float32]
Colour = tuple[int, int, int]
INK: Colour = (24, 24, 27)
PAPER: Colour = (255, 255, 255)
TRACK: Colour = (228, 228, 231)
GREY: Colour = (82, 82, 91)
BLUE: Colour = (0, 114, 178)  # Okabe & Ito 2008, a palette for every kind of colour vision
ORANGE: Colour = (230, 159, 0)
EMPTY = "no positive evidence"
_MARGIN = 8  # pixels


@functools.cache
def colours() -> Pixels:
    """Give the colours of heat: Inferno, (256, 3) from dark to bright.

    Perceptually uniform, readable with every kind of colour vision and in grey (S. van der Walt and
    N. Smith, matplotlib 1.5, 2015, CC0).
    """
    import cv2

    ramp = np.arange(256, dtype=np.uint8)[:, None]
    table: Pixels = np.array(cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0, ::-1])
    table.setflags(write=False)
    return table


def encode(picture: Pixels, kind: Literal["PNG", "JPEG", "WEBP"] = "PNG") -> bytes:
    """Encode the picture as the bytes of a file; JPEG and WebP lose a little."""
    file = BytesIO()
    Image.fromarray(picture).save(file, kind, quality=85)
    return file.getvalue()


def fit(picture: Pixels, side: int, *, enlarge: bool = True) -> Pixels:
    """Resize the picture so that its longer side has `side` pixels."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1 and not enlarge:
        return picture.copy()
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Load letters of `size` pixels from the font that Pillow ships (Aileron, CC0)."""
    return ImageFont.load_default(size)


def letter_size(width: int) -> int:
    """Choose letters that stay readable: 1/26 of the width, 9 to 22 pixels."""
    return min(max(width // 26, 9), 22)


def smooth(heatmap: Heatmap) -> Heatmap:
    """Blur a map for the eye, by 3 % of its side; its largest value stays what it was."""
    import cv2

    values = heatmap.values
    blurred = cv2.GaussianBlur(values, (0, 0), 0.03 * len(values))
    scale = float(values.max()) / (float(blurred.max()) or 1.0)
    return replace(heatmap, values=np.asarray(blurred * scale, np.float32))


def draw_heatmap(
    crop: Pixels,
    heatmap: Heatmap,
    opacity: float = 0.7,
    limit: float | None = None,
    *,
    bar: bool = True,
) -> Pixels:
    """Lay the raw heat on a face, with a colour bar below that tells its scale.

    The face turns grey and darker under the heat, so that colour and light mean heat alone.

    Args:
        crop: (S, S, 3), of any size; the map is resized to it.
        heatmap: raw values; an empty map is drawn as such, with the words of `EMPTY`.
        opacity: 0 (the crop as it is) to 1 (the strongest heat hides the face).
        limit: the raw value of the brightest colour, to compare maps; None for the map's maximum.
        bar: whether to add the colour bar.
    """
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity must lie in 0..1; got {opacity}")
    if limit is not None and not limit > 0:
        raise ValueError(f"limit must be above 0, a raw heat value; got {limit}")
    size = crop.shape[0]
    top = float(heatmap.values.max()) if limit is None else limit
    picture = _blend(crop, _resized(heatmap.values, size) / (top or 1.0), opacity)
    if not bar:
        return picture
    words = f"{top:.2g} raw maximum" if limit is None else f"{top:.2g} raw, fixed"
    strip = _empty_bar(size) if heatmap.empty else _colour_bar(size, words, opacity)
    return np.concatenate([picture, strip])


def _resized(values: Floats, size: int) -> Floats:
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))  # mode "F"
    return np.array(image.resize((size, size), Image.Resampling.BILINEAR), np.float32)


def _blend(picture: Pixels, heat: Floats, opacity: float) -> Pixels:
    """Lay heat 0..1 (H, W) on a picture (H, W, 3); values above 1 count as 1."""
    heat = np.clip(heat, 0.0, 1.0)
    pixels = picture.astype(np.float32)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma
    ground = pixels + opacity * (0.6 * grey[..., None] - pixels)
    # The root keeps weak heat visible; zero heat stays fully clear.
    cover = opacity * np.sqrt(heat)[..., None]
    paint = colours()[np.rint(heat * 255).astype(int)]
    blend: Pixels = np.rint(ground + cover * (paint - ground)).astype(np.uint8)
    return blend


def _colour_bar(width: int, words: str, opacity: float) -> Pixels:
    """Draw the colours that a mid-grey face would take, dark 0 to bright; (h, width, 3)."""
    size = letter_size(width)
    grey = np.full((size, width - 2 * _MARGIN, 3), 128, np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 1, grey.shape[1], dtype=np.float32), grey.shape[:2])
    image = Image.new("RGB", (width, 2 * size + 2 * _MARGIN + 4), PAPER)
    image.paste(Image.fromarray(_blend(grey, ramp, opacity)), (_MARGIN, _MARGIN))
    draw, letters, low = ImageDraw.Draw(image), font(size), image.height - _MARGIN + 2
    draw.text((_MARGIN, low), "0", INK, letters, anchor="ls")
    draw.text((width - _MARGIN, low), words, INK, letters, anchor="rs")
    return np.array(image)


def _empty_bar(width: int) -> Pixels:
    size = letter_size(width)
    image = Image.new("RGB", (width, 2 * size + 2 * _MARGIN + 4), PAPER)
    middle = (width / 2, image.height / 2)
    ImageDraw.Draw(image).text(middle, EMPTY, INK, font(size), anchor="mm")
    return np.array(image)


def draw_regions(
    picture: Pixels,
    regions: Mapping[str, Mask],
    words: Mapping[str, str] | None = None,
    strong: str | None = None,
) -> Pixels:
    """Outline regions and name them at the picture's left edge, each tied to its outline by a line.

    Args:
        picture: (S, S, 3), of any size; the masks are resized to it.
        regions: name -> mask.
        words: name -> what to write instead of the name, for example with its share of the heat.
        strong: the one region to draw in orange and thicker.
    """
    size, words = picture.shape[0], words or {}
    masks = {name: _mask(mask, size) for name, mask in regions.items() if mask.any()}
    canvas = picture.copy()
    for name, mask in masks.items():
        _outline(canvas, mask, ORANGE if name == strong else PAPER, 2 if name == strong else 1)
    image = Image.fromarray(canvas)
    _name_regions(image, masks, words)
    return np.array(image)


def _mask(mask: Mask, size: int) -> Mask:
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.array(image.resize((size, size), Image.Resampling.BILINEAR)) > 127


def _grown(mask: Mask) -> Mask:
    """Grow the mask by its four neighbours."""
    wide = np.pad(mask, 1)
    return mask | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]


def _outline(canvas: Pixels, mask: Mask, colour: Colour, width: int) -> None:
    """Draw in place, with a dark line around it so that it shows on light and dark skin."""
    line = mask & ~_shrunk(mask, width)
    canvas[_grown(line) & ~line] = INK
    canvas[line] = colour


def _shrunk(mask: Mask, times: int) -> Mask:
    for _ in range(times):
        mask = ~_grown(~np.pad(mask, 1))[1:-1, 1:-1]
    return mask


def _name_regions(image: Image.Image, masks: Mapping[str, Mask], words: Mapping[str, str]) -> None:
    draw, size = ImageDraw.Draw(image), letter_size(image.width)
    floor = 0.0
    places = {name: _middle(mask) for name, mask in masks.items()}
    for name, (edge, row) in sorted(places.items(), key=lambda item: item[1][1]):
        high = max(row, floor + size)
        floor = high + 2
        text = words.get(name, name)
        end = 4 + draw.textlength(text, font(size)) + 4
        if edge > end:
            draw.line([(end, high), (edge, row)], INK, 3)
            draw.line([(end, high), (edge, row)], PAPER, 1)
        draw.text((4, high), text, PAPER, font(size), "lm", stroke_width=2, stroke_fill=INK)


def _middle(mask: Mask) -> tuple[float, float]:
    """Find (x, y) of the mask's left edge, at its middle row."""
    rows, columns = np.nonzero(mask)
    row = int(np.median(rows))
    here = columns[rows == row]
    return (float(here.min()) if here.size else float(columns.min())), float(row)


def draw_bars(prediction: Prediction, width: int = 480, top: int = 5) -> Pixels:
    """Draw the most probable outcomes and, below a gap, the six components, as bars with figures.

    Outcomes of the 90 % prediction set are marked with a dot.
    """
    marked = set(map(alone, prediction.set))
    rows: list[tuple[str, float, Colour] | None] = [
        (alone(name), value, BLUE) for name, value in prediction.ranked[:top]
    ]
    rows.append(None)
    rows += [(name, prediction.components[name], ORANGE) for name in BASICS]
    size = letter_size(width)
    step = round(1.7 * size)
    image = Image.new("RGB", (width, len(rows) * step + 2 * _MARGIN), PAPER)
    for i, row in enumerate(rows):
        if row is not None:
            dot = row[2] == BLUE and row[0] in marked
            _bar(image, _MARGIN + round((i + 0.5) * step), row, dot=dot)
    return np.array(image)


def _bar(image: Image.Image, middle: int, row: tuple[str, float, Colour], *, dot: bool) -> None:
    name, value, colour = row
    size = letter_size(image.width)
    draw, letters = ImageDraw.Draw(image), font(size)
    start, end = _MARGIN + 12 * size, image.width - _MARGIN - round(2.8 * size)
    low, high = middle - size // 2, middle + size // 2
    draw.text((start - size, middle), name, INK, letters, anchor="rm")
    if dot:
        draw.circle((start - size // 2, middle), size / 6, INK)
    draw.rectangle((start, low, end, high), TRACK)
    if value > 0:
        draw.rectangle((start, low, start + (end - start) * min(value, 1.0), high), colour)
    draw.text((image.width - _MARGIN, middle), f"{value:.0%}", INK, letters, anchor="rm")
