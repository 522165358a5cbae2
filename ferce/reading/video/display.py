"""Show a decoded frame as a player does: turned, mirrored, with square pixels, in true colours.

The display matrix is read itself: PyAV's `rotation` gives -180 for a picture that is mirrored.
"""

import math
import struct
from typing import Any

import numpy as np

from ferce.core.types import Pixels
from ferce.images.colour import to_srgb

_UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED
_HD = (1280, 576)  # players take untagged frames that are wider or higher for BT.709, not BT.601


def shown_size(frame: Any, aspect: float) -> tuple[int, int]:
    """Compute (width, height) as shown; `aspect` is the width of a stored pixel by its height."""
    width = round(frame.width * max(aspect, 1.0))
    height = round(frame.height * max(1 / aspect, 1.0))
    return (height, width) if _turns(frame)[0] % 2 else (width, height)


def to_pixels(frame: Any, shown: tuple[int, int], side: int) -> Pixels:
    """Convert to (H, W, 3) RGB as shown at (width, height), the longer side at most `side`."""
    turns, mirrored = _turns(frame)
    scale = min(side / max(shown), 1.0)
    width, height = [max(round(edge * scale), 1) for edge in shown[:: -1 if turns % 2 else 1]]
    space = {"src_colorspace": 1} if _is_untagged_hd(frame) else {}  # 1 is BT.709
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height, **space)
    pixels = to_srgb(pixels, frame.color_primaries, frame.color_trc)
    return np.ascontiguousarray(np.rot90(pixels[:, ::-1] if mirrored else pixels, -turns))


def _is_untagged_hd(frame: Any) -> bool:
    large = frame.width >= _HD[0] or frame.height > _HD[1]
    return bool(frame.colorspace == _UNTAGGED and large)


def _turns(frame: Any) -> tuple[int, bool]:
    """Read (quarter turns clockwise, whether it is mirrored before) from the display matrix.

    A stored place (x, y) is shown at (a x + c y, b x + d y); ISO/IEC 14496-12, 8.3.2.
    """
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return 0, False
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    mirrored = a * d - b * c < 0
    angle = math.atan2(-b if mirrored else b, -a if mirrored else a)
    return round(angle / (math.pi / 2)) % 4, mirrored
