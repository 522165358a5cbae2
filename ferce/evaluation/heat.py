"""Heat maps of some faces, scored beside random maps, and the texts' faithfulness to them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferce import explanation
from ferce.core.protocols import Classifier
from ferce.core.types import Cue, Face, Heatmap, Prediction
from ferce.data.record import Problem, Sample
from ferce.evaluation import metrics
from ferce.evaluation.curves import areas, random_map
from ferce.evaluation.faces import Read, Tools, aligned, predicted, rows_of, watched
from ferce.evaluation.network import Network
from ferce.evaluation.pictures import Scored
from ferce.evaluation.plan import Plan
from ferce.evaluation.table import Table
from ferce.explanation import faithfulness, heatmaps
from ferce.explanation.unit_maps import match, unit_map
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import PROTOTYPES

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
    """Names of `count` faces with a compound label, drawn without regard to the label."""
    rows = scored.compounds
    drawn = np.random.default_rng(seed).permutation(rows)[:count]
    return {str(scored.names[i]) for i in drawn}


def measure(
    plan: Plan,
    classifier: Classifier,
    network: Network,
    told: tuple[set[str], Mapping[str, str]],
    places: tuple[Path, Tools],
) -> Table:
    """One row a face in `heatmaps.csv`: the map of the most probable compound.

    Args:
        plan: gives method and seed.
        classifier: whose maps are scored.
        network: the classifier opened, see `Network.of`.
        told: names of the faces, and name -> explanation where a voice wrote one.
        places: output folder and tools.
    """
    (folder, tools), (names, texts) = places, told
    table = Table(folder / FILE, COLUMNS)
    left = names - set(table.done())
    rows = (
        row
        for row in rows_of(plan.data, plan.split)
        if isinstance(row, Sample) and row.name in left
    )
    for item in watched(aligned(rows, True, tools), "heat maps", tools.shown, len(left)):
        if isinstance(item, Problem):
            table.append([{"name": item.name, "lost": item.reason}])
            continue
        (read,) = predicted(classifier, [item])
        table.append([_row(plan, classifier, network, read, texts.get(item.sample.name, ""))])
    return table


def _row(
    plan: Plan, classifier: Classifier, network: Network, read: Read, text: str
) -> dict[str, Any]:
    face, label = read.face, read.prediction.top
    heatmap = heatmaps.explain(classifier, face, label, plan.method)
    rng = np.random.default_rng([plan.seed, *read.item.sample.name.encode()])
    row: dict[str, Any] = {
        "name": read.item.sample.name,
        "subject": read.item.sample.subject,
        "label": label,
        "method": heatmap.method,
        "empty": int(heatmap.empty),
    }
    if not heatmap.empty:
        random = random_map(face.size, rng)
        own, other = areas(classifier, face, [heatmap.values, random], label, plan.seed)
        row |= {"deletion": own.deletion, "deletion_random": other.deletion}
        row |= {"insertion": own.insertion, "insertion_random": other.insertion}
        row |= _places(read, heatmap, random) | network.scores(face, heatmap, random)
    return row | _told(classifier, read, heatmap, text)


def _places(read: Read, heatmap: Heatmap, random: Any) -> dict[str, float | None]:
    """Does the heat lie on the action units: the pointing game, and cosines of maps."""
    face, found = read.face, match(read.face, heatmap)
    row = {"unit_cosine": found["cosine"], "unit_cosine_others": found["cosine_others"]}
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
    """The pointing game (arXiv 1608.00507): is the peak in a region where the label shows?

    These are the regions of the units that most people show with the label. The peak is every
    pixel of at least `PEAK` of the largest value, for maps that are flat within a region; of
    several pixels the share counts. Chance is the area of the regions.
    """
    units = PROTOTYPES[heatmap.label].core
    place = np.any([face.regions[UNITS[unit].region] for unit in units], axis=0)
    peak = heatmap.values >= PEAK * heatmap.values.max()
    return {"pointing": float(place[peak].mean()), "pointing_chance": float(place.mean())}


def _cosine(a: Any, b: Any) -> float | None:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 0 else None


def _told(classifier: Classifier, read: Read, heatmap: Heatmap, text: str) -> dict[str, Any]:
    """Verdicts on the text's claims by face, heat and deletion, and its faithfulness."""
    if not text:
        return {}
    face, prediction = read.face, read.prediction
    cues = explanation.check(explanation.parse(text), face, prediction, heatmap, classifier)
    uses, seen = [str(cue.used) for cue in cues], [str(cue.seen) for cue in cues]
    row: dict[str, Any] = {"claims": len(cues)} | {v: seen.count(v) for v in VERDICTS}
    row |= {"claims_" + use.replace(" ", "_"): uses.count(use) for use in USES}
    if face.regions:
        row["faithfulness"] = _faithfulness(classifier, face, (prediction, heatmap), cues)
    return row


def _faithfulness(
    classifier: Classifier, face: Face, told: tuple[Prediction, Heatmap], cues: Sequence[Cue]
) -> str:
    found = faithfulness.measure(face, told[0], told[1], cues, classifier)
    return json.dumps([dict(found.measures), {k: dict(v) for k, v in found.controls.items()}])


def figures(table: Table, network: Network, plan: Plan) -> dict[str, Any]:
    """Means beside their controls, with intervals, and what could not be measured."""
    rows = [row for row in table.rows() if not row["lost"]]
    lost = [row["name"] for row in table.rows() if row["lost"]]
    if not rows:
        return {"faces": 0, "lost": len(lost), "note": "the detector found none of these faces"}
    how = (metrics.people(rows), plan.draws, plan.seed)
    found: dict[str, Any] = {
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
            found[name] = metrics.beside(values, others, *how)
    same = metrics.column(rows, "random_weights")
    if np.isfinite(same).any():
        found["likeness_to_random_weights"] = metrics.mean(same, *how)
    return found | _texts(rows, how)


def _texts(rows: list[dict[str, str]], how: Any) -> dict[str, Any]:
    """Shares of claims, and the faithfulness family with its controls."""
    told = [row for row in rows if row["claims"]]
    if not told:
        return {}
    how = (metrics.people(told), *how[1:])
    total = metrics.column(told, "claims")
    names = {v: v for v in VERDICTS} | {use: "claims_" + use.replace(" ", "_") for use in USES}
    shares = {
        name: metrics.share(metrics.column(told, key), total, *how) for name, key in names.items()
    }
    return {"claims": shares, "faithfulness": _family(told, how)}


def _family(rows: list[dict[str, str]], how: Any) -> dict[str, Any]:
    measured = [json.loads(row["faithfulness"] or "[{}, {}]") for row in rows]
    names = dict.fromkeys(key for own, _ in measured for key in own)
    controls = dict.fromkeys(key for _, others in measured for key in others)
    return {
        name: metrics.mean(_values(own.get(name) for own, _ in measured), *how)
        | {
            f"control {c}": metrics.mean(
                _values(others.get(c, {}).get(name) for _, others in measured), *how
            )
            for c in controls
            if any(name in others.get(c, {}) for _, others in measured)
        }
        for name in names
    }


def _values(items: Any) -> Any:
    return np.array([np.nan if v is None else v for v in items], np.float64)
