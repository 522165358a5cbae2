"""Readings as plain data: the JSON of schema 2, every key described in `schema.json`."""

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from ferce.core import notice
from ferce.core.parts import Cue, Prediction, Reading, Report
from ferce.core.types import Face, UnitEvidence
from ferce.facs.prototypes import ACTIVE, TRUSTED, UNITS

SCHEMA = 2

Json = dict[str, Any]


def to_json(reports: Iterable[Report], models: Mapping[str, str]) -> Json:
    """Convert reports to one object: `schema`, `photos`, `models` (role -> spec), `notice`."""
    return {
        "schema": SCHEMA,
        "photos": [photo_to_json(report) for report in reports],
        "models": dict(models),
        "notice": notice.FULL,
    }


@functools.cache
def json_schema() -> Json:
    """Load the JSON Schema (draft 2020-12) that every result of `to_json` obeys."""
    schema: Json = json.loads(Path(__file__).with_name("schema.json").read_text("utf-8"))
    return schema


def photo_to_json(report: Report) -> Json:
    """Convert one photo: `photo`, `size`, `seconds`, `faces`, `note`; or `photo`, `error`."""
    if report.error is not None:
        return {"photo": report.photo, "error": report.error}
    return {
        "photo": report.photo,
        "size": list(report.size) if report.size else None,
        "seconds": _number(report.seconds, 4),
        "faces": [_reading(reading) for reading in report.readings],
        "note": report.note or None,
    }


class JsonWriter:
    """Writes the JSON photo by photo, one a line; `models` may fill until the end."""

    def __init__(self, file: TextIO, models: Mapping[str, str]) -> None:
        self._file, self._models, self._count = file, models, 0

    def add(self, report: Report) -> None:
        """Write one photo."""
        self.put(photo_to_json(report))

    def put(self, entry: Json) -> None:
        """Write what `photo_to_json` gave."""
        start = ",\n" if self._count else f'{{"schema": {SCHEMA}, "photos": [\n'
        self._file.write(start + _dumps(entry))
        self._count += 1

    def finish(self) -> None:
        """Write the models and the notice."""
        if not self._count:
            self._file.write(f'{{"schema": {SCHEMA}, "photos": [')
        models, words = _dumps(dict(self._models)), _dumps(notice.FULL)
        self._file.write(f'\n], "models": {models}, "notice": {words}}}\n')


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _number(value: float | None, digits: int = 6) -> float | None:
    """Round to a plain float; numpy's scalars are no JSON."""
    return None if value is None else round(float(value), digits)


def _numbers(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _reading(reading: Reading) -> Json:
    heat, explanation, faithful = reading.heatmap, reading.explanation, reading.faithfulness
    return {
        "box": [_number(edge, 2) for edge in reading.face.box],
        "state": reading.state,
        "reason": reading.reason,
        "quality": _quality(reading.face),
        "prediction": _prediction(reading.prediction) if reading.prediction else None,
        "action_units": [_unit(unit) for unit in reading.face.units.values()],
        "heatmap": heat
        and {"method": heat.method, "label": heat.label, "regions": _numbers(heat.regions)},
        "answers": [{"question": a.question, "answer": a.answer} for a in reading.answers],
        "explanation": explanation
        and {
            "text": explanation.text,
            "composed": explanation.composed,
            "cues": [_cue(cue) for cue in explanation.cues],
            "revised": reading.revised and reading.revised.text,
        },
        "faithfulness": faithful
        and {
            "measures": _numbers(faithful.measures),
            "controls": {name: _numbers(row) for name, row in faithful.controls.items()},
        },
    }


def _quality(face: Face) -> Json | None:
    if face.quality is None:
        return None
    names = ("size", "sharpness", "yaw", "pitch", "roll")
    measures = {name: _number(getattr(face.quality, name), 3) for name in names}
    return {**measures, "caution": face.quality.caution}


def _prediction(prediction: Prediction) -> Json:
    return {
        "label": prediction.label,
        "outcomes": _numbers(prediction.outcomes),
        "compounds": _numbers(prediction.compounds),
        "set": list(prediction.set),
        "components": _numbers(prediction.components),
    }


def _unit(evidence: UnitEvidence) -> Json:
    unit = UNITS[evidence.unit]
    return {
        "unit": unit.number,
        "name": unit.name,
        "region": unit.region,
        "intensity": _number(evidence.intensity, 4),
        "confidence": _number(evidence.confidence, 4),
        "left": _number(evidence.left, 4),
        "right": _number(evidence.right, 4),
        "side": evidence.side,
        "active": evidence.intensity >= ACTIVE and evidence.confidence >= TRUSTED,
        "source": evidence.source,
    }


def _cue(cue: Cue) -> Json:
    return {
        "text": cue.text,
        "start": cue.start,
        "end": cue.end,
        "unit": cue.unit,
        "region": cue.region,
        "side": cue.side,
        "negated": cue.negated,
        "hedged": cue.hedged,
        "seen": cue.seen,
        "used": cue.used,
        "evidence": cue.evidence,
    }
