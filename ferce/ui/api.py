"""The named endpoints: what a program may ask of the page, with documented parameters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from ferce import images, prompts
from ferce.errors import ReadingError
from ferce.pipeline import NO_FACE, Reader
from ferce.types import Face
from ferce.ui import uploads
from ferce.ui.loading import QUEUE, Models

NO_PHOTO = "No photo was sent; upload one as `photo`."
Json = dict[str, Any]


def endpoints(models: Models, readers: int) -> None:
    """`/read` and `/ask`; call inside `gr.Blocks`."""

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

    for function, result in ((read, "reading"), (ask, "answers")):
        _endpoint(function, result, readers)


def _endpoint(function: Callable[..., Json], result: str, readers: int) -> None:
    inputs: list[Any] = [gr.Image(label="photo", visible=False)]
    if function.__name__ == "ask":
        inputs.append(gr.Textbox(label="question", visible=False))
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
    return photo_to_json(_reader(models).read(path, name=path.name))


def _ask(models: Models, path: Path | None, question: object) -> Json:
    told = {"photo": path.name if path else "", "question": question}
    if path is None:
        return {**told, "error": NO_PHOTO}
    try:
        told["question"] = prompts.question(question if isinstance(question, str) else "")
        reader = _reader(models)
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
    (answer,) = reader.voice.answer(face, [question])
    return {"box": box, "answer": answer.answer}


def _reader(models: Models) -> Reader:
    while not models.wait(60):
        pass
    if models.reader is None:
        raise gr.Error(models.failure or "There are no models.", print_exception=False)
    return models.reader
