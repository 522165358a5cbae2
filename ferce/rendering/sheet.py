"""Contact sheets: many pictures on one page, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

Image = NDArray[np.uint8]
CAPTION = 14  # pixels of the line under a picture


def draw_sheet(images: Sequence[Image], captions: Sequence[str], columns: int, size: int) -> Image:
    """Pictures in rows, each `size` pixels wide with its caption below."""
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (size + CAPTION), columns * size, 3), 255, np.uint8)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        y, x = (i // columns) * (size + CAPTION), (i % columns) * size
        way = cv2.INTER_AREA if len(image) > size else cv2.INTER_CUBIC
        sheet[y : y + size, x : x + size] = cv2.resize(image, (size, size), interpolation=way)
        spot = (x + 3, y + size + CAPTION - 4)
        cv2.putText(
            sheet, caption, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.34, (20, 20, 20), 1, cv2.LINE_AA
        )
    return sheet


def sheet_of(
    folder: Path, lines: Sequence[dict[str, Any]], columns: int = 8, size: int = 224
) -> Image:
    """The sheet of some lines of a data set's metadata."""
    images = [
        np.asarray(PILImage.open(folder / line["file_name"]).convert("RGB")) for line in lines
    ]
    return draw_sheet(images, [caption(line) for line in lines], columns, size)


def caption(line: dict[str, Any]) -> str:
    """Expression and action units with their sides: "sadly angry 4 L15"."""
    units = []
    for unit in line["action_units"]:
        side = "" if unit["left"] and unit["right"] else "L" if unit["left"] else "R"
        units.append(f"{side}{unit['unit']}")
    return f"{line['expression'] or line['kind']} {' '.join(units)}"
