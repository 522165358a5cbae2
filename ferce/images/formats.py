"""Which format the content is, told from its first bytes; strangers are refused by name."""

import re

from ferce.images.refusal import Refusal

# fmt: off
SUFFIXES: frozenset[str] = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif",
    ".bmp", ".dib", ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif",
})
# fmt: on

KINDS = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBPVP8[ LX]", "WebP"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (rb"II\*\0|MM\0\*", "TIFF"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftyp(?:mif1|msf1).{0,40}avi[fs]", "AVIF"),
    (rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", "HEIC"),
)
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (rb"%PDF-", "a PDF document"),
    (rb"%!PS", "a PostScript file"),
    (rb"PK(?:\x03\x04|\x05\x06)", "a ZIP archive or office document"),
    (rb"\x1f\x8b|BZh|7z\xbc\xaf|\xfd7zXZ|Rar!", "a compressed archive"),
    (rb"....ftyp|....(?:moov|mdat|wide|free)", "an MP4 or QuickTime video"),
    (rb"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (rb"RIFF....AVI |\0\0\x01\xba", "a video"),
    (rb"RIFF....WAVE|ID3|OggS|fLaC|\xff[\xfb\xf3]", "a sound file"),
    (rb"8BPS", "a Photoshop document"),
    (rb"\0\0\0\x0cjP  |\xffO\xffQ", "a JPEG 2000 picture"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (rb"\0\0[\x01\x02]\0", "an icon"),
    (rb"II\+\0|MM\0\+", "a BigTIFF picture"),
    (rb"\x7fELF|MZ", "a program"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?:svg|\?xml.{0,400}?<svg)", "an SVG drawing"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|head|body)", "a web page or XML document"),
)


def sniff(data: bytes) -> str:
    """Name the photo format of the content, or refuse the content by name."""
    for magic, kind in _MAGIC:
        if re.match(magic, data, re.DOTALL):
            return kind
    advice = f"not a photo; give a {KINDS} file"
    for magic, kind in _STRANGERS:
        if re.match(magic, data[:1024], re.DOTALL | re.IGNORECASE):
            raise Refusal(f"is {kind}, {advice}")
    if _is_text(data[:1024]):
        raise Refusal(f"is a text file, {advice}")
    raise Refusal(f"has content that no known photo format begins with; give a {KINDS} file")


def _is_text(start: bytes) -> bool:
    text = start.decode("utf-8", errors="ignore")  # a character may be cut at the end
    printable = sum(char.isprintable() or char.isspace() for char in text)
    whole = len(text.encode()) >= len(start) - 3
    return bool(text) and whole and printable == len(text)
