"""Clips whose content is known: demo faces one after another, a photo that moves and zooms."""

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

DEMO = Path(__file__).parents[2] / "ferce" / "data" / "demo"


def write(
    path: Path,
    frames: Iterable[np.ndarray],
    rate: int = 20,
    codec: str = "mpeg4",
    container: dict[str, str] | None = None,
    **look: Any,
) -> Path:
    """Encode (H, W, 3) frames of 8 or 16 bits; the suffix chooses the container.

    `container` holds options of the muxer. `look` sets the codec's tags, such as `colorspace`, by
    which the colours are coded, and `times`, milliseconds of each frame.
    """
    import av

    times = look.pop("times", None)
    form = "mpegts" if path.suffix in (".mts", ".m2ts") else None
    with av.open(str(path), "w", format=form, options=container or {}) as file:
        stream = None
        for i, pixels in enumerate(frames):
            if stream is None:
                stream = file.add_stream(codec, rate=Fraction(rate))
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
                _set(stream.codec_context, look)
            frame = _coded(pixels, stream, look.get("colorspace"))
            if times is not None:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        if stream is not None:
            file.mux(stream.encode(None))
    return path


def _set(codec: Any, look: dict[str, Any]) -> None:
    for name, value in look.items():
        setattr(codec, name, value)


def _coded(pixels: np.ndarray, stream: Any, space: int | None) -> Any:
    import av

    name = "rgb48le" if pixels.dtype == np.uint16 else "rgb24"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=name)
    return frame.reformat(format=stream.pix_fmt, dst_colorspace=space) if space else frame


def behind_cover(path: Path, frames: Iterable[np.ndarray], rate: int = 20) -> Path:
    """Encode a black picture as the first stream and the frames as the second."""
    import av

    with av.open(str(path), "w") as file:
        cover, clip = file.add_stream("mjpeg", rate=1), file.add_stream("mpeg4", rate=rate)
        cover.pix_fmt, clip.pix_fmt, clip.bit_rate = "yuvj420p", "yuv420p", 4_000_000
        pairs = ((cover, [np.zeros((32, 32, 3), np.uint8)]), (clip, list(frames)))
        for stream, pictures in pairs:
            stream.height, stream.width = pictures[0].shape[:2]
        for stream, pictures in pairs:
            for pixels in pictures:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    return path


def of_sizes(path: Path, parts: Iterable[list[np.ndarray]]) -> Path:
    """Encode the frames of each part (VP8), which may have another size, as one stream."""
    import av

    with av.open(str(path), "w", format="webm") as file:
        stream, time = None, 0
        for frames in parts:
            codec: Any = av.CodecContext.create("libvpx", "w")
            codec.height, codec.width = frames[0].shape[:2]
            codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, 20)
            if stream is None:
                stream = file.add_stream("libvpx", rate=20)
                stream.height, stream.width, stream.pix_fmt = codec.height, codec.width, "yuv420p"
            for pixels in [*frames, None]:
                frame = None if pixels is None else av.VideoFrame.from_ndarray(pixels, "rgb24")
                if frame is not None:
                    frame.pts, frame.time_base, time = time, Fraction(1, 20), time + 1
                for packet in codec.encode(frame):
                    packet.stream, packet.time_base = stream, Fraction(1, 20)
                    file.mux(packet)
    return path


def shown(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Have the players of an MP4 show its place (x, y) at (a x + c y, b x + d y).

    Writes the matrix of the track header (ISO/IEC 14496-12, 8.3.2).
    """
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    matrix = [value << 16 for value in (a, b, 0, c, d, 0, 0, 0)]
    data[at : at + 36] = struct.pack(">9i", *matrix, 1 << 30)
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
