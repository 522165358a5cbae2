"""Clips whose content is known: demo faces one after another, a photo that moves and zooms."""

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

DEMO = Path(__file__).parents[2] / "ferce" / "data" / "demo"


def write(path: Path, frames: Iterable[np.ndarray], rate: int = 20, codec: str = "mpeg4") -> Path:
    """Encode (H, W, 3) uint8 frames; the suffix chooses the container."""
    import av

    with av.open(str(path), "w") as container:
        stream = None
        for pixels in frames:
            if stream is None:
                stream = container.add_stream(codec, rate=Fraction(rate))
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
    return path


def turned(path: Path, clockwise: bool) -> Path:
    """Have the players of an MP4 turn it by 90 degrees, as a phone held upright does.

    Writes the matrix of the track header (ISO/IEC 14496-12, 8.3.2).
    """
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    one = (1 if clockwise else -1) << 16
    matrix = (0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


def moved(photo: np.ndarray, count: int, step: int = 4, zoom: float = 0.01) -> list[np.ndarray]:
    """The photo sliding to the left and growing, `count` frames of its size."""
    import cv2

    height, width = photo.shape[:2]
    frames = []
    for i in range(count):
        scale = 1 + zoom * i
        matrix = np.array([[scale, 0, -step * i], [0, scale, 0]], np.float64)
        frames.append(cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REFLECT))
    return frames


def faded(first: np.ndarray, last: np.ndarray, hold: int, fade: int) -> list[np.ndarray]:
    """`hold` frames of one photo, `fade` in between, `hold` of the other."""
    mix = [*[0.0] * hold, *np.linspace(0, 1, fade + 2)[1:-1], *[1.0] * hold]
    return [np.rint((1 - m) * first + m * last).astype(np.uint8) for m in mix]


def demo(name: str) -> np.ndarray:
    """A picture of the demo set by its path."""
    from ferce import images

    return images.load(DEMO / name)
