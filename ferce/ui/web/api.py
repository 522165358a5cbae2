"""The named endpoints: what a program may ask of the page, with documented parameters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from ferce import images
from ferce.core.types import Face, Reading, ReadingError
from ferce.models import prompts
from ferce.reading.pipeline import NO_FACE, Reader
from ferce.ui.web import uploads
from ferce.ui.web.catalogue import Catalogue
from ferce.ui.web.flows import batching, comparison, pile
from ferce.ui.web.loading import QUEUE, Models, ready
from ferce.ui.web.settings import Settings

NO_PHOTO = "No photo was sent; upload one as `photo`."
NO_PHOTOS = "No photos were sent; upload some as `photos`."
Json = dict[str, Any]


def endpoints(models: Catalogue, settings: Settings) -> None:
    """`/read`, `/ask`, `/compare` and `/batch`; call inside `gr.Blocks`."""

    def read(photo: uploads.Upload) -> Json:
        """Read the faces of a photo.

        Args:
            photo: The photo as an uploaded file: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.

        Returns:
            One photo of the JSON document that `python -m ferce --json` writes.
        """
        return _read(models, uploads.path(photo))

    def ask(photo: uploads.Upload, question: str) -> Json:
        """Ask one question about every face of a photo.

        Args:
            photo: The photo as an uploaded file: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.
            question: What to ask, in at most 300 characters, such as "Is the mouth open?".

        Returns:
            `photo`, `question`, `voice` and, for each face, its `box` with `answer` or `problem`;
            or `photo`, `question` and `error`.
        """
        return _ask(models, uploads.path(photo), question)

    def compare(photo: uploads.Upload, names: str = "") -> Json:
        """Let several models read the faces of a photo.

        Args:
            photo: The photo as an uploaded file: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.
            names: Specs of models that this server offers, separated by spaces; empty for all.

        Returns:
            `photo`, `models` (each `model`, `voice`, `seconds` and `faces` as `/read` has them, or
            `error`) and `agreement`, one a face; or `photo` and `error`.
        """
        return comparison.compare(models, uploads.path(photo), names)

    def batch(photos: uploads.Uploads) -> Json:
        """Read many photos, each a file of its own or in a ZIP.

        Args:
            photos: Photos as uploaded files, ZIPs of photos, or both.

        Returns:
            The JSON document that `python -m ferce --json` writes; or `error`.
        """
        return _batch(models, uploads.paths(photos), settings.max_photos)

    # Gradio 6.31 cannot hand a list of files to a tool (its schema points nowhere), so language
    # models read photo by photo.
    batch._mcp_type = "endpoint only"  # type: ignore[attr-defined]
    photo = gr.Image(label="photo", visible=False)
    _endpoint(read, [photo], "reading", settings.readers)
    _endpoint(ask, [photo, _line("question")], "answers", settings.readers)
    _endpoint(compare, [photo, _line("names", "")], "comparison", settings.readers)
    photos = gr.File(label="photos", file_count="multiple", visible=False)
    _endpoint(batch, [photos], "readings", settings.readers)


def _line(label: str, default: str | None = None) -> gr.Textbox:
    return gr.Textbox(default, label=label, visible=False)


def _endpoint(function: Callable[..., Json], inputs: list[Any], result: str, readers: int) -> None:
    gr.Button(visible=False).click(
        function,
        inputs,
        gr.JSON(label=result, visible=False),
        api_name=function.__name__,
        preprocess=False,
        concurrency_limit=readers,
        concurrency_id=QUEUE,
    )


def _read(models: Models, path: Path | None) -> Json:
    from ferce.report import photo_to_json

    if path is None:
        return {"photo": "", "error": NO_PHOTO}
    return photo_to_json(ready(models).read(path, name=path.name))


def _ask(models: Models, path: Path | None, question: object) -> Json:
    told = {"photo": path.name if path else "", "question": question}
    if path is None:
        return {**told, "error": NO_PHOTO}
    try:
        told["question"] = prompts.question(question if isinstance(question, str) else "")
        reader = ready(models)
        faces = reader.detect(images.load(path))
        answers = [_answered(reader, face, str(told["question"])) for face in faces]
    except (ValueError, images.ImageError, ReadingError) as error:
        return {**told, "error": str(error)}
    if not faces:
        return {**told, "error": NO_FACE}
    return {**told, "voice": reader.voice.name, "faces": answers}


def _answered(reader: Reader, face: Face, question: str) -> Json:
    box = [round(float(edge), 2) for edge in face.box]
    if face.problem:
        return {"box": box, "problem": face.problem}
    (answer,) = reader.answer(Reading(face), [question]).answers
    return {"box": box, "answer": answer.answer}


def _batch(models: Models, paths: tuple[Path, ...], most: int) -> Json:
    from ferce.report import to_json

    if not paths:
        return {"error": NO_PHOTOS}
    reader = ready(models)
    try:
        with pile.opened(paths, most) as items:
            return to_json((batching.report_of(reader, item) for item in items), reader.models)
    except ValueError as error:
        return {"error": str(error)}
