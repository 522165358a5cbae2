"""Limits, formats and error messages: why a photo is refused, as one sentence."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Limits:
    """Limits on a photo, checked before its pixels are decoded."""

    max_bytes: int = 40 * 2**20
    max_pixels: int = 60_000_000  # 180 MB as RGB; phones of 2024 write 12 to 50 million by default
    max_side: int = 32_768  # pixels; also bounds what one row may cost a decoder
    min_side: int = 16  # pixels; no face can be read below

    def __post_init__(self) -> None:
        if min(self.max_bytes, self.max_pixels, self.max_side, self.min_side) < 1:
            raise ValueError(f"every limit must be at least 1; got {self}")


DEFAULT_LIMITS = Limits()


def check_size(size: tuple[int, int], limits: Limits) -> None:
    """Refuse a photo of this (width, height) when it lies beyond a limit."""
    width, height = size
    given = f"is {width} by {height} pixels"
    if min(size) < limits.min_side:
        raise Refusal(f"{given}, and each side needs at least {limits.min_side}; give a larger one")
    if max(size) > limits.max_side or width * height > limits.max_pixels:
        most = f"{limits.max_pixels / 1e6:.3g} million pixels and {limits.max_side} a side"
        raise Refusal(f"{given}, more than the {most} accepted; save it smaller")


# fmt: off
SUFFIXES: frozenset[str] = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif",
    ".bmp", ".dib", ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif",
})

# Pictures that are named as not read, each with its reason: a camera's raw files, and others.
UNREAD: frozenset[str] = frozenset({
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mrw", ".nef",
    ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
    ".jxl", ".jp2", ".j2k", ".jpx", ".psd", ".psb", ".tga", ".exr", ".ppm", ".pgm", ".pnm",
})
# fmt: on

KINDS = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBPVP8[ LX]", "WebP"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftyp(?:mif1|msf1).{0,40}avi[fs]", "AVIF"),
    (rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", "HEIC"),
)
# Fujifilm, Panasonic, Olympus, Canon (CR3, CRW), Minolta and Sigma; other makers write TIFF.
_RAW = rb"FUJIFILMCCD-RAW|IIU\0|II(?:RO|RS)|MMOR|....ftypcrx |II\x1a\0\0\0HEAPCCDR|\0MRM|FOVb"
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (rb"%PDF-", "a PDF document"),
    (rb"%!PS", "a PostScript file"),
    (rb"PK(?:\x03\x04|\x05\x06)", "a ZIP archive or office document"),
    (rb"\x1f\x8b|BZh|7z\xbc\xaf|\xfd7zXZ|Rar!", "a compressed archive"),
    (rb"....ftyp|....(?:moov|mdat|wide|free)", "an MP4 or QuickTime video"),
    (rb"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (rb"RIFF....AVI |\0\0\x01\xba", "a video"),
    (rb"RIFF....WAVE|ID3|OggS|fLaC|\xff[\xfb\xf3]", "a sound file"),
    (rb"8BPS", "a Photoshop picture"),
    (rb"\0\0\0\x0cjP  |\xffO\xffQ", "a JPEG 2000 picture"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (rb"v/1\x01", "an OpenEXR picture"),
    (rb"P[1-6][\s#]", "a PNM picture"),
    (rb"\0\0[\x01\x02]\0[^\0]", "an icon"),
    (rb"\x7fELF|MZ", "a program"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?:svg|\?xml.{0,400}?<svg)", "an SVG drawing"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|head|body)", "a web page or XML document"),
)


def sniff(data: bytes) -> str:
    """Name the photo format of the content, or refuse the content by name."""
    for magic, kind in _MAGIC:
        if re.match(magic, data, re.DOTALL):
            return kind
    if re.match(_RAW, data, re.DOTALL):
        raise Refusal(IS_RAW)
    for magic, kind in _STRANGERS:
        if re.match(magic, data[:1024], re.DOTALL | re.IGNORECASE):
            why = "which is not read" if kind.endswith("picture") else "not a photo"
            raise Refusal(f"is {kind}, {why}; give a {KINDS} file")
    if _is_text(data[:1024]):
        raise Refusal(f"is a text file, not a photo; give a {KINDS} file")
    raise Refusal(f"has content that no known photo format begins with; give a {KINDS} file")


def _is_text(start: bytes) -> bool:
    text = start.decode("utf-8", errors="ignore")  # a character may be cut at the end
    printable = sum(char.isprintable() or char.isspace() for char in text)
    whole = len(text.encode()) >= len(start) - 3
    return bool(text) and whole and printable == len(text)


URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|data:")
IS_RAW = "is a camera's raw file; develop it and export it as JPEG"
IS_URL = "is a web address; save the photo to disk and name the file"


class ImageError(ValueError):
    """A photo that cannot be read: which one, what is wrong and what to do, in one sentence."""


class Refusal(Exception):  # noqa: N818 - becomes an ImageError once the photo's name is known
    """The reason of a refusal, as the end of a sentence that begins with the photo's name."""


def printable(name: str) -> str:
    """Make a name safe to show in a terminal: one line, at most 80 characters, no control codes."""
    shown = "".join(char if char.isprintable() else "?" for char in name) or "An empty name"
    return shown if len(shown) <= 80 else f"{shown[:50]}…{shown[-29:]}"


def name_of(source: object) -> str:
    """Return the photo's name for an error message: the last part of its path, never folders."""
    path = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    if isinstance(path, str | os.PathLike):
        text = os.fsdecode(path)
        shown = text if URL.match(text) else Path(text).name or text
        return printable(shown)
    return "The array" if isinstance(source, np.ndarray) else "The photo"
