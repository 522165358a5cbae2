"""A timeline as CSV: one row a frame a face, the same columns always."""

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.facs.action_units import UNITS
from ferce.reading.video.expression import Expression
from ferce.reading.video.timeline import Sample, Timeline, Track


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _measures(prefix: str, words: str) -> dict[str, str]:
    classes = {prefix + _key(name): f"P({name}) given two emotions, {words}" for name in COMPOUNDS}
    single = {prefix + name: f"P({name} alone), {words}" for name in BASICS}
    units = {f"{prefix}AU{n}": f"{unit.name}, 0..1, {words}" for n, unit in UNITS.items()}
    return {**classes, **single, prefix + NEUTRAL: f"P(neutral), {words}", **units}


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
    """The rows of a timeline, by frame and then by face."""
    every = [(sample, track) for track in timeline.tracks for sample in track.samples]
    for sample, track in sorted(every, key=lambda pair: (pair[0].frame, pair[1].number)):
        yield {"clip": _plain(timeline.name), **_row(sample, track)}


def _plain(name: str) -> str:
    """A name that a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@") else name


def _row(sample: Sample, track: Track) -> dict[str, object]:
    edges = zip(("x0", "y0", "x1", "y1"), sample.box, strict=True)
    told: dict[str, object] = {
        "frame": sample.frame,
        "seconds": round(sample.seconds, 4),
        "face": track.number,
        **{name: round(edge, 1) for name, edge in edges},
        "problem": sample.problem or "",
    }
    if sample.prediction is None or sample.smooth is None or sample.raw is None:
        return told
    told |= {"state": sample.prediction.state, "label": sample.prediction.label or ""}
    return told | _numbers("", sample.smooth) | _numbers("raw_", sample.raw)


def _numbers(prefix: str, expression: Expression) -> dict[str, object]:
    """Values in the order of `_measures`; a unit that cannot be read stays empty."""
    head = [*expression.classes, *expression.single, expression.neutral]
    units = [
        round(float(seen), 4) if sure > 0 else ""
        for seen, sure in zip(expression.intensities, expression.confidences, strict=True)
    ]
    values: list[object] = [*(round(float(value), 4) for value in head), *units]
    return dict(zip(_measures(prefix, ""), values, strict=True))
