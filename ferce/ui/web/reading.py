"""A photo on the page: its faces, the parts of a reading as they become ready, and its files."""

import io
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from ferce import images
from ferce.core.parts import Reading, Report
from ferce.core.types import Face, ReadingError
from ferce.models import prompts
from ferce.reading.pipeline import Options, Reader
from ferce.report import drawing, poster, to_json
from ferce.report.page import HtmlWriter
from ferce.ui.web import markup
from ferce.ui.web.examples import Examples, title
from ferce.ui.web.markup import Update
from ferce.ui.web.panels import choices, prediction, questions, where, why
from ferce.ui.web.runner import Flow, Steps, load
from ferce.ui.web.session import READ, Session, Work

HELLO = "Choose a photo: drop a file, paste it, or use the camera."
NO_FACE = "No face was found. Try a photo with a face that is larger, lit and turned to the camera."
# Asked in one go: enough for a model to share its work, few enough for rows to appear early.
_AT_ONCE = 4
_CALM = 0.15  # seconds between two drawings of a text that grows
_NONE = Examples()
_WHOLE = Options(beside=True)


def blank(status: str = "") -> Update:
    """Draw the page before a photograph was chosen."""
    panels = {"prediction": prediction.blank(), "where": where.blank(), "why": why.blank()}
    asked = {"questions": questions.blank(), "asked": ""}
    top = {"status": status or markup.status(HELLO), "faces": "", "raw": ""}
    return {**top, "looks": choices.blank(), **panels, **asked}


def waiting(words: str) -> Update:
    """Draw the page from the moment of choice until the first part is there."""
    panels = {"prediction": prediction.waiting(), "where": where.waiting(), "why": why.waiting()}
    asked = {"questions": questions.waiting(), "asked": ""}
    top = {"status": markup.status(words, "busy"), "raw": ""}
    return {**top, **panels, "looks": choices.blank(), **asked}


@dataclass(frozen=True)
class ReadPhoto(Flow):
    """Read the photo of the page, or the face of it that was picked; examples are read once."""

    turns = READ
    fault = "This photo could not be read because of a fault in ferce. The server's log says more."

    examples: Examples = _NONE

    def steps(self, session: Session) -> Steps:
        """Find the faces, then read the largest that may be read, or the one picked."""
        work = session.work
        if work.path is None:
            return
        reader = yield from load(work.models, "photo is")
        digest = None if work.faces else self.examples.digest(work.path)
        if digest in work.models.kept:
            _recall(work, work.models.kept[digest])
        if not work.faces:
            _find_faces(reader, work, work.path)
        busy = markup.status("Reading the face.", "busy")
        yield {"faces": markup.faces(work.faces, work.picked, work.photo), "status": busy}
        if work.picked in work.readings:
            work.newest = work.readings[work.picked]
            yield _draw(reader, work, work.newest)
        else:
            yield from _read_face(reader, work, work.faces[work.picked])
        reading = work.readings[work.picked]
        if digest:
            work.models.kept.setdefault(digest, replace(work, readings=dict(work.readings)))
        links = _draw_files(work.report(), reading, reader.models)
        status = _example(work.path) if digest else _summary(work)
        yield {**_draw(reader, work, reading), "status": status, "raw": links}

    def refuse(self, _: Session, words: str) -> Update:
        """Clear the page and say why."""
        return blank(markup.status(markup.text(words), "sorry"))


def _recall(work: Work, kept: Work) -> None:
    """Take over what was read of the same photo before."""
    work.photo, work.faces, work.picked = kept.photo, list(kept.faces), kept.picked
    work.readings, work.unanswered = dict(kept.readings), dict(kept.unanswered)
    work.seconds = kept.seconds


def _find_faces(reader: Reader, work: Work, path: Path) -> None:
    started = time.monotonic()
    loaded = images.load_noted(path)
    work.photo, work.note = loaded.pixels, loaded.note
    work.faces = reader.detect(work.photo)
    work.seconds = time.monotonic() - started
    if not work.faces:
        raise ReadingError(NO_FACE)
    work.picked = next((i for i, face in enumerate(work.faces) if not face.problem), 0)


def _read_face(reader: Reader, work: Work, face: Face) -> Iterator[Update]:
    """Draw each part as soon as it is there; only complete readings are kept."""
    started, told, before = time.monotonic(), 0.0, Reading(face)
    for reading in _parts(reader, work, face):
        work.newest = reading
        if time.monotonic() - told < _CALM and _grows(before, reading):
            yield {}  # a step at which a newer turn ends this one
            continue
        yield _draw_changes(reader, work, before, reading)
        before, told = reading, time.monotonic()
    newest = work.newest or before
    if newest.prediction is not None:
        yield _draw_changes(reader, work, before, newest)
        yield from _answer_questionnaire(reader, work, newest)
    work.seconds += time.monotonic() - started
    work.readings[work.picked] = work.newest or before


def _parts(reader: Reader, work: Work, face: Face) -> Iterator[Reading]:
    """Read the face, or only explain it where its prediction and maps are there."""
    located = work.located.get(work.picked)
    if located is None or located.prediction is None:
        yield from reader.stream(face, _WHOLE)
    else:
        yield located
        yield from reader.explain(located)


