"""The photos of one batch: uploaded files, and what lies in uploaded ZIPs."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ferce.images.archive import Archive, ArchiveError, is_archive
from ferce.images.refusal import printable

Opened = Path | io.BytesIO


class Named(io.BytesIO):
    """Bytes that know what they are called, for the sentence that refuses them."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


@dataclass(frozen=True)
class Item:
    """One photo: `open` gives what `images.load` takes; `problem` says why it is not read."""

    name: str
    open: Callable[[], Opened] | None = None
    problem: str = ""


@contextmanager
def opened(files: Sequence[Path], most: int) -> Iterator[tuple[Item, ...]]:
    """Everything that the files hold, in order; an archive that is refused is one item.

    Raises:
        ValueError: there are more than `most` photos.
    """
    with ExitStack() as stack:
        items = tuple(item for path in files for item in _items(path, stack))
        count = sum(not item.problem for item in items)
        if count > most:
            raise ValueError(f"These are {count} photos, more than the {most} accepted at once.")
        yield items


def _items(path: Path, stack: ExitStack) -> Iterator[Item]:
    try:
        if not is_archive(path):
            yield Item(path.name, lambda: path)
            return
        archive = stack.enter_context(Archive(path))
    except ArchiveError as error:
        yield Item(path.name, problem=str(error))
        return
    except OSError:  # deleted after its time
        yield Item(path.name, problem=f"{printable(path.name)} is no longer here; upload it again.")
        return
    if not archive.members:
        yield Item(path.name, problem=f"{printable(path.name)} holds no photo.")
    for member in archive.members:
        load = partial(_load, archive, member.name)
        yield Item(f"{path.stem}/{member.name}", load, member.problem)


def _load(archive: Archive, name: str) -> Named:
    return Named(archive.read(name), name)
