"""The named endpoints: what a program may ask of the page, with documented parameters."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from ferce import images
from ferce.core.parts import Reading, Report
from ferce.core.types import Face, Pixels, ReadingError
from ferce.models import prompts
from ferce.reading import agreement, video
from ferce.reading.pipeline import NO_FACE, Reader
from ferce.reading.video import formats
from ferce.report import photo_to_json, to_json
from ferce.ui.web import components
from ferce.ui.web.components import Upload, Uploads
from ferce.ui.web.models import Catalogue, Models
from ferce.ui.web.runner import Page
from ferce.ui.web.session import Column
from ferce.ui.web.tabs import batch
from ferce.ui.web.tabs.compare import fill
from ferce.ui.web.tabs.video import options

NO_PHOTO = "No photo was sent; upload one as `photo`."
NO_PHOTOS = "No photos were sent; upload some as `photos`."
NO_CLIP = "No clip was sent; upload one as `clip`."
FAULT = "This could not be read because of a fault in ferce. The server's log says more."
Json = dict[str, Any]

_log = logging.getLogger(__name__)


def endpoints(page: Page) -> None:
    """Add `/read`, `/ask`, `/compare`, `/batch` and `/video`; call inside `gr.Blocks`."""
    _photo_endpoints(page)
    _file_endpoints(page)


def _photo_endpoints(page: Page) -> None:
    models = page.models

    def read(photo: Upload) -> Json:
        """Read the faces of a photo.

        Args:
            photo: The photo as an uploaded file: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.

        Returns:
            One photo of the JSON document that `python -m ferce --json` writes.
        """
        return _read(models, components.path(photo))

    def ask(photo: Upload, question: str) -> Json:
        """Ask one question about every face of a photo.

        Args:
            photo: The photo as an uploaded file: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.
            question: What to ask, in at most 300 characters, such as "Is the mouth open?".

        Returns:
            `photo`, `question`, `voice` and, for each face, its `box` with `answer` or `problem`;
            or `photo`, `question` and `error`.
        """
        return _ask(models, components.path(photo), question)

    def compare(photo: Upload, names: str = "") -> Json:
        """Let several models read the faces of a photo.

        Args:
            photo: The photo as an uploaded file: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.
            names: Specs of models that this server offers, separated by spaces; empty for all.

        Returns:
            `photo`, `models` (each `model`, `voice`, `seconds` and `faces` as `/read` has them, or
            `error`) and `agreement`, one a face; or `photo` and `error`.
        """
        return _compare(models, components.path(photo), names)

    photo = gr.Image(label="photo", visible=False)
    _endpoint(read, [photo], "reading", page.reading)
    _endpoint(ask, [photo, _line("question")], "answers", page.reading)
    _endpoint(compare, [photo, _line("names", "")], "comparison", page.reading)


def _file_endpoints(page: Page) -> None:
    models, settings = page.models, page.settings

    def batch(photos: Uploads) -> Json:
        """Read many photos, each a file of its own or in a ZIP.

        Args:
            photos: Photos as uploaded files, ZIPs of photos, or both.

        Returns:
            The JSON document that `python -m ferce --json` writes; or `error`.
        """
        return _batch(models, components.paths(photos), settings.max_photos)

    def video(clip: Upload) -> Json:
        """Follow the faces of a clip and read them ten times a second.

        Args:
            clip: The clip as an uploaded file: MP4, WebM, MOV, MKV, AVI, OGG, MPEG, WMV or GIF.

        Returns:
            One clip of the JSON document that `python -m ferce clip.mp4 --json` writes: its
            `tracks` with probabilities and action units over time, and its `moments`; or `clip`
            and `error`.
        """
        return _video(models, components.path(clip), settings.max_seconds)

    # Gradio 6.31 cannot hand a list of files to a tool (its schema points nowhere), so language
    # models read photo by photo.
    batch._mcp_type = "endpoint only"  # type: ignore[attr-defined]
    photos = gr.File(label="photos", file_count="multiple", visible=False)
    _endpoint(batch, [photos], "readings", page.reading)
    clip = gr.Video(label="clip", visible=False)
    _endpoint(video, [clip], "timeline", {"concurrency_limit": 1})


def _line(label: str, default: str | None = None) -> gr.Textbox:
    return gr.Textbox(default, label=label, visible=False)


def _endpoint(
    function: Callable[..., Json], inputs: list[Any], result: str, limit: Mapping[str, Any]
) -> None:
    """Offer a function under its name; hidden components give its parameters their names."""
    gr.Button(visible=False).click(
        _guarded(function),
        inputs,
        gr.JSON(label=result, visible=False),
        api_name=function.__name__,
        preprocess=False,
        **limit,
    )


def _guarded(function: Callable[..., Json]) -> Callable[..., Json]:
    """Answer a fault of ours by a sentence; the log says more."""

    @wraps(function)
    def call(*given: Any) -> Json:
        try:
            return function(*given)
        except gr.Error:
            raise
        except Exception as error:
            _log.exception(FAULT)
            raise gr.Error(FAULT, print_exception=False) from error

    return call


def _ready(models: Models) -> Reader:
    try:
        return models.ready()
    except ReadingError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _read(models: Models, path: Path | None) -> Json:
    if path is None:
        return {"photo": "", "error": NO_PHOTO}
    return photo_to_json(_ready(models).read(path, name=path.name))


def _ask(models: Models, path: Path | None, question: object) -> Json:
    result = {"photo": path.name if path else "", "question": question}
    if path is None:
        return {**result, "error": NO_PHOTO}
    try:
        checked = prompts.question(question if isinstance(question, str) else "")
        result["question"] = checked
        reader = _ready(models)
        readings = reader.predict(reader.detect(images.load(path)))
        answers = [_answer(reader, reading, checked) for reading in readings]
    except (ValueError, images.ImageError, ReadingError) as error:
        return {**result, "error": str(error)}
    if not answers:
        return {**result, "error": NO_FACE}
    return {**result, "voice": reader.voice.name, "faces": answers}


def _answer(reader: Reader, reading: Reading, question: str) -> Json:
    """Answer of the face as it was measured for its prediction, as on the page."""
    box = [round(float(edge), 2) for edge in reading.face.box]
    if reading.face.problem:
        return {"box": box, "problem": reading.face.problem}
    (answer,) = reader.answer(reading, [question]).answers
    return {"box": box, "answer": answer.answer}


def _compare(catalogue: Catalogue, path: Path | None, names: object) -> Json:
    if path is None:
        return {"photo": "", "error": NO_PHOTO}
    asked = names.split() if isinstance(names, str) else []
    try:
        for name in asked:
            catalogue.of(name)
        photo = images.load(path)
    except (ValueError, images.ImageError) as error:
        return {"photo": path.name, "error": str(error)}
    faces = _ready(catalogue).detect(photo)
    if not faces:
        return {"photo": path.name, "error": NO_FACE}
    rows = [_columns(catalogue, name, faces) for name in dict.fromkeys(asked or catalogue.names)]
    return {
        "photo": path.name,
        "models": [_model(row, path.name, photo) for row in rows],
        "agreement": [_agreement([row[i].reading for row in rows]) for i in range(len(faces))],
    }


def _columns(catalogue: Catalogue, name: str, faces: Sequence[Face]) -> list[Column]:
    columns = [Column(name) for _ in faces]
    for column, face in zip(columns, faces, strict=True):
        for _ in fill(catalogue, column, face):
            pass
    return columns


def _model(columns: Sequence[Column], photo: str, pixels: Pixels) -> Json:
    trouble = next((column.trouble for column in columns if column.trouble), "")
    if trouble:
        return {"model": columns[0].name, "error": trouble}
    readings = tuple(column.reading for column in columns if column.reading)
    size = (pixels.shape[1], pixels.shape[0])
    return {
        "model": columns[0].name,
        "voice": columns[0].voice,
        "seconds": round(sum(column.seconds for column in columns), 3),
        "faces": photo_to_json(Report(photo, size, readings=readings))["faces"],
    }


def _agreement(readings: Sequence[Reading | None]) -> Json | None:
    """Compare the models on one face; None where fewer than two of them say something."""
    shared = agreement.compare([reading for reading in readings if reading is not None])
    if shared is None:
        return None
    return {"labels": dict(shared.labels), "overlap": shared.overlap, "maps": shared.maps}


def _batch(models: Models, paths: tuple[Path, ...], most: int) -> Json:
    if not paths:
        return {"error": NO_PHOTOS}
    reader = _ready(models)
    try:
        with batch.opened(paths, most) as items:
            return to_json((batch.read_item(reader, item) for item in items), reader.models)
    except ReadingError as error:
        return {"error": str(error)}


def _video(models: Models, path: Path | None, seconds: float) -> Json:
    if path is None:
        return {"clip": "", "error": NO_CLIP}
    try:
        return formats.clip_to_json(video.read(path, _ready(models), options(seconds)))
    except (video.VideoError, ReadingError) as error:
        return {"clip": path.name, "error": str(error)}
