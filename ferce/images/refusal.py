"""What a photo is refused with: one sentence that begins with the photo's name."""

import os
import re
from pathlib import Path

import numpy as np

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|data:")
IS_URL = "is a web address; save the photo to disk and name the file"


class ImageError(ValueError):
    """One clear sentence for the user: which photo, what is wrong with it, what to do."""


class Refusal(Exception):  # noqa: N818 - becomes an ImageError once the photo's name is known
    """What is wrong, as the end of a sentence that begins with the photo's name."""


def printable(name: str) -> str:
    """Make a name safe to show in a terminal: one line, at most 80 characters, no control codes."""
    shown = "".join(char if char.isprintable() else "?" for char in name) or "An empty name"
    return shown if len(shown) <= 80 else f"{shown[:50]}…{shown[-29:]}"


def name_of(source: object) -> str:
    """How the sentence calls the photo: the last part of its path, never the folders."""
    path = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    if isinstance(path, str | os.PathLike):
        text = os.fsdecode(path)
        shown = text if URL.match(text) else Path(text).name or text
        return printable(shown)
    return "The array" if isinstance(source, np.ndarray) else "The photo"
