"""From the bytes of a file to decoded pixels, with Pillow's own readers, never its registry."""

from collections.abc import Callable
from io import BytesIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ferce.images.colour import to_rgb
from ferce.images.formats import sniff
from ferce.images.headers import HEADERS
from ferce.images.limits import Limits, check_size
from ferce.images.png import still_png
from ferce.images.refusal import Refusal
from ferce.images.tiff import TiffTamer, tiles_are_sound
from ferce.types import Pixels


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """JPEG without the look for a resolution in EXIF, which warns when EXIF is broken."""

    def _read_dpi_from_exif(self) -> None:
        pass


def _open_heic(file: BytesIO) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        advice = "run `pip install pillow-heif` or save it as JPEG"
        raise Refusal(f"is a HEIC photo, which needs pillow-heif; {advice}") from error
    opener: Callable[[BytesIO], Image.Image] = HeifImageFile
    return opener(file)


def _open_avif(file: BytesIO) -> Image.Image:
    if not AvifImagePlugin.SUPPORTED:
        raise Refusal("is an AVIF photo, which this Pillow was built without; save it as JPEG")
    return AvifImagePlugin.AvifImageFile(file)


def _open_png(file: BytesIO) -> Image.Image:
    return PngImagePlugin.PngImageFile(BytesIO(still_png(file.getvalue())))


def _open_tiff(file: BytesIO) -> Image.Image:
    return TiffImagePlugin.TiffImageFile(BytesIO(TiffTamer(file.getvalue()).tamed()))


_OPENERS: dict[str, Callable[[BytesIO], Image.Image]] = {
    "JPEG": _Jpeg,
    "PNG": _open_png,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": _open_tiff,
    "AVIF": _open_avif,
    "HEIC": _open_heic,
}


def from_bytes(data: bytes, limits: Limits) -> Pixels:
    """Decode the content of a file; its size is checked from the header first."""
    kind = sniff(data)
    try:
        size = HEADERS[kind](data) if kind in HEADERS else None
        if size:
            check_size(size, limits)
        image = _OPENERS[kind](BytesIO(data))
    except Refusal:
        raise
    except Exception as error:  # decoders raise a dozen types, struct.error to AssertionError
        raise _undecodable(kind) from error
    return from_image(image, kind, limits)


def from_image(image: Image.Image, kind: str, limits: Limits) -> Pixels:
    """Decode an opened image; `kind` names it in the sentence of a refusal."""
    check_size(image.size, limits)
    if not tiles_are_sound(image, limits.max_pixels):
        raise _undecodable(kind)
    try:
        image.load()
        check_size(image.size, limits)  # HEIC may turn out another size than it said
        return to_rgb(image)
    except Refusal:
        raise
    except Exception as error:  # as above: whatever a decoder meets in a damaged file
        raise _undecodable(kind) from error


def _undecodable(kind: str) -> Refusal:
    return Refusal(
        f"looks like a {kind} but cannot be decoded, because it is cut off, damaged or of an "
        "unusual kind; export or copy it again"
    )
