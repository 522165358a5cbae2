"""A timeline as plain data: what `--json` writes and what the endpoint `/video` answers."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from ferce.core import notice
from ferce.facs.action_units import UNITS
from ferce.facs.posterior import HYPOTHESES
from ferce.reading.video.timeline import Moment, Sample, Timeline, Track

Json = dict[str, Any]


def to_json(timelines: Iterable[Timeline], models: Mapping[str, str]) -> Json:
    """Several clips as one object: `clips`, `models` (role -> spec), `notice`."""
    clips = [clip_to_json(timeline) for timeline in timelines]
    return {"clips": clips, "models": dict(models), "notice": notice.FULL}


class ClipsWriter:
    """Writes `to_json(...)` clip by clip."""

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
    """One clip: its measures, `tracks` and `moments`."""
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
    """A face: its samples column by column, so that a plot needs no rearranging."""
    told = track.read
    shares = [sample.smooth.shares for sample in told if sample.smooth is not None]
    units = [sample.smooth.intensities for sample in told if sample.smooth is not None]
    return {
        "face": track.number,
        "frames": len(track.samples),
        "problems": sorted({sample.problem for sample in track.samples if sample.problem}),
        "seconds": [round(sample.seconds, 3) for sample in told],
        "labels": [sample.label for sample in told],
        "boxes": [[round(edge, 1) for edge in sample.box] for sample in told],
        "shares": {
            name: [round(float(row[k]), 4) for row in shares] for k, name in enumerate(HYPOTHESES)
        },
        "action_units": {
            unit.code: [round(float(row[k]), 4) for row in units]
            for k, unit in enumerate(UNITS.values())
            if _ever_read(told, k)
        },
    }


def _ever_read(samples: Iterable[Sample], k: int) -> bool:
    return any(sample.smooth is not None and sample.smooth.confidences[k] > 0 for sample in samples)


def _moment(moment: Moment) -> Json:
    told = moment.reading and moment.reading.explanation
    return {
        "face": moment.track,
        "frame": moment.frame,
        "seconds": round(moment.seconds, 3),
        "kind": moment.kind,
        "label": moment.label,
        "strength": round(moment.strength, 4),
        "words": moment.words,
        "explanation": told
        and {
            "text": told.text,
            "revised": moment.reading and moment.reading.revised and moment.reading.revised.text,
            "claims": [
                {"text": cue.text, "seen": cue.seen, "evidence": cue.evidence} for cue in told.cues
            ],
        },
    }
