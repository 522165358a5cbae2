"""The frames of a clip, decoded one by one; what cannot be read is refused in one sentence.

The content decides the format, never the suffix. The file is opened by us and handed to FFmpeg with
the format already known and no protocol allowed, so that a playlist cannot make it read other files
or the network.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Self

from ferce.core.types import Pixels
from ferce.images.refusal import printable
from ferce.reading.video.display import shown_size, to_pixels

SIDE = 1280  # pixels; larger frames are made smaller before faces are looked for
_HEAD = 512  # bytes that tell the format

# FFmpeg's name of the format, where its mark stands, and the mark.
_MARKS: tuple[tuple[str, int, bytes], ...] = (
    *(("mov", 4, kind) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    ("matroska", 0, b"\x1a\x45\xdf\xa3"),
    ("avi", 8, b"AVI "),
    ("ogg", 0, b"OggS"),
    ("gif", 0, b"GIF8"),
    ("mpeg", 0, b"\x00\x00\x01\xba"),
    ("asf", 0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("flv", 0, b"FLV\x01"),
)
# Where a transport stream's packets begin and how long they are: plain, a camcorder's (AVCHD, with
# a time before each), with check bytes behind each.
_PACKETS = ((0, 188), (4, 192), (0, 204))
# Brands of ISO files that are photos: HEIC, AVIF and Canon's raw files.
_PHOTO_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx ")


class VideoError(ValueError):
    """An error for a clip that cannot be read; one sentence on why and what to do."""


@dataclass(frozen=True)
class Limits:
    """Limits of a clip: seconds, and pixels of one frame (width times height)."""

    seconds: float = 600.0
    pixels: int = 4096 * 2304

    def __post_init__(self) -> None:
        if not self.seconds > 0 or self.pixels < 1:
            raise ValueError(f"limits of a clip must be above 0; got {self}")


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: its number in the clip from 0, its time in seconds, (H, W, 3) RGB pixels.

    `scale` is how many pixels of the clip one of these is wide.
    """

    number: int
    seconds: float
    pixels: Pixels
    scale: float = 1.0


