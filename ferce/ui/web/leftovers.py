"""Uploads that broke off: Gradio 6.31 forgets the part that came, so it is deleted here."""

import threading
import time
from contextlib import suppress
from pathlib import Path

_EVERY = 60.0  # seconds between two looks, at most


def start(seconds: float) -> None:
    """Delete in the background what has not grown for so many seconds, until the program ends."""
    from gradio.utils import get_upload_folder

    def work() -> None:
        while True:
            time.sleep(min(_EVERY, seconds))
            sweep(Path(get_upload_folder()), seconds)

    threading.Thread(target=work, name="ferce-leftovers", daemon=True).start()


def sweep(folder: Path, seconds: float) -> None:
    """Delete parts of uploads in `folder`; a whole one is moved to a folder of its own at once."""
    for path in folder.glob("tmp*"):
        with suppress(OSError):  # it has just been finished, or is somebody else's
            if path.is_file() and time.time() - path.lstat().st_mtime > seconds:
                path.unlink()
