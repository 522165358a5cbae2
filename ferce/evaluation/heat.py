"""Heat maps of some faces, scored beside random maps, and the texts' faithfulness to them."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.parts import Heatmap, Reading
from ferce.core.protocols import Classifier
from ferce.core.types import Face
from ferce.data.record import Problem, Sample
from ferce.evaluation import metrics
from ferce.evaluation.heat_scores import Network, areas, random_map
from ferce.evaluation.pictures import Scored
from ferce.evaluation.plan import Plan, Read, Table, Tools, aligned, predicted, rows_of, watched
from ferce.explanation.unit_maps import match, unit_map
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import PROTOTYPES
from ferce.reading.pipeline import Reader

FILE = "heatmaps.csv"
PEAK = 0.95
PAIRS = {
    "deletion": "deletion_random",
    "insertion": "insertion_random",
    "pointing": "pointing_chance",
    "unit_cosine": "unit_cosine_others",
    "annotated_cosine": "annotated_cosine_random",
    "road": "road_random",
}
NUMBERS = (*PAIRS, *PAIRS.values(), "random_weights")
USES = ("used", "not used", "cannot be told")
VERDICTS = ("supported", "contradicted")
COLUMNS = (
    *("name", "subject", "label", "lost", "method", "empty"),
    *NUMBERS,
    *("claims", *VERDICTS, *("claims_" + use.replace(" ", "_") for use in USES)),
    "faithfulness",
)


def chosen(scored: Scored, count: int, seed: int) -> set[str]:
    """Draw the names of `count` faces with a compound label, at random."""
    rows = scored.compounds
    drawn = np.random.default_rng(seed).permutation(rows)[:count]
    return {str(scored.names[i]) for i in drawn}


def measure(
    plan: Plan,
    reader: Reader,
    network: Network,
    texts: Mapping[str, str],
    folder: Path,
    tools: Tools,
) -> Table:
    """Score the heat map of each face's most probable compound, into `heatmaps.csv`.

    Args:
        plan: gives method and seed.
        reader: whose classifier's maps are scored.
        network: the classifier opened, see `Network.of`.
        texts: name of each face -> its explanation, "" where no voice wrote one.
        folder: of the output.
        tools: cache and progress bars.
    """
    table = Table(folder / FILE, COLUMNS)
    left = set(texts) - set(table.done())
    rows = (
        row
        for row in rows_of(plan.data, plan.split)
        if isinstance(row, Sample) and row.name in left
    )
    for item in watched(aligned(rows, True, tools), "heat maps", tools.shown, len(left)):
        if isinstance(item, Problem):
            table.append([{"name": item.name, "lost": item.reason}])
            continue
        (read,) = predicted(reader.classifier, [item])
        reading = reader.locate(read.reading, read.prediction.compound, plan.method)
        text = texts[item.sample.name]
        row = _row(plan, reader.classifier, network, replace(read, reading=reading))
        table.append([row | (_claims(reader, reading, text) if text else {})])
    return table


def _row(plan: Plan, classifier: Classifier, network: Network, read: Read) -> dict[str, Any]:
    face, heatmap = read.face, read.reading.heatmap
    assert heatmap is not None, "`locate` makes a map"
    rng = np.random.default_rng([plan.seed, *os.fsencode(read.item.sample.name)])
    row: dict[str, Any] = {
        "name": read.item.sample.name,
        "subject": read.item.sample.subject,
        "label": heatmap.label,
        "method": heatmap.method,
        "empty": int(heatmap.empty),
    }
    if not heatmap.empty:
        random = random_map(face.size, rng)
        maps = [heatmap.values, random]
        own, other = areas(classifier, face, maps, heatmap.label, plan.seed)
        row |= {"deletion": own.deletion, "deletion_random": other.deletion}
        row |= {"insertion": own.insertion, "insertion_random": other.insertion}
        row |= _places(read, heatmap, random) | network.scores(face, heatmap, random)
    return row


def _places(read: Read, heatmap: Heatmap, random: NDArray[np.floating]) -> dict[str, float | None]:
    """Score whether the heat lies on the action units: pointing game and cosines of maps."""
    face, cosines = read.face, match(read.face, heatmap)
    row = {"unit_cosine": cosines["cosine"], "unit_cosine_others": cosines["cosine_others"]}
    if face.landmarks is None:
        return row
    row |= pointing(face, heatmap)
    coded = [u for u in read.item.sample.units or () if u.present and u.unit in UNITS]
    if coded:
        truth = unit_map(face, {u.unit: 1.0 if u.intensity is None else u.intensity for u in coded})
        row["annotated_cosine"] = _cosine(heatmap.values, truth)
        row["annotated_cosine_random"] = _cosine(random, truth)
    return row


def pointing(face: Face, heatmap: Heatmap) -> dict[str, float]:
    """Play the pointing game (arXiv 1608.00507): is the peak where the label shows?

    These are the regions of the units that most people show with the label. The peak is every
    pixel of at least `PEAK` of the largest value, for maps that are flat within a region; of
    several pixels the share counts. Chance is the area of the regions.
    """
    units = PROTOTYPES[heatmap.label].core
    place = np.any([face.regions[UNITS[unit].region] for unit in units], axis=0)
    peak = heatmap.values >= PEAK * heatmap.values.max()
    return {"pointing": float(place[peak].mean()), "pointing_chance": float(place.mean())}


def _cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float | None:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 0 else None


def _claims(reader: Reader, reading: Reading, text: str) -> dict[str, Any]:
    """Count the verdicts on the text's claims, with its faithfulness."""
    checked = reader.verify(reading, reader.said(text))
    assert checked.explanation is not None, "`verify` keeps the explanation"
    cues, faithful = checked.explanation.cues, checked.faithfulness
    uses, seen = [str(cue.used) for cue in cues], [str(cue.seen) for cue in cues]
    row: dict[str, Any] = {"claims": len(cues)} | {v: seen.count(v) for v in VERDICTS}
    row |= {"claims_" + use.replace(" ", "_"): uses.count(use) for use in USES}
    if faithful is not None:
        controls = {name: dict(values) for name, values in faithful.controls.items()}
        row["faithfulness"] = json.dumps([dict(faithful.measures), controls])
    return row


