"""Fuzz one of our own decoders, guided by coverage: `pip install atheris`, then for instance

    python -m tests.fuzz archive -max_total_time=600 -timeout=10 -rss_limit_mb=2048 [CORPUS]

An error of another type than the decoder states, or an input over the time or memory, ends it.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ferce"]):
    from ferce.explanation.text import parsing
    from ferce.images import decode, png, refusal, tiff
    from ferce.images.archive import Archive, ArchiveError
    from ferce.models import spec


def archive(data: bytes) -> None:
    """A ZIP: opened, and each member that has no problem read."""
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        Path(file.name).write_bytes(data)
        try:
            with Archive(Path(file.name)) as opened:
                for member in opened.members:
                    if not member.problem:
                        read(opened, member.name)
        except ArchiveError:
            pass


def read(opened: Archive, name: str) -> None:
    with contextlib.suppress(ArchiveError):
        opened.read(name)


def cues(data: bytes) -> None:
    """A text of a model: each cue lies in it."""
    text = data.decode("utf-8", "replace")[:2000]
    assert all(0 <= cue.start < cue.end <= len(text) for cue in parsing.parse(text))


def specs(data: bytes) -> None:
    """The name of a model, which reads the same when it is written again."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        str(spec.parse(text))


def whole(read_one: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """Any Exception is a refusal, as `decode.from_bytes` makes it; time and memory count."""

    def once(data: bytes) -> None:
        with contextlib.suppress(Exception):
            read_one(data)

    return once


def headers(data: bytes) -> None:
    for size in decode.HEADERS.values():
        whole(size)(data)
    whole(refusal.sniff)(data)


def pngs(data: bytes) -> None:
    data = b"\x89PNG\r\n\x1a\n" + data
    whole(png.still)(data)
    whole(png.coding)(data)


def tiffs(data: bytes) -> None:
    def sanitised(data: bytes) -> None:
        picture = tiff.TiffSanitiser(data)
        picture.sanitised()
        tiff.grey_files(picture)

    whole(sanitised)(b"II*\0" + data)
    whole(sanitised)(b"MM\0*" + data)
    whole(sanitised)(b"II+\0" + data)


TARGETS = {one.__name__: one for one in (archive, cues, specs, headers, pngs, tiffs)}


if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