def _answer_questionnaire(reader: Reader, work: Work, reading: Reading) -> Iterator[Update]:
    """Answer it a few questions at a time; `work.newest` grows with it."""
    asked = prompts.questions(reading.prediction)
    for start in range(0, len(asked), _AT_ONCE):
        try:
            reading = reader.answer(reading, asked[start : start + _AT_ONCE])
        except ReadingError as error:  # the rest of the reading stands without it
            work.unanswered[work.picked] = str(error)
            yield {"questions": questions.draw(reading, trouble=str(error))}
            return
        work.newest = reading
        yield {"questions": questions.draw(reading)}


def _draw_changes(reader: Reader, work: Work, before: Reading, after: Reading) -> Update:
    """Draw the panels whose part has changed; those still empty keep waiting."""
    update: Update = {}
    if after.prediction != before.prediction:
        update["prediction"] = prediction.draw(after)
    if after.heatmap is not before.heatmap or after.beside is not before.beside:
        update |= _draw_map(reader, work, after)
    if _text(after) != _text(before):
        update["why"] = why.draw(after)
    return update


def _grows(before: Reading, after: Reading) -> bool:
    """Whether nothing is new but a text that is still being written."""
    was, now = before.explanation, after.explanation
    if was is None or now is None or now.cues:
        return False
    return (before.heatmap, before.beside, before.revised) == (
        *(after.heatmap, after.beside, after.revised),
    )


def _text(reading: Reading) -> tuple[object, ...]:
    return reading.explanation, reading.revised, reading.faithfulness


def _draw_map(reader: Reader, work: Work, reading: Reading) -> Update:
    """Draw the map, and the lists to ask for another one."""
    methods = choices.methods(reader.classifier, reading.face)
    wanted = work.maps[work.picked][0] if work.picked in work.maps else None
    return {"looks": choices.draw(reading, methods, wanted), "where": draw_chosen(work, reading)}


def draw_chosen(work: Work, reading: Reading, trouble: str = "") -> str:
    """Draw the maps that the visitor chose, or else those of the reading."""
    wanted, shown = work.maps.get(work.picked, (None, reading))
    model = reading.prediction.model if reading.prediction else ""
    return where.draw(shown, wanted, trouble, model)


def _draw(reader: Reader, work: Work, reading: Reading) -> Update:
    """Draw every panel."""
    if reading.prediction is None:
        return {
            "prediction": prediction.refused(reading.reason),
            "looks": choices.blank(),
            "where": where.refused(reading.face),
            "why": why.refused(),
            "questions": questions.refused(),
            "asked": "",
        }
    return {
        "prediction": prediction.draw(reading),
        **_draw_map(reader, work, reading),
        "why": why.draw(reading),
        "questions": questions.draw(reading, work.unanswered.get(work.picked, "")),
        "asked": questions.own(work.answers),
    }


def _example(path: Path) -> str:
    return markup.status(f"{markup.text(title(path))}. Choose a photo of your own above.")


def _summary(work: Work) -> str:
    count = len(work.faces)
    faces = "1 face" if count == 1 else f"{count} faces, no. {work.picked + 1} shown"
    note = f" · {markup.text(work.note)}" if work.note else ""
    return markup.status(f"{faces} · read in {work.seconds:.1f}&thinsp;s{note}")


def _draw_files(report: Report, shown: Reading, models: Mapping[str, str]) -> str:
    """Draw the links and the JSON; each file is inside its link, so nothing is stored.

    Args:
        report: the photograph with all that was read of it.
        shown: the reading on the page, of which the picture is.
        models: role -> spec.
    """
    document = to_json([report], models)
    text = json.dumps(document, ensure_ascii=False, indent=2)
    stem = PurePath(report.photo).stem
    page, *others = (
        markup.download(f"{stem}.ferce.{suffix}", words, media, data)
        for suffix, words, media, data in _files(report, shown, models, text)
    )
    links = "".join([page, markup.printing(), *others])
    return (
        f'<div class="raw"><span class="links">{links}</span>'
        '<details><summary>Show JSON</summary><pre tabindex="0">'
        f"{markup.text(text)}</pre></details></div>"
    )


def _files(
    report: Report, shown: Reading, models: Mapping[str, str], text: str
) -> Iterator[tuple[str, str, str, bytes]]:
    """Make each file: suffix, words, media type and content."""
    page = _page(report, models).encode("utf-8", "backslashreplace")
    yield "html", "Save report (HTML)", "text/html", page
    if shown.prediction is not None:
        picture = drawing.encode(poster.draw(shown))
        yield "png", "Save card to share (PNG)", "image/png", picture
    yield "json", "Save numbers (JSON)", "application/json", text.encode()


def _page(report: Report, models: Mapping[str, Any]) -> str:
    """Write the report on the faces that were read; those not picked yet are left out."""
    read = tuple(one for one in report.readings if one.prediction or one.face.problem)
    file = io.StringIO(newline="")
    with HtmlWriter(file, models) as writer:
        writer.add(replace(report, readings=read))
        writer.finish()
    return file.getvalue()
