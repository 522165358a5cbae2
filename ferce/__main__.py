"""python -m ferce PHOTO|FOLDER|GLOB ... [--json F|-] [--csv F] [--html F]: read photos."""

import logging
import os
import sys
import warnings
from pathlib import Path

from ferce.ui.cli import main


def keep_stderr_clean() -> None:
    """Leave standard error to our own sentences.

    MediaPipe's native library writes its log to file descriptor 2, past every setting; from here on
    that descriptor leads nowhere, and Python's standard error is a copy of the true one. Warnings
    of libraries are for developers: `python -W default -m ferce` shows them.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)


if __name__ == "__main__":
    keep_stderr_clean()
    sys.exit(main())
