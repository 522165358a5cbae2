"""The same photographs through the whole app: its detector, alignment, refusals and decision."""

from pathlib import Path
from typing import Any

import numpy as np

from ferce import images
from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import Classifier
from ferce.core.types import ReadingError
from ferce.data.align import detector_here, packaged, release
from ferce.data.record import Problem, Sample, pixels
from ferce.evaluation.classification import class_numbers, lost_are_wrong
from ferce.evaluation.pictures import lost
from ferce.evaluation.plan import Plan, Table, Tools, rows_of, watched
from ferce.reading.pipeline import NO_FACE, Options, Reader

FILE = "end_to_end.csv"
COLUMNS = ("name", "label", "subject", "status", "reason", "faces", "state", "decided", "top")


def measure(plan: Plan, classifier: Classifier, folder: Path, tools: Tools) -> Table:
    """Read every picture of the split as the app does, into `end_to_end.csv`."""
    table = Table(folder / FILE, COLUMNS)
    done = table.done()
    rows = (row for row in rows_of(plan.end_to_end, plan.split) if row.name not in done)
    try:
        reader = Reader(classifier, detector=detector_here(packaged))
        for row in watched(rows, "end to end", tools.shown):
            known = {} if isinstance(row, Problem) else _known(row)
            cells = lost(row) if isinstance(row, Problem) else _read(reader, row)
            table.append([known | cells | {"name": row.name}])
    finally:
        release()
    return table


def _known(sample: Sample) -> dict[str, Any]:
    return {"label": sample.label, "subject": sample.subject}


def _read(reader: Reader, sample: Sample) -> dict[str, Any]:
    """Read the largest face, as the app would show it."""
    try:
        faces = reader.detect(pixels(sample))
        if not faces:
            return {"status": "lost", "reason": NO_FACE, "faces": 0}
        *_, reading = reader.stream(faces[0], Options(method=None, explain=False))
    except (images.ImageError, OSError, ReadingError) as error:
        return {"status": "lost", "reason": str(error)}
    prediction = reading.prediction
    if prediction is None:
        return {"status": "refused", "reason": reading.reason, "faces": len(faces)}
    return {
        "status": "read",
        "faces": len(faces),
        "state": prediction.state,
        "decided": prediction.label,
        "top": prediction.compound,
    }


def figures(table: Table) -> dict[str, Any]:
    """Compute figures over all pictures labelled with a compound; lost and refused ones are wrong.

    `choice` is the most probable of the 14; `decision` is what the app says, which may be a single
    emotion, neutral or unclear, all wrong here.
    """
    rows = [row for row in table.rows() if row["label"] in COMPOUNDS]
    every = list(table.rows())
    truth = class_numbers(np.array([row["label"] for row in rows], np.str_))
    named = {key: np.array([row[key] for row in rows], np.str_) for key in ("top", "decided")}
    return {
        "pictures": len(every),
        "lost": sum(row["status"] == "lost" for row in every),
        "refused": sum(row["status"] == "refused" for row in every),
        "choice": lost_are_wrong(truth, class_numbers(named["top"])),
        "decision": lost_are_wrong(truth, class_numbers(named["decided"])),
    }
