"""The file behind an uploaded photograph, checked to be an upload."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

Upload = Mapping[str, Any] | None  # what the page tells of an uploaded file
Uploads = Sequence[Mapping[str, Any]] | None


def path(photo: Upload) -> Path | None:
    """Where the upload lies; None without a photo.

    `gr.Image` would open the file before any code of ours runs, so that a broken one ends in a
    stack trace. Events therefore skip its `preprocess`, and `ferce.images` opens the file. Gradio
    6.31 checks the path only where the caller sends a "meta" key, so it is checked here again.

    Raises:
        gr.Error: The file is none that was uploaded.
    """
    if not photo or not photo.get("path"):
        return None
    found = Path(photo["path"]).resolve()
    if not found.is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error(
            "Only uploaded photos are read; upload the file first.", print_exception=False
        )
    return found


def paths(files: Uploads | Upload) -> tuple[Path, ...]:
    """Where several uploads lie, each checked as `path` does; a single one counts as well."""
    listed = [files] if isinstance(files, Mapping) else files or []
    found = (path(file) for file in listed)
    return tuple(one for one in found if one is not None)
