"""A timeline as JSON, CSV, text and a page: what each says of a clip, and who writes it."""

import base64
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO

from ferce.core import notice
from ferce.core.labels import OUTCOMES, alone
from ferce.core.parts import Report
from ferce.facs.action_units import UNITS
from ferce.reading.video import plot
from ferce.reading.video.expression import Expression
from ferce.reading.video.timeline import (
    Moment,
    Sample,
    Timeline,
    Track,
    clock,
    facts,
    lines,
    summary,
)
from ferce.report.face import bdi, escape
from ferce.report.files import Sink
from ferce.report.page import HtmlWriter
from ferce.report.table import disarmed
from ferce.report.text import plain

Json = dict[str, Any]


def to_json(timelines: Iterable[Timeline], models: Mapping[str, str]) -> Json:
    """Collect several clips in one object: `clips`, `models` (role -> spec), `notice`."""
    clips = [clip_to_json(timeline) for timeline in timelines]
    return {"clips": clips, "models": dict(models), "notice": notice.FULL}


class ClipsWriter:
    """A writer of `to_json(...)` clip by clip."""

    def __init__(self, file: TextIO, models: Mapping[str, str]) -> None:
        self._file, self._models, self._count = file, models, 0

    def put(self, entry: Json) -> None:
        """Write what `clip_to_json` gave."""
        self._file.write((", " if self._count else '{"clips": [') + _dumps(entry))
        self._count += 1

    def finish(self) -> None:
        """Write the models and the notice."""
        start = "" if self._count else '{"clips": ['
        models, words = _dumps(dict(self._models)), _dumps(notice.FULL)
        self._file.write(f'{start}], "models": {models}, "notice": {words}}}\n')


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def clip_to_json(timeline: Timeline) -> Json:
    """Describe one clip: its measures, `tracks` and `moments`."""
    return {
        "clip": timeline.name,
        "size": list(timeline.size),
        "duration": round(timeline.duration, 3),
        "rate": timeline.rate and round(timeline.rate, 3),
        "frames": timeline.frames,
        "faceless": timeline.faceless,
        "unreadable": timeline.unreadable,
        "complete": timeline.complete,
        "seconds": round(timeline.spent, 3),
        "tracks": [_track(track) for track in timeline.tracks],
        "moments": [_moment(moment) for moment in timeline.moments],
    }


def _track(track: Track) -> Json:
    """Describe a face: its samples column by column, so that a plot needs no rearranging."""
    readable = track.read
    shares = [sample.smooth.shares for sample in readable if sample.smooth is not None]
    units = [sample.smooth.intensities for sample in readable if sample.smooth is not None]
    return {
        "face": track.number,
        "frames": len(track.samples),
        "problems": sorted({sample.problem for sample in track.samples if sample.problem}),
        "seconds": [round(sample.seconds, 3) for sample in readable],
        "labels": [sample.label for sample in readable],
        "boxes": [[round(edge, 1) for edge in sample.box] for sample in readable],
        "shares": {
            name: [round(float(row[k]), 4) for row in shares] for k, name in enumerate(OUTCOMES)
        },
        "action_units": {
            unit.code: [round(float(row[k]), 4) for row in units]
            for k, unit in enumerate(UNITS.values())
            if _ever_read(readable, k)
        },
    }


def _ever_read(samples: Iterable[Sample], k: int) -> bool:
    return any(sample.smooth is not None and sample.smooth.confidences[k] > 0 for sample in samples)


def _moment(moment: Moment) -> Json:
    explanation = moment.reading and moment.reading.explanation
    return {
        "face": moment.track,
        "frame": moment.frame,
        "seconds": round(moment.seconds, 3),
        "kind": moment.kind,
        "label": moment.label,
        "strength": round(moment.strength, 4),
        "words": moment.words,
        "explanation": explanation
        and {
            "text": explanation.text,
            "composed": explanation.composed,
            "revised": moment.reading and moment.reading.revised and moment.reading.revised.text,
            "claims": [
                {"text": cue.text, "seen": cue.seen, "evidence": cue.evidence}
                for cue in explanation.cues
            ],
        },
    }


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _measures(prefix: str, words: str) -> dict[str, str]:
    shares = {prefix + _key(name): f"P({alone(name)}), {words}" for name in OUTCOMES}
    units = {f"{prefix}AU{n}": f"{unit.name}, 0..1, {words}" for n, unit in UNITS.items()}
    return shares | units


# What each column holds; a face that must not be read has a problem and no numbers.
DESCRIPTIONS: dict[str, str] = {
    "clip": "its name",
    "frame": "number in the clip, from 0",
    "seconds": "since the clip's start",
    "face": "number of the track, from 1",
    "x0": "left edge of the face's box, pixels of the clip",
    "y0": "top edge",
    "x1": "right edge",
    "y1": "bottom edge",
    "problem": "why the face must not be read in this frame; else empty",
    "state": "compound, basic, neutral or unclear, after smoothing",
    "label": "what the expression resembles, after smoothing",
    **_measures("", "smoothed"),
    **_measures("raw_", "of this frame alone"),
}


