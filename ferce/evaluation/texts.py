"""Explanations of a split: written by a voice, and scored against references and annotation."""

import json
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.data import captions
from ferce.data.align import Aligned
from ferce.data.families import REFERENCE
from ferce.data.record import Problem, Sample, hidden_in
from ferce.evaluation import metrics, similarity
from ferce.evaluation.plan import (
    Plan,
    Read,
    Table,
    Tools,
    aligned,
    batches,
    predicted,
    rows_of,
    watched,
)
from ferce.evaluation.result import LISTED
from ferce.explanation.text import check, parse
from ferce.explanation.text.verdicts import COUNTS, compare
from ferce.reading.pipeline import Reader

FILE = "texts.csv"
VERDICTS = ("supported", "contradicted", "cannot be told")
COLUMNS = (
    *("name", "subject", "label", "lost", "explained", "text"),
    *("there", "faint", "references"),
    *VERDICTS,
)
Texts = Sequence[dict[str, str]]


def measure(plan: Plan, reader: Reader, folder: Path, tools: Tools) -> Table:
    """Let the reader's voice explain the predicted label of every face whose units were coded.

    Faces of which something is covered by an unknown object are left out, as nobody can tell which
    of the coded units show.
    """
    table = Table(folder / FILE, COLUMNS)
    done = table.done()
    rows = (
        row
        for row in rows_of(plan.data, plan.split)
        if isinstance(row, Sample) and row.name not in done and _coded(row)
    )
    faces = aligned(rows, True, tools)
    for batch in batches(watched(faces, "texts", tools.shown), 8):
        reads = iter(predicted(reader.classifier, [i for i in batch if isinstance(i, Aligned)]))
        table.append(
            {"name": item.name, "lost": item.reason}
            if isinstance(item, Problem)
            else _row(next(reads), reader)
            for item in batch
        )
    return table


def _coded(sample: Sample) -> bool:
    return sample.units is not None and hidden_in(sample) is not None


def _row(read: Read, reader: Reader) -> dict[str, Any]:
    sample, hidden = read.item.sample, hidden_in(read.item.sample) or ()
    *_, reading = [read.reading, *reader.explain(read.reading, check=False)]
    text = " ".join(reading.explanation.text.split()) if reading.explanation else ""
    units = sample.units or ()
    there = {u.unit for u in captions.visible(units, hidden) if u.present}
    composed = reader.said(text).composed
    cues = check(parse(text), read.face, read.prediction, composed=composed)
    seen = [str(cue.seen) for cue in cues]
    wanted = captions.references(sample.units, sample.label, REFERENCE)
    return {
        "name": sample.name,
        "subject": sample.subject,
        "label": sample.label,
        "explained": read.prediction.top,
        "text": text,
        "there": json.dumps(sorted(there)),
        "faint": json.dumps(sorted({u.unit for u in units} - there)),
        "references": json.dumps(wanted),
        **{verdict: seen.count(verdict) for verdict in VERDICTS},
    }


def figures(table: Table, plan: Plan) -> dict[str, Any]:
    """Compute scores beside their controls: the texts against other pictures' references."""
    rows = [row for row in table.rows() if not row["lost"]]
    lost = [row["name"] for row in table.rows() if row["lost"]]
    if not rows:
        return {"texts": 0, "lost": len(lost), "note": "no face with coded action units was found"}
    partner = derangement(len(rows), plan.seed)
    return {
        "texts": len(rows),
        "lost": len(lost),
        "lost_names": lost[:LISTED],
        "empty": sum(not row["text"] for row in rows),
        "references": f"up to 3 a picture, of the wording {REFERENCE.name!r}; the best counts",
        **_overlap(rows, partner, plan),
        "units": _beside(
            _mentions(rows, np.arange(len(rows)), plan), _mentions(rows, partner, plan)
        ),
        "claims": _verdicts(rows, plan),
        "meteor_matches": "words and stems, no synonyms",
    }


def derangement(n: int, seed: int) -> NDArray[np.intp]:
    """Draw (n,) a partner of each item, never itself (for n > 1): ring neighbours."""
    order = np.random.default_rng(seed).permutation(n)
    partner = np.empty(n, np.intp)
    partner[order] = np.roll(order, 1)
    return partner


def _resampling(rows: Texts, plan: Plan) -> metrics.Resampling:
    return metrics.Resampling(metrics.people(rows), plan.draws, plan.seed)


def _overlap(rows: Texts, partner: NDArray[np.intp], plan: Plan) -> dict[str, Any]:
    texts, how = [row["text"] for row in rows], _resampling(rows, plan)
    own = [json.loads(row["references"]) for row in rows]
    other = [own[k] for k in partner]
    figures: dict[str, Any] = {
        "bleu": {
            "value": similarity.corpus_bleu(texts, own),
            "control": {"value": similarity.corpus_bleu(texts, other)},
        }
    }
    scores, controls = (_sentences(texts, references) for references in (own, other))
    for name in scores:
        figures[name] = metrics.beside(scores[name], controls[name], how)
    return figures


def _sentences(texts: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Score each text."""
    bleus = _bleus(texts, references)
    meteors = similarity.meteor(texts, references)
    return similarity.rouge(texts, references) | {"meteor": meteors, "sentence_bleu": bleus}


def _bleus(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
    return np.array(
        [similarity.sentence_bleu(t, r) for t, r in zip(texts, references, strict=True)]
    )


def _mentions(rows: Texts, partner: NDArray[np.intp], plan: Plan) -> dict[str, Any]:
    """Compute micro precision, recall and F1 of claimed units, and the invented share."""
    table = [
        compare(row["text"], json.loads(rows[k]["there"]), json.loads(rows[k]["faint"]))
        for row, k in zip(rows, partner, strict=True)
    ]
    columns = np.array([astuple(m) for m in table], float).T
    count = dict(zip(COUNTS, columns, strict=True))
    said = count["right"] + count["invented"]
    how = _resampling(rows, plan)
    p, r = (
        metrics.share(count["right"], said, how),
        metrics.share(count["found"], count["there"], how),
    )
    return {
        "precision": p,
        "recall": r,
        "f1": {"value": _harmonic(p["value"], r["value"])},
        "invented": metrics.share(count["invented"], said, how),
        "denied_though_there": metrics.share(count["denied"], count["there"], how),
        "unsettled_claims": int(count["unsettled"].sum()),
    }


def _beside(own: dict[str, Any], control: dict[str, Any]) -> dict[str, Any]:
    """Join each measure with that of the shuffled pairs as its control."""
    return {
        name: measured | {"control": control[name]} if isinstance(measured, dict) else measured
        for name, measured in own.items()
    }


def _harmonic(p: float | None, r: float | None) -> float | None:
    return 2 * p * r / (p + r) if p and r else None if p is None or r is None else 0.0


def _verdicts(rows: Texts, plan: Plan) -> dict[str, Any]:
    """Compute shares of claims that the measured units support, contradict or leave open."""
    counts = {verdict: metrics.column(rows, verdict) for verdict in VERDICTS}
    total, how = sum(counts.values()), _resampling(rows, plan)
    return {
        verdict: metrics.share(count, np.asarray(total), how) for verdict, count in counts.items()
    }
