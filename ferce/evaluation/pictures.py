"""The table of every picture of a split: what is known of it and what the model says."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ferce.data.align import Aligned
from ferce.data.record import Problem, Row, Sample, UnitLabel
from ferce.evaluation import units
from ferce.evaluation.faces import Read, Tools, aligned, batches, predicted, rows_of, watched
from ferce.evaluation.plan import EvaluationError, Plan
from ferce.evaluation.table import Table
from ferce.labels import COMPOUNDS
from ferce.protocols import Classifier

FILE = "images.csv"
PROBABILITY = "p:"
QUALITY = ("size", "sharpness", "yaw", "pitch", "roll")
COLUMNS = (
    *("name", "label", "subject", "picture", "status", "reason", "problem"),
    *("top", "state", "decided", "free_text", "neutral", "mass", "calibrated"),
    *(PROBABILITY + name for name in COMPOUNDS),
    *QUALITY,
    *("units", "coded", "seen", "attributes"),
)


def measure(plan: Plan, classifier: Classifier, folder: Path, tools: Tools) -> Table:
    """Every picture of the split in `images.csv`; see `fill`."""
    table = Table(folder / FILE, COLUMNS)
    fill(table, rows_of(plan.data, plan.split), plan, classifier, tools)
    return table


def fill(
    table: Table, rows: Iterable[Row], plan: Plan, classifier: Classifier, tools: Tools
) -> None:
    """Add every picture of `rows` to a table; those that stand there already are not read.

    Raises:
        EvaluationError: a picture has another label than when its row was written, or the model
            cannot answer in its own words though it is asked to.
    """
    if plan.free_text and not hasattr(classifier, "named"):
        raise EvaluationError(f"{plan.model} answers by probabilities only; leave out free text.")
    known: dict[str, Sample] = {}  # of pictures under way, for the rows of those that get lost
    left = _missing(rows, table.done(), known)
    stream = watched(aligned(left, plan.detects, tools), plan.split, tools.shown)
    for batch in batches(stream):
        made = _batch(batch, classifier, plan.free_text)
        table.append(_known(known.pop(row["name"], None)) | row for row in made)


def _missing(
    rows: Iterable[Row], done: Mapping[str, str], known: dict[str, Sample]
) -> Iterator[Row]:
    for row in rows:
        if row.name not in done:
            if isinstance(row, Sample):
                known[row.name] = row
            yield row
        elif isinstance(row, Sample) and (row.label or "") != done[row.name] != "":
            raise EvaluationError(
                f"{row.name} is labelled {row.label!r}, but {done[row.name]!r} in {FILE}: the data "
                "changed; start afresh (--fresh)."
            )


def _batch(
    batch: Sequence[Aligned | Problem], classifier: Classifier, free_text: bool
) -> list[dict[str, Any]]:
    """One row an item, in order, whether it could be read or not."""
    reads = predicted(classifier, [item for item in batch if isinstance(item, Aligned)])
    words = iter(_named(classifier, reads) if free_text else [""] * len(reads))
    found = iter(reads)
    return [
        lost(item) if isinstance(item, Problem) else _row(next(found), next(words))
        for item in batch
    ]


def _named(classifier: Any, reads: Sequence[Read]) -> list[str]:
    return list(classifier.named([read.face for read in reads])) if reads else []


def lost(problem: Problem) -> dict[str, Any]:
    """The row of a picture that cannot be read."""
    return {"name": problem.name, "status": "lost", "reason": problem.reason}


def _known(sample: Sample | None) -> dict[str, Any]:
    """What the data tells of a picture, whether it can be read or not."""
    if sample is None:
        return {}
    return {
        "label": sample.label,
        "subject": sample.subject,
        "units": _units(sample.units),
        "coded": units.coded(sample),
        "attributes": json.dumps(dict(sample.attributes), sort_keys=True),
    }


def _row(read: Read, words: str) -> dict[str, Any]:
    sample, told, scores = read.item.sample, read.prediction, read.scores
    quality = read.face.quality
    return {
        "name": sample.name,
        "picture": read.item.path.stem,
        "status": "read",
        "problem": read.face.problem,
        "top": told.top,
        "state": told.state,
        "decided": told.label,
        "free_text": words,
        "neutral": None if scores.neutral is None else float(scores.neutral[read.i]),
        "mass": float(scores.mass),
        "calibrated": int(scores.calibrated),
        "seen": units.measured(read.face.units),
        **{PROBABILITY + name: float(p) for name, p in told.probabilities.items()},
        **({} if quality is None else {name: float(getattr(quality, name)) for name in QUALITY}),
    }


def _units(found: Sequence[UnitLabel] | None) -> str:
    """JSON [[unit, intensity], ...], "null" where nobody coded them."""
    return json.dumps(None if found is None else [[u.unit, u.intensity] for u in found])


def fingerprint(table: Table) -> str:
    """16 hex digits that change with any picture, label, unit or subject of the split."""
    digest = hashlib.sha256()
    keys = ("picture", "label", "units", "subject", "status")
    for line in sorted(json.dumps([row["name"], *(row[k] for k in keys)]) for row in table.rows()):
        digest.update(line.encode())
    return digest.hexdigest()[:16]
