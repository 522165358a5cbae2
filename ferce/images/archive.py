"""Read the photos of a ZIP one by one into memory; nothing is ever unpacked to disk."""

import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from ferce.images import DEFAULT_LIMITS, SUFFIXES, UNREAD
from ferce.images.refusal import printable

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # a file in it, or none
_END, _WIDE, _POINTER = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
# Bytes of the end record, of a 64-bit one, and of the pointer to that, which lies between them.
_END_SIZE, _WIDE_SIZE, _POINTER_SIZE = 22, 56, 20
_COMMENT = 65_535  # bytes, the longest comment
# zipfile inflates these piece by piece; bzip2 and LZMA at once, to whatever size they reach.
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 0x1, 0x800  # bits of the flags


class ArchiveError(ValueError):
    """A ZIP that is not accepted: which one, what is wrong and what to do, in one sentence."""


@dataclass(frozen=True)
class Limits:
    """Limits on a ZIP, judged from its table of contents before anything is decompressed.

    `max_directory` bounds that table in bytes, `max_total` the bytes of all members, `max_ratio`
    how many times larger they may be than the archive once they are over `free_total` bytes: photos
    hardly shrink, so what shrinks a hundredfold is a bomb.
    """

    max_directory: int = 4 * 2**20
    max_total: int = 1 * 2**30
    max_ratio: int = 100
    free_total: int = 32 * 2**20
    max_bytes: int = DEFAULT_LIMITS.max_bytes


DEFAULT = Limits()


@dataclass(frozen=True)
class Member:
    """A file of an archive; `problem` says why it is not read, as one sentence, or is empty.

    The name has slashes only and no drive; of two alike the second ends in " (2)".
    """

    name: str
    problem: str = ""


def is_archive(path: Path) -> bool:
    """Tell whether a file begins as a ZIP does, or is called one and ends as one does.

    A ZIP that unpacks itself, and is no program by its suffix, begins with what does so.
    """
    with path.open("rb") as file:
        begins = file.read(4) in _MAGIC
    return begins or (path.suffix.lower() == ".zip" and zipfile.is_zipfile(path))


class Archive:
    """An open ZIP; `members` are its files in order, without folders and hidden files."""

    def __init__(self, path: Path, limits: Limits = DEFAULT) -> None:
        """Open it and judge its table of contents.

        Raises:
            ArchiveError: it is broken, too large, a bomb, or a name in it leads out of it.
        """
        self._name, self._limits = printable(path.name), limits
        self._check_directory(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except Exception as error:  # damage: BadZipFile, struct.error, UnicodeDecodeError and more
            raise ArchiveError(f"{self._name} is no whole ZIP; pack it again.") from error
        try:
            infos = [info for info in self._zip.infolist() if not info.filename.endswith("/")]
            self._check(path, infos)
        except ArchiveError:
            self._zip.close()
            raise
        self._infos = _named(infos)
        self.members = tuple(self._member(*pair) for pair in self._infos.items())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._zip.close()

    def read(self, name: str) -> bytes:
        """Return the bytes of a member that has no `problem`.

        Raises:
            ArchiveError: its data are broken or not what the table of contents says.
        """
        try:
            with self._zip.open(self._infos[name]) as file:
                data = file.read(self._limits.max_bytes + 1)
        except Exception as error:  # as above, and zlib.error, EOFError
            raise ArchiveError(f"{printable(name)} is broken inside the ZIP.") from error
        return data

    def _check_directory(self, path: Path) -> None:
        """Refuse a table of contents that would fill the memory when it is read."""
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(size - _END_SIZE - _COMMENT - _POINTER_SIZE - _WIDE_SIZE, 0))
            tail = file.read()
        place = tail.rfind(_END)
        if place < 0 or len(tail) < place + _END_SIZE:
            raise ArchiveError(f"{self._name} is no whole ZIP; pack it again.")
        if _comment_end(tail, place) != len(tail) and _is_hidden(tail):
            raise ArchiveError(
                f"{self._name} has a comment that looks like the end of a ZIP; pack it again."
            )
        table = int.from_bytes(tail[place + 12 : place + 16], "little")
        pointer = place - _POINTER_SIZE
        if pointer >= 0 and tail[pointer:place].startswith(_POINTER):
            wide = tail[max(pointer - _WIDE_SIZE, 0) : pointer]
            if not wide.startswith(_WIDE):
                raise ArchiveError(f"{self._name} is no whole ZIP; pack it again.")
            table = int.from_bytes(wide[40:48], "little")
        if table > self._limits.max_directory:
            raise ArchiveError(f"{self._name} lists too many files; pack fewer of them.")

    def _check(self, path: Path, infos: list[zipfile.ZipInfo]) -> None:
        for info in infos:
            if _leads_out(info.orig_filename):
                raise ArchiveError(
                    f"{self._name} holds a name that leads out of it "
                    f"({printable(info.orig_filename)}), so it is not opened."
                )
        limits, total = self._limits, sum(info.file_size for info in infos)
        most = max(limits.free_total, limits.max_ratio * path.stat().st_size)
        if total > min(limits.max_total, most):
            raise ArchiveError(
                f"{self._name} would unpack to {total / 2**20:,.0f} MB, far more than photos "
                "would, so it is not opened."
            )

    def _member(self, name: str, info: zipfile.ZipInfo) -> Member:
        shown = printable(PurePosixPath(name).name)
        return Member(name, next(_problems(info, shown, self._limits), ""))


