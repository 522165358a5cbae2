"""The bytes of a photo from a path, an open file or memory, never more than allowed."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

from ferce.images.refusal import IS_URL, URL, Refusal


def read(source: object, max_bytes: int) -> bytes:
    """All bytes of the source; refused when there are none, or more than allowed."""
    data = _start(source, max_bytes)
    if not data:
        raise Refusal("is empty; export or copy it again")
    if len(data) > max_bytes:
        raise _too_long(max_bytes)
    return data


def _start(source: object, max_bytes: int) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source[: max_bytes + 1])
    if isinstance(source, str | os.PathLike):
        return _read_path(os.fsdecode(source), max_bytes)
    if hasattr(source, "read"):
        return _read_file(source, max_bytes)
    raise Refusal(
        "must be a path, bytes, an open binary file, a Pillow image or an array, "
        f"not {type(source).__name__}"
    )


def _read_path(name: str, max_bytes: int) -> bytes:
    if URL.match(name):
        raise Refusal(IS_URL)
    try:
        path = Path(name)
        status = path.stat()  # before opening: a named pipe would wait for ever
        if not name or stat.S_ISDIR(status.st_mode):
            raise Refusal("is a folder; name a photo in it")
        if not stat.S_ISREG(status.st_mode):
            raise Refusal("is a device or a pipe, not a file; save the photo to disk first")
        if status.st_size > max_bytes:
            raise _too_long(max_bytes, status.st_size)
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise Refusal(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "does not exist; check the path"
    if isinstance(error, PermissionError):
        return "may not be read; change its permissions"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "is a link that leads back to itself; name the photo itself"
    return "cannot be opened; check the path and the disk"


def _read_file(file: Any, max_bytes: int) -> bytes:
    try:
        data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # closed, text that is not UTF-8, or a broken disk
        raise Refusal("cannot be read from the open file; open it again in binary mode") from error
    if not isinstance(data, bytes):
        raise Refusal('is open as text; open it in binary mode ("rb")')
    return data


def _too_long(limit: int, size: int | None = None) -> Refusal:
    is_long = "is larger" if size is None else f"has {size / 2**20:.0f} MiB, more"
    return Refusal(f"{is_long} than the {limit / 2**20:.3g} MiB accepted; save it smaller")