COLUMNS: tuple[str, ...] = tuple(DESCRIPTIONS)


HEADER = ",".join(COLUMNS) + "\n"


def write_rows(timelines: Iterable[Timeline], file: TextIO) -> None:
    """Write a header and one row a frame a face, by time, into an open text file."""
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for timeline in timelines:
        writer.writerows(rows(timeline))


def rows(timeline: Timeline) -> Iterator[dict[str, object]]:
    """List the rows of a timeline, by frame and then by face."""
    every = [(sample, track) for track in timeline.tracks for sample in track.samples]
    for sample, track in sorted(every, key=lambda pair: (pair[0].frame, pair[1].number)):
        yield {"clip": disarmed(timeline.name), **_row(sample, track)}


def _row(sample: Sample, track: Track) -> dict[str, object]:
    edges = zip(("x0", "y0", "x1", "y1"), sample.box, strict=True)
    cells: dict[str, object] = {
        "frame": sample.frame,
        "seconds": round(sample.seconds, 4),
        "face": track.number,
        **{name: round(edge, 1) for name, edge in edges},
        "problem": sample.problem or "",
    }
    if sample.prediction is None or sample.smooth is None or sample.raw is None:
        return cells
    cells |= {"state": sample.prediction.state, "label": sample.prediction.label or ""}
    return cells | _numbers("", sample.smooth) | _numbers("raw_", sample.raw)


def _numbers(prefix: str, expression: Expression) -> dict[str, object]:
    """List values in the order of `_measures`; a unit that cannot be read stays empty."""
    units = [
        round(float(seen), 4) if sure > 0 else ""
        for seen, sure in zip(expression.intensities, expression.confidences, strict=True)
    ]
    values: list[object] = [*(round(float(value), 4) for value in expression.shares), *units]
    return dict(zip(_measures(prefix, ""), values, strict=True))


def entries(timeline: Timeline, formats: Iterable[str]) -> dict[str, Any]:
    """Format -> its entry, which is JSON data."""
    make: dict[str, Callable[[Timeline], Any]] = {
        "json": clip_to_json,
        "csv": _rows,
        "text": _text,
    }
    return {name: make[name](timeline) for name in formats}


def sink(name: str, file: TextIO, models: Mapping[str, str]) -> Sink:
    """Open the writer of a format."""
    if name == "json":
        return ClipsWriter(file, models)
    return _Plain(file, HEADER if name == "csv" else "")


class _Plain:
    """A writer of a header and then each entry as it is."""

    def __init__(self, file: TextIO, header: str) -> None:
        self._file = file
        self._file.write(header)

    def put(self, entry: str) -> None:
        """Write one clip at once, so that a reader of a pipe sees it."""
        self._file.write(entry)
        self._file.flush()

    def finish(self) -> None:
        """Write nothing after the last clip."""


def _rows(timeline: Timeline) -> str:
    file = io.StringIO()
    write_rows([timeline], file)
    return file.getvalue().removeprefix(HEADER)


def _text(timeline: Timeline) -> str:
    return "".join(map(_line, lines(timeline)))


def _line(text: str) -> str:
    """Remove control characters, but keep the indent."""
    return " " * (len(text) - len(text.lstrip())) + plain(text) + "\n"


def to_html(timeline: Timeline) -> str:
    """Write the page of a clip: what each face resembled, over time and at its key moments."""
    file = io.StringIO(newline="")
    with HtmlWriter(file, timeline.models, title=f"Expressions in {timeline.name}") as writer:
        writer.put(_entry(timeline))
        for report in _moments(timeline):
            writer.add(report)
        writer.finish()
    return file.getvalue()


def _entry(timeline: Timeline) -> dict[str, object]:
    lines = "".join(f"<li>Face {t.number}: {escape(summary(t))}</li>" for t in timeline.tracks)
    about = f'<p class="facts">{escape(facts(timeline))}</p><ul>{lines}</ul>'
    head = f"<h2>{bdi(timeline.name)}</h2>{about}{_picture(timeline)}"
    return {
        "photo": timeline.name,
        "said": facts(timeline),
        "failed": False,
        "labels": [],
        "head": head,
        "faces": [],
    }


def _picture(timeline: Timeline) -> str:
    """Draw the probabilities over time; nothing where no face could be read."""
    if not any(track.read for track in timeline.tracks):
        return '<p class="error">No face could be read in this clip.</p>'
    drawn = io.BytesIO()
    plot.draw(timeline, drawn)
    data = base64.b64encode(drawn.getvalue()).decode()
    words = "Probabilities and action units of each face over time"
    source = f"data:image/png;base64,{data}"
    return f'<figure class="timeline"><img src="{source}" alt="{words}"></figure>'


def _moments(timeline: Timeline) -> Iterator[Report]:
    """List the key moments that were read in full, each named by its time."""
    for moment in timeline.moments:
        if moment.reading is not None:
            name = f"{clock(moment.seconds)}, face {moment.track}: {moment.words}"
            yield Report(name, readings=(moment.reading,))
