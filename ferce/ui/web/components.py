"""Components that several tabs share, and what a page sends of them: photos, rows of pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from ferce.ui.web.examples import Examples
from ferce.ui.web.runner import AT_ONCE

Upload = Mapping[str, Any] | None  # what a page sends of an uploaded file
Uploads = Sequence[Mapping[str, Any]] | None

# Mirrored pictures would swap the person's left and right.
CAMERA = gr.WebcamOptions(mirror=False)
# Buttons, so that they are reached and pressed with the keyboard; the press is sent to Python.
_PRESSED = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-index]');
  if (button) trigger('select', {index: Number(button.dataset.index)});
});
"""


def photo(height: int, first: Path | None = None) -> gr.Image:
    """Make the field for a photo, so many pixels high; `first` stands in it when a page opens."""
    return gr.Image(
        None if first is None else str(first),
        label="Photo",
        sources=["upload", "webcam", "clipboard"],
        height=height,
        buttons=[],
        webcam_options=CAMERA,
        placeholder="Drop a photo here\nor click to choose one",
        elem_classes="photo",
        alt_text="The photo you chose",
    )


def thumbnails(name: str, value: str = "") -> gr.HTML:
    """Make a row of pictures to choose from; its `select` event tells which was pressed."""
    return pressable(value, "thumbnails", name)


def pressable(value: str, *classes: str) -> gr.HTML:
    """Make a part with numbered buttons; its `select` event tells which was pressed."""
    return gr.HTML(value, js_on_load=_PRESSED, elem_classes=list(classes))


def examples(shown: Examples, target: gr.Image) -> None:
    """Lay out the example photos, any of which can be chosen for a field; nothing without any."""
    if not shown.paths:
        return
    row = thumbnails("examples", shown.thumbnails)

    def take(event: gr.EventData) -> Any:
        index = pressed(event._data, len(shown.paths))
        return gr.skip() if index is None else str(shown.paths[index])

    row.select(take, None, target, **AT_ONCE)


def pressed(sent: Any, count: int) -> int | None:
    """Read which picture was pressed; None where a page sent something else."""
    index = sent.get("index") if isinstance(sent, dict) else None
    return index if isinstance(index, int) and 0 <= index < count else None


def path(upload: Upload) -> Path | None:
    """Find the file of an upload; None without one.

    `gr.Image` would open the file before any code of ours runs, so that a broken one ends in a
    stack trace. Events therefore skip its `preprocess`, and `ferce.images` opens the file. Gradio
    6.31 checks the path only where the caller sends a "meta" key, so it is checked here again.

    Raises:
        gr.Error: the file is none that was uploaded.
    """
    if not upload or not upload.get("path"):
        return None
    place = Path(upload["path"]).resolve()
    if not place.is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error(
            "Only uploaded photos are read; upload the file first.", print_exception=False
        )
    return place


def paths(uploads: Uploads | Upload) -> tuple[Path, ...]:
    """Find the files of several uploads, or of one, each checked as `path` does."""
    listed = [uploads] if isinstance(uploads, Mapping) else uploads or []
    places = (path(upload) for upload in listed)
    return tuple(place for place in places if place is not None)