def figures(table: Table, network: Network, plan: Plan) -> dict[str, Any]:
    """Average beside the controls, with intervals; list what could not be measured."""
    rows = [row for row in table.rows() if not row["lost"]]
    lost = [row["name"] for row in table.rows() if row["lost"]]
    if not rows:
        return {"faces": 0, "lost": len(lost), "note": "the detector found none of these faces"}
    how = metrics.Resampling(metrics.people(rows), plan.draws, plan.seed)
    block: dict[str, Any] = {
        "faces": len(rows),
        "lost": len(lost),
        "lost_names": lost,
        "methods": sorted({row["method"] for row in rows}),
        "empty_maps": sum(row["empty"] == "1" for row in rows),
        "notes": network.notes,
    }
    for name, control in PAIRS.items():
        values, others = metrics.column(rows, name), metrics.column(rows, control)
        if np.isfinite(values).any():
            block[name] = metrics.beside(values, others, how)
    same = metrics.column(rows, "random_weights")
    if np.isfinite(same).any():
        block["likeness_to_random_weights"] = metrics.mean(same, how)
    return block | _texts(rows, how)


def _texts(rows: list[dict[str, str]], how: metrics.Resampling) -> dict[str, Any]:
    """Compute shares of claims, and the faithfulness measures with their controls."""
    with_text = [row for row in rows if row["claims"]]
    if not with_text:
        return {}
    how = replace(how, groups=metrics.people(with_text))
    total = metrics.column(with_text, "claims")
    names = {v: v for v in VERDICTS} | {use: "claims_" + use.replace(" ", "_") for use in USES}
    shares = {
        name: metrics.share(metrics.column(with_text, key), total, how)
        for name, key in names.items()
    }
    return {"claims": shares, "faithfulness": _family(with_text, how)}


def _family(rows: list[dict[str, str]], how: metrics.Resampling) -> dict[str, Any]:
    measured = [json.loads(row["faithfulness"] or "[{}, {}]") for row in rows]
    names = dict.fromkeys(key for own, _ in measured for key in own)
    controls = dict.fromkeys(key for _, others in measured for key in others)
    return {
        name: metrics.mean(_values(own.get(name) for own, _ in measured), how)
        | {
            f"control {c}": metrics.mean(
                _values(others.get(c, {}).get(name) for _, others in measured), how
            )
            for c in controls
            if any(name in others.get(c, {}) for _, others in measured)
        }
        for name in names
    }


def _values(items: Iterable[float | None]) -> metrics.Values:
    return np.array([np.nan if v is None else v for v in items], np.float64)