@dataclass(eq=False)
class Clip:
    """An open clip; a context manager.

    Attributes:
        name: how messages call it.
        size: (width, height) of its frames as players show them, before they are made smaller.
        duration: in seconds.
        rate: frames a second; None where the file does not tell.
        unreadable: frames that could not be decoded so far.
    """

    name: str
    size: tuple[int, int]
    duration: float
    rate: float | None
    limits: Limits
    _file: BinaryIO = field(repr=False)
    _stream: Any = field(repr=False)
    unreadable: int = 0

    def __post_init__(self) -> None:
        self._aspect = float(self._stream.sample_aspect_ratio or 1)
        decoded = self._decoded()
        first = tuple(islice(decoded, 1))  # tells how players turn the frames
        self.size = shown_size(first[0], self._aspect) if first else self.size
        self._frames = chain(first, decoded)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.container.close()
        self._file.close()

    def frames(
        self, rate: float | None = None, side: int = SIDE, numbers: Collection[int] | None = None
    ) -> Iterator[Frame]:
        """Decode the frames in order; at most `rate` a second, their longer side `side`.

        With `numbers` only those of these numbers are given, and nothing after them is decoded.

        Raises:
            VideoError: the clip goes on beyond the limits, or none of its frames can be decoded.
        """
        number, due = -1, 0.0
        for number, decoded in enumerate(self._frames):
            seconds = self._time(decoded, number)
            if seconds > self.limits.seconds + 1:
                raise VideoError(_too_long(self.name, seconds, self.limits))
            if rate is None or seconds >= due - 1e-3:
                due = max(due, seconds) + (1 / rate if rate else 0.0)
                if numbers is None or number in numbers:
                    yield self._frame(decoded, number, seconds, side)
            if numbers is not None and number >= max(numbers):
                return
        if number < 0 and self.unreadable:
            raise VideoError(
                f"{self.name}: none of its frames can be decoded, as it is cut off, damaged or of "
                "an unusual kind; copy it or save it again as MP4."
            )

    def _frame(self, decoded: Any, number: int, seconds: float, side: int) -> Frame:
        if decoded.width * decoded.height > self.limits.pixels:
            raise VideoError(
                f"{self.name} changes to frames of {decoded.width} x {decoded.height} pixels, more "
                "than are read. Make it smaller."
            )
        shown = self._shown(decoded)
        pixels = to_pixels(decoded, shown, side)
        return Frame(number, seconds, pixels, max(shown) / max(pixels.shape[:2]))

    def _shown(self, decoded: Any) -> tuple[int, int]:
        """Compute (width, height) as shown: that of the clip where only the resolution changes.

        Calls over the network are recorded so; players show all frames at one size.
        """
        width, height = shown_size(decoded, self._aspect)
        alike = abs(width * self.size[1] - height * self.size[0]) < 0.03 * width * self.size[1]
        return self.size if alike else (width, height)

    def _decoded(self) -> Iterator[Any]:
        import av

        for packet in _packets(self._stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self.unreadable += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.unreadable += 1
                else:
                    yield frame

    def _time(self, decoded: Any, number: int) -> float:
        """Compute the seconds since the clip's start; by its number where the frame has none."""
        if decoded.time is None:
            return number / (self.rate or 25.0)
        start, base = self._stream.start_time or 0, self._stream.time_base or 0
        return max(float(decoded.time - start * base), 0.0)


def _packets(stream: Any) -> Iterator[Any]:
    """Read packets until the end of the file, or of what is left of it."""
    import av

    packets = stream.container.demux(stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.error.FFmpegError):
            return


def is_video(path: Path) -> bool:
    """Tell whether a file begins as a video does; an animated GIF is taken for a photo."""
    try:
        with path.open("rb") as file:
            return _format(file.read(_HEAD)) not in (None, "gif")
    except OSError:
        return False


def open_clip(path: str | Path, limits: Limits | None = None, name: str | None = None) -> Clip:
    """Open the clip at a path, with its first frame decoded.

    Raises:
        VideoError: it is no video, has no pictures, or is longer or larger than the limits allow.
    """
    path, limits = Path(path), limits or Limits()
    name = printable(name or path.name)
    try:
        file = path.open("rb")
    except OSError as error:
        raise VideoError(f"{name} cannot be opened ({error.strerror}); check the path.") from error
    try:
        return _opened(file, name, limits)
    except BaseException:
        file.close()
        raise


def _opened(file: BinaryIO, name: str, limits: Limits) -> Clip:
    import av

    kind = _format(file.read(_HEAD))
    file.seek(0)
    if kind is None:
        raise VideoError(f"{name} is no video that can be read; save it as MP4, WebM, MOV or AVI.")
    try:
        container = av.open(file, format=kind, options={"protocol_whitelist": "none"})
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(f"{name} is damaged or cut off; save it again as MP4.") from error
    try:
        return _measured(container, file, name, limits)
    except BaseException:
        container.close()
        raise


def _measured(container: Any, file: BinaryIO, name: str, limits: Limits) -> Clip:
    from av.stream import Disposition

    stream = container.streams.best("video")  # not a cover picture where there is a moving one
    if stream is None or stream.disposition & Disposition.attached_pic:
        raise VideoError(f"{name} holds no pictures, only sound; choose a video.")
    if stream.codec_context is None:  # of a codec that PyAV does not know
        raise VideoError(f"{name} is coded in a way that is not known; save it as MP4.")
    stream.thread_type = "AUTO"
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.pixels:
        raise VideoError(
            f"{name} has frames of {width} x {height} pixels; at most "
            f"{limits.pixels / 1e6:.1f} million are read. Make it smaller."
        )
    duration = _duration(container, stream)
    if duration > limits.seconds:
        raise VideoError(_too_long(name, duration, limits))
    rate = float(stream.average_rate) if stream.average_rate else None
    return Clip(name, (width, height), duration, rate, limits, file, stream)


def _duration(container: Any, stream: Any) -> float:
    """Read the duration; where the file has none (a browser's recording), of the last packet."""
    import av

    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return float(container.duration) / av.time_base
    times = [
        packet.pts + (packet.duration or 0) for packet in _packets(stream) if packet.pts is not None
    ]
    container.seek(0)
    first = stream.start_time or 0
    return float((max(times) - first) * stream.time_base) if times else 0.0


def _too_long(name: str, seconds: float, limits: Limits) -> str:
    return (
        f"{name} lasts {spoken(seconds)}; at most {spoken(limits.seconds)} are read. "
        "Cut out the part that matters."
    )


def spoken(seconds: float) -> str:
    """Write seconds as "48 s" or "3 min 20 s"."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def _format(head: bytes) -> str | None:
    """Find FFmpeg's name of the format that begins so; None for what is no video."""
    if head[4:8] == b"ftyp" and head[8:12] in _PHOTO_BRANDS:
        return None
    for at, step in _PACKETS:
        if head[at : at + 2 * step + 1 : step] == b"\x47" * 3:
            return "mpegts"
    return next((name for name, at, mark in _MARKS if head[at : at + len(mark)] == mark), None)
