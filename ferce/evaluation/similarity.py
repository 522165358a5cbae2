"""CLIPScore of explanations and their likeness to references, each beside shuffled pairs."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ferce.data.align import Aligned
from ferce.data.record import Sample
from ferce.evaluation import interval
from ferce.evaluation.faces import Tools, aligned, batches, rows_of, watched
from ferce.evaluation.plan import Plan
from ferce.evaluation.table import Table

FILE = "clip.csv"
COLUMNS = ("name", "subject", "clip_score", "control")
BLOCK = 64  # pictures held at a time; the control pairs those of a block


def measure_clip(plan: Plan, texts: Table, folder: Path, tools: Tools, device: str) -> Table:
    """CLIPScore of each text with its face, and with the face half a block further on."""
    from ferce.backends.caption_score import ClipScorer

    scorer, table = ClipScorer(plan.clip, device), Table(folder / FILE, COLUMNS)
    done = table.done()
    left = (row for row in texts.rows() if row["text"] and row["name"] not in done)
    told = {row["name"]: row["text"] for row in left}
    rows = (
        row
        for row in rows_of(plan.data, plan.split)
        if isinstance(row, Sample) and row.name in told
    )
    faces = (item for item in aligned(rows, True, tools) if isinstance(item, Aligned))
    for block in batches(watched(faces, "CLIPScore", tools.shown, len(told)), BLOCK):
        table.append(_block(block, told, scorer))
    return table


def _block(block: list[Aligned], told: dict[str, str], scorer: Any) -> list[dict[str, Any]]:
    from ferce.backends.caption_score import clip_score

    pictures = scorer.pictures([item.face().crop for item in block])
    others = np.roll(pictures, len(block) // 2, axis=0)
    rows = []
    for item, picture, other in zip(block, pictures, others, strict=True):
        captions = scorer.captions(told[item.sample.name])
        rows.append(
            {
                "name": item.sample.name,
                "subject": item.sample.subject,
                "clip_score": clip_score(picture, captions),
                "control": clip_score(other, captions) if len(block) > 1 else None,
            }
        )
    return rows


def clip_figures(table: Table, plan: Plan) -> dict[str, Any]:
    """Mean CLIPScore beside that of shuffled pairs."""
    rows = list(table.rows())
    own, control = (interval.column(rows, name) for name in COLUMNS[2:])
    told = interval.beside(own, control, interval.people(rows), plan.draws, plan.seed)
    return {"clip_score": told | {"model": plan.clip}}


def encoder_figures(texts: Table, plan: Plan, device: str) -> dict[str, Any]:
    """Cosine of each text with its nearest reference, beside that of another picture's."""
    from ferce.backends.caption_score import SentenceEncoder

    encode = SentenceEncoder(plan.encoder, device)
    rows = [row for row in texts.rows() if row["text"]]
    own, control = [], []
    for block in batches(rows, BLOCK):
        written = encode([row["text"] for row in block])
        wanted = [encode(json.loads(row["references"])) for row in block]
        other = wanted[len(block) // 2 :] + wanted[: len(block) // 2]
        own += [float((w @ t).max()) for t, w in zip(written, wanted, strict=True)]
        control += [float((w @ t).max()) for t, w in zip(written, other, strict=True)]
    values = (np.array(own), np.array(control), interval.people(rows))
    return {"similarity": interval.beside(*values, plan.draws, plan.seed)}