def _comment_end(tail: bytes, place: int) -> int:
    """Compute where the comment of the end record at `place` ends."""
    start = place + _END_SIZE
    return start + int.from_bytes(tail[start - 2 : start], "little")


def _is_hidden(tail: bytes) -> bool:
    """Tell whether an end record before the last one ends with the file: its comment holds one."""
    places = (match.start() for match in re.finditer(re.escape(_END), tail))
    return any(_comment_end(tail, place) == len(tail) for place in places)


def _problems(info: zipfile.ZipInfo, name: str, limits: Limits) -> Iterator[str]:
    suffix = PurePosixPath(info.filename).suffix.lower()
    if stat.S_ISLNK(info.external_attr >> 16):
        yield f"{name} is a link, not a photo."
    if suffix == ".zip":
        yield f"{name} is a ZIP inside a ZIP; unpack it first."
    if suffix not in SUFFIXES | UNREAD:
        yield f"{name} is no photo by its suffix."
    if info.flag_bits & _ENCRYPTED:
        yield f"{name} is locked with a password; pack it without."
    if info.compress_type not in _PACKED:
        yield f"{name} is packed in a way that is not read; pack it again, by deflate."
    if info.file_size > limits.max_bytes:
        most = limits.max_bytes / 2**20
        yield f"{name} is {info.file_size / 2**20:,.0f} MB, more than the {most:.0f} MB accepted."


def _named(infos: Iterable[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Map a name of its own to each file that is not hidden."""
    named: dict[str, zipfile.ZipInfo] = {}
    seen: Counter[str] = Counter()
    for info in infos:
        name = unique = _plain(info)
        if not name or name.endswith("/") or _hidden(name):
            continue
        while unique in named:
            seen[name] += 1
            unique = f"{name} ({seen[name] + 1})"
        named[unique] = info
    return named


def _plain(info: zipfile.ZipInfo) -> str:
    """Return the name with slashes, from no root or drive; macOS writes UTF-8 without saying so."""
    name = info.filename
    if not info.flag_bits & _UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    name = re.sub(r"^[A-Za-z]:/", "", name.replace("\\", "/"))
    end = "/" if name.endswith("/") else ""
    return "/".join(part for part in name.split("/") if part not in ("", ".")) + end


def _leads_out(name: str) -> bool:
    """Tell whether a name has a step upwards or a null byte."""
    return ".." in name.replace("\\", "/").split("/") or "\0" in name


def _hidden(name: str) -> bool:
    """Tell whether a file is what systems put beside the photos: `__MACOSX`, `.DS_Store`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
