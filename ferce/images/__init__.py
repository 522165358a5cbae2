"""Open a photo from anywhere as RGB pixels, or refuse it with one sentence that says what to do.

The content decides the format, never the suffix: a PNG named ``.jpg`` is read, a PDF named ``.jpg``
is refused. What is refused is never replaced by a black or half-filled picture. Sizes are checked
from the header, before any pixel is decoded. Nothing global is touched: neither Pillow's settings
and plugin list nor the warning filters, so threads may load at the same time.
"""

from ferce.images.load import Source, find, load, load_noted, passed_over
from ferce.images.refusal import DEFAULT_LIMITS, SUFFIXES, UNREAD, ImageError, Limits

__all__ = [
    "DEFAULT_LIMITS",
    "SUFFIXES",
    "UNREAD",
    "ImageError",
    "Limits",
    "Source",
    "find",
    "load",
    "load_noted",
    "passed_over",
]
