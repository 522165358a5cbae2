"""Films of the example faces, moving before a plain ground, to measure clips and cameras by."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ferce import images
from ferce.core.types import Pixels
from ferce.evaluation.served import ROOT

EXAMPLES = ROOT / "ferce/data/demo/examples"
NAMES = ("smile", "happily_surprised", "sadly_angry")  # one after another
SIZE = (1280, 720)  # of a frame: width and height in pixels
_GROUND = (104, 112, 118)  # red, green, blue
_SHARE = 0.75  # of the frame's height that a photo takes


def frames(count: int, names: Sequence[str] = NAMES, rate: int = 30) -> Iterator[Pixels]:
    """Draw so many frames, (720, 1280, 3) RGB uint8; each photo drifts, comes nearer and goes."""
    from PIL import Image

    photos = [Image.fromarray(images.load(EXAMPLES / f"{name}.jpg")) for name in names]
    for i in range(count):
        phase = 2 * np.pi * i / rate
        side = round(_SHARE * SIZE[1] * (1 + 0.08 * np.sin(phase / 3)))
        left = (SIZE[0] - side) / 2 + 60 * np.sin(phase / 4)
        top = (SIZE[1] - side) / 2 + 15 * np.cos(phase / 2)
        frame = Image.new("RGB", SIZE, _GROUND)
        photo = photos[i * len(photos) // count]
        frame.paste(photo.resize((side, side)), (round(left), round(top)))
        yield np.asarray(frame)


def write(path: Path, seconds: float, rate: int = 30) -> Path:
    """Write a clip of H.264 in MP4, as phones do."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=rate)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for pixels in frames(round(seconds * rate), rate=rate):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))
    return path


def write_camera(path: Path, count: int = 90) -> Path:
    """Write JPEG pictures one behind another (.mjpeg), which Chromium's fake camera shows."""
    with path.open("wb") as file:
        for pixels in frames(count, NAMES[:1]):
            file.write(jpeg(pixels))
    return path


def jpeg(pixels: Pixels, width: int = SIZE[0]) -> bytes:
    """Encode a frame, made so many pixels wide."""
    from PIL import Image

    picture, file = Image.fromarray(pixels), io.BytesIO()
    small = picture.resize((width, round(picture.height * width / picture.width)))
    small.save(file, "JPEG", quality=85)
    return file.getvalue()
