"""What every drawing shares: colours, the font, fitting a picture to a size, bytes of a file."""

import functools
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image, ImageFont

from ferce.types import Pixels

Colour = tuple[int, int, int]
INK: Colour = (24, 24, 27)
PAPER: Colour = (255, 255, 255)
TRACK: Colour = (228, 228, 231)
GREY: Colour = (82, 82, 91)
BLUE: Colour = (0, 114, 178)  # Okabe & Ito 2008, a palette for every kind of colour vision
ORANGE: Colour = (230, 159, 0)


@functools.cache
def colours() -> Pixels:
    """Inferno, (256, 3) from dark to bright.

    Perceptually uniform, readable with every kind of colour vision and in grey (S. van der Walt and
    N. Smith, matplotlib 1.5, 2015, CC0).
    """
    import cv2

    ramp = np.arange(256, dtype=np.uint8)[:, None]
    table: Pixels = np.array(cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0, ::-1])
    table.setflags(write=False)
    return table


def encode(picture: Pixels, kind: Literal["PNG", "JPEG", "WEBP"] = "PNG") -> bytes:
    """The picture as the bytes of a file; JPEG and WebP lose a little."""
    file = BytesIO()
    Image.fromarray(picture).save(file, kind, quality=85)
    return file.getvalue()


def fit(picture: Pixels, side: int, *, enlarge: bool = True) -> Pixels:
    """The picture with its longer side brought to `side` pixels."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1 and not enlarge:
        return picture.copy()
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Letters of `size` pixels, from the font that Pillow ships (Aileron, CC0)."""
    return ImageFont.load_default(size)


def letter_size(width: int) -> int:
    """Letters that stay readable: 1/26 of the width, 9 to 22 pixels."""
    return min(max(width // 26, 9), 22)
