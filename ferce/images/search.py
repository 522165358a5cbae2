"""Find the photos that a command line names."""

import os
import re
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from ferce.images.refusal import IS_URL, SUFFIXES, UNREAD, URL, ImageError, printable

_NAMED = SUFFIXES | UNREAD
# What may hold faces but is read apart, if at all.
# fmt: off
_PASSED = frozenset({
    ".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".3gp", ".wmv", ".mpg",
    ".zip", ".pdf",
})
# fmt: on


def find(paths_or_globs: Sequence[str]) -> list[Path]:
    """List the photos named on a command line, in the order given, each once.

    A file is taken whatever its suffix. A folder gives its photos by suffix, recursively and
    sorted, without hidden names and without following links to folders; `UNREAD` pictures are among
    them, so that each is named. Anything else is a glob (``**`` crosses folders) and gives the
    matching photos by suffix, sorted.

    Raises:
        ImageError: A name is a web address, or names no photo.
    """
    paths: dict[Path, None] = {}
    for name in paths_or_globs:
        photos = _find_one(name)
        if not photos:
            raise ImageError(f"{printable(name)} names no photo; check the path and its suffix.")
        paths.update(dict.fromkeys(photos))
    return list(paths)


def passed_over(paths_or_globs: Sequence[str]) -> list[Path]:
    """List the clips, ZIPs and PDFs in the folders named, of which `find` gives none."""
    folders = [Path(name) for name in paths_or_globs if name and Path(name).is_dir()]
    return [path for folder in folders for path in sorted(_walk(folder, _PASSED))]


def _find_one(name: str) -> list[Path]:
    if URL.match(name):
        raise ImageError(f"{printable(name)} {IS_URL}.")
    path = Path(name)
    try:
        if path.is_dir():
            return sorted(_walk(path)) if name else []  # an empty name is not the current folder
        return [path] if path.exists() else sorted(_matches(path))
    except (OSError, ValueError, re.error):  # a name too long, a null byte, a folder closed to us
        return []


def _matches(pattern: Path) -> Iterator[Path]:
    relative = pattern.relative_to(pattern.anchor)
    for path in Path(pattern.anchor).glob(str(relative)):  # its ** follows no links
        hidden = {part for part in path.parts if part.startswith(".")}
        if hidden <= set(pattern.parts) and _is_file(path):
            yield path


def _walk(folder: Path, suffixes: Set[str] = _NAMED) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(root, name) for name in names if not name.startswith("."))
        yield from (path for path in paths if _is_file(path, suffixes))


def _is_file(path: Path, suffixes: Set[str] = _NAMED) -> bool:
    return path.suffix.lower() in suffixes and path.is_file()
