"""The example photos of the page, whose readings are kept, so that they are there at once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ferce import images
from ferce.ui.web import markup
from ferce.ui.web.markup import Thumbnail

_FIRST = "happily_surprised"  # the photo on which the page opens, where it is there


@dataclass(frozen=True)
class Examples:
    """The photos of a folder, which may be empty or missing; None for no folder."""

    folder: Path | None = None

    @cached_property
    def paths(self) -> Sequence[Path]:
        """List the photos in order."""
        if self.folder is None or not self.folder.is_dir():
            return ()
        known = [path for path in self.folder.iterdir() if path.suffix in images.SUFFIXES]
        return images.find([str(self.folder)]) if known else ()

    @property
    def first(self) -> Path | None:
        """The photo on which the page opens; None without any."""
        named = (path for path in self.paths if path.stem == _FIRST)
        return next(named, next(iter(self.paths), None))

    @cached_property
    def thumbnails(self) -> str:
        """Draw the photos to choose from; nothing where there is none."""
        pictures = [Thumbnail(markup.thumbnail(images.load(p)), title(p)) for p in self.paths]
        return markup.thumbnails("Examples", pictures)

    def digest(self, path: Path) -> str | None:
        """Give the digest of a file that holds an example; None for any other file."""
        if not path.is_file() or path.stat().st_size not in self._sizes:
            return None
        name = _digest(path)
        return name if name in self._digests else None

    @cached_property
    def _sizes(self) -> frozenset[int]:
        return frozenset(path.stat().st_size for path in self.paths)

    @cached_property
    def _digests(self) -> frozenset[str]:
        return frozenset(map(_digest, self.paths))


def title(path: Path) -> str:
    """Name an example by its file."""
    return f"Example: {path.stem.replace('_', ' ').replace('-', ' ')}"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
