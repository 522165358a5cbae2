"""Readings as a table: one row a face, the same columns always."""

import csv
import io
import json
from typing import Any, TextIO

from ferce.core.labels import BASICS, COMPOUNDS, OUTCOMES, alone
from ferce.core.parts import Cue, Reading, Report
from ferce.core.types import REGIONS
from ferce.facs.action_units import UNITS

_SEEN = ("supported", "contradicted", "cannot be told")
_USED = ("used", "not used")


def _key(name: str) -> str:
    return name.replace(" ", "_")


# What each column holds; a photo that could not be read has one row, with photo and error alone.
DESCRIPTIONS: dict[str, str] = {
    "photo": "path as it was given",
    "error": "why the photo could not be read; else empty",
    "width": "of the photo, pixels",
    "height": "of the photo, pixels",
    "seconds": "to read the photo, all faces",
    "face": "number of the face in the photo, from 1, largest first",
    "faces": "faces in the photo",
    **{
        name: f"edge of the face's box ({words}), pixels of the photo"
        for name, words in zip(
            ("x0", "y0", "x1", "y1"), ("left", "top", "right", "bottom"), strict=True
        )
    },
    "face_size": "larger side of the face, pixels of the photo",
    "sharpness": "of the face; low is blurred",
    "yaw": "degrees, above 0 faces the picture's right",
    "pitch": "degrees, above 0 looks up",
    "roll": "degrees, above 0 leans clockwise in the picture",
    "state": "compound, basic, neutral or unclear",
    "reason": "one sentence on the state",
    "label": "what the expression resembles; empty when unclear",
    "set": "outcomes that hold the true one with 90 %, joined by '; '",
    **{f"p_{_key(name)}": f"probability of {alone(name)}, 0..1" for name in OUTCOMES},
    **{f"given_{_key(name)}": f"the same if a compound shows: {name}, 0..1" for name in COMPOUNDS},
    **{f"component_{name}": f"sum of the outcomes that hold {name}, 0..1" for name in BASICS},
    **{f"au{n}": f"intensity of AU{n} ({row.name}), 0..1" for n, row in UNITS.items()},
    **{f"au{n}_confidence": f"0 when AU{n} cannot be read here, 1 sure" for n in UNITS},
    "heat_method": "how the heat map was made",
    "heat_label": "the label whose evidence the heat map shows",
    **{f"heat_{name}": f"share of the heat in the {name}, 0..1" for name in REGIONS},
    "explanation": "text",
    **{f"claims_{_key(name)}": f"claims of the text that the face: {name}" for name in _SEEN},
    **{f"claims_{_key(name)}": f"claims whose region the model has {name}" for name in _USED},
    "answers": "JSON list of question and answer",
    "faithfulness": "JSON object, measure to value",
    "note": "what of the photo's file was not read; else empty",
}

COLUMNS: tuple[str, ...] = tuple(DESCRIPTIONS)
# What a formula begins with; in Japanese and Chinese also the wide signs.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class CsvWriter:
    r"""Writes rows as they come: UTF-8, a header, commas, "\n", empty cells for what is not there.

    Text that a spreadsheet would take for a formula gets an apostrophe before it, see `disarmed`.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._file.write(",".join(COLUMNS) + "\n")

    def add(self, report: Report) -> None:
        """Write the rows of one photo."""
        self.put(lines(report))

    def put(self, entry: str) -> None:
        """Write what `lines` gave."""
        self._file.write(entry)

    def finish(self) -> None:
        """End the table; nothing follows the last row."""


def lines(report: Report) -> str:
    """Write the rows of one photo as text, each with its line's end."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    for row in rows(report):
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def rows(report: Report) -> list[dict[str, Any]]:
    """Make one dict a face, its keys among `COLUMNS`."""
    if report.error is not None:
        return [{"photo": report.photo, "error": report.error}]
    width, height = report.size or (None, None)
    photo = {
        "photo": report.photo,
        "width": width,
        "height": height,
        "seconds": report.seconds,
        "note": report.note,
        "faces": len(report.readings),
    }
    return [photo | {"face": i} | _row(r) for i, r in enumerate(report.readings, 1)]


def _row(reading: Reading) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(("x0", "y0", "x1", "y1"), reading.face.box, strict=True))
    row |= {"state": reading.state, "reason": reading.reason}
    row |= _face_cells(reading) | _prediction_cells(reading) | _heat_cells(reading)
    if reading.answers:
        row["answers"] = _json(
            [{"question": a.question, "answer": a.answer} for a in reading.answers]
        )
    if reading.explanation:
        row["explanation"] = reading.explanation.text
        row |= _claim_cells(reading.explanation.cues)
    if reading.faithfulness:
        row["faithfulness"] = _json(dict(reading.faithfulness.measures))
    return row


def _face_cells(reading: Reading) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    if quality := reading.face.quality:
        cells |= {"face_size": quality.size, "sharpness": quality.sharpness}
        cells |= {"yaw": quality.yaw, "pitch": quality.pitch, "roll": quality.roll}
    for number, unit in reading.face.units.items():
        cells |= {f"au{number}": unit.intensity, f"au{number}_confidence": unit.confidence}
    return cells


def _prediction_cells(reading: Reading) -> dict[str, Any]:
    prediction = reading.prediction
    if prediction is None:
        return {}
    cells: dict[str, Any] = {"label": prediction.label, "set": "; ".join(prediction.set)}
    cells |= {f"p_{_key(name)}": value for name, value in prediction.outcomes.items()}
    cells |= {f"given_{_key(name)}": value for name, value in prediction.compounds.items()}
    return cells | {f"component_{name}": value for name, value in prediction.components.items()}


def _heat_cells(reading: Reading) -> dict[str, Any]:
    heat = reading.heatmap
    if heat is None:
        return {}
    cells: dict[str, Any] = {"heat_method": heat.method, "heat_label": heat.label}
    return cells | {f"heat_{name}": share for name, share in heat.regions.items()}


def _claim_cells(cues: tuple[Cue, ...]) -> dict[str, int]:
    """Count the verdicts; nothing where no claim was checked by the face, or by the model."""
    cells: dict[str, int] = {}
    if any(cue.seen is not None for cue in cues):
        cells |= {f"claims_{_key(v)}": sum(cue.seen == v for cue in cues) for v in _SEEN}
    if any(cue.used is not None for cue in cues):
        cells |= {f"claims_{_key(v)}": sum(cue.used == v for cue in cues) for v in _USED}
    return cells


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=float)


def disarmed(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would take for a formula."""
    return f"'{text}" if text.startswith(FORMULAS) else text


def _cell(value: object) -> object:
    if isinstance(value, str):
        return disarmed(value)
    if value is None or isinstance(value, int):
        return value
    return round(float(value), 6)  # type: ignore[arg-type]
