"""A trained network, the prior and fitted readers as one folder of the kind `embedded`."""

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ferce.core.labels import COMPOUNDS, OUTCOMES
from ferce.evaluation import metrics
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import CHANNELS
from ferce.models import embedded, timm_net, torch_net
from ferce.models.calibration import (
    EVEN,
    EVERYDAY,
    FILE,
    Calibration,
    Mix,
    mix_of_counts,
    save_calibration,
    softmax,
)
from ferce.models.fusion import Fusion, Head, Matrix
from ferce.models.hub import read_json
from ferce.models.prior import Prior
from ferce.training import checkpoint, graphs, progress
from ferce.training.embedded import evidence, outcomes, readers
from ferce.training.embedded.evidence import Seen, half
from ferce.training.embedded.readers import Table
from ferce.training.options import Json

FEWEST = 8  # annotated faces that show a unit, to trust what they say of it
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/?]+/)+")
CONFIDENT = 0.4  # of what renders alone say of a unit


@dataclass(frozen=True)
class Sources:
    """Where the parts come from; see `train/fit_readers.py`.

    `earlier`: files with the "plan" of each training that the network went on from, the first one
    with the "origin" of the weights that it began with. `halves`: networks trained on one half of
    the annotated people each (see `train/teach.py`), whose mean the network is; none where it was
    trained on no annotated face.
    """

    network: Path
    prior: Path
    faces: Path
    renders: str
    cache: Path
    earlier: tuple[Path, ...] = ()
    halves: tuple[Path, ...] = ()


def package(sources: Sources, output: Path, report: progress.Report = progress.silent) -> None:
    """Fit the readers and write the folder, with what was chosen in its `metrics.json`."""
    finish(sources, _gather(sources, report), output, report)


def finish(
    sources: Sources, data: evidence.Data, output: Path, report: progress.Report = progress.silent
) -> None:
    """The same from evidence that was gathered already."""
    mix = mix_of_counts(EVERYDAY, dict(zip(OUTCOMES, data.real.shares.sum(0), strict=True)))
    held_out = outcomes.held_out(data)
    calibration, told = _calibration(data, held_out, mix)
    report(f"outcomes: {told}")
    unit, reliability, units = _units(data.only("network AU", "prior", "face"), report)
    parts = outcomes.parts(data)
    heads = {
        embedded.OUTCOME: outcomes.summed(data, held_out, mix).head(list(parts.values())),
        **parts,
        embedded.UNIT: unit,
        embedded.RELIABILITY: reliability,
    }
    fusion = Fusion(data.names, data.mean, data.scale, heads)
    _write(sources, output, fusion, calibration, {"outcomes": told, "units": units})
    checkpoint.write_json(
        output / FILE, {**read_json(output / FILE), "mix": mix.as_json(), "readers": told}
    )


def _open(sources: Sources, folder: Path) -> embedded.Embedded:
    """A network and the prior, without readers."""
    blank = Fusion((), np.zeros(0), np.ones(0), {})
    parts = embedded.Readers(Prior(sources.prior), blank)
    return embedded.Embedded("embedded", torch_net.load(folder), parts, EVEN)


def _gather(sources: Sources, report: progress.Report) -> evidence.Data:
    whole = _open(sources, sources.network)
    models = [_open(sources, folder) for folder in sources.halves] or [whole]

    def read(name: str, split: str, by: Sequence[embedded.Embedded] = models) -> Seen:
        spec = name if ":" in name else f"manifest:{sources.faces / name}.jsonl"
        found = [evidence.gather(spec, m.evidence, sources.cache, [split]) for m in by]
        report(f"{name} {split}: {len(found[0].samples)} faces, {found[0].lost} not found")
        return _unseen(found)

    seen = {
        "annotated": read("annotated", "val"),
        "posed": read("london", "train"),
        "captioned": read("openpeople", "val"),
    }
    worn = read("degraded", "val")
    seen |= {
        "worn": evidence.shared(worn, seen["annotated"]),
        "worn posed": read("degraded", "train"),
        "worn captioned": evidence.shared(worn, seen["captioned"]),
        "rendered": read(sources.renders, "val", [whole]),
    }
    names = embedded.evidence_names(whole.network.columns.names)
    return evidence.tabled(names, seen)


def _unseen(found: Sequence[Seen]) -> Seen:
    """Of two networks trained on one half each, what the one says that did not see the person."""
    if len(found) == 1:
        return found[0]
    seen_by = np.array([half(sample.subject or sample.name) for sample in found[0].samples])
    return replace(found[0], x=np.where((seen_by == 1)[:, None], found[0].x, found[1].x))


def _calibration(
    data: evidence.Data, held_out: Mapping[str, Matrix], mix: Mix
) -> tuple[Calibration, Json]:
    """Masses of prediction sets, and how good the whole is, by what did not see the person.

    The mass of all outcomes is found on the annotated faces, that of compounds on rendered ones.
    """
    scores, count = outcomes.whole(data, held_out, mix), len(COMPOUNDS)
    figures = {name: _figures(data.tables[name], scores[name], mix) for name in outcomes.SETS}
    sure = data.real.shares.max(1) > outcomes.SURE
    truth, chances = (
        data.real.shares[sure].argmax(1),
        mix.applied(softmax(scores["annotated"][sure])),
    )
    both = data.tables["rendered"].shares[:, :count].max(1) > outcomes.SURE
    which = data.tables["rendered"].shares[both].argmax(1)
    compounds = softmax(scores["rendered"][both, :count])
    calibration = Calibration(
        1.0, metrics.fit_set_mass(which, compounds), metrics.fit_set_mass(truth, chances)
    )
    hits = round(metrics.accuracy(which, compounds.argmax(1)), 4)
    return calibration, {**figures, "rendered_compounds": hits}


def _figures(table: Table, scores: Matrix, mix: Mix) -> dict[str, float]:
    """How often the outcome that all named is the most probable, and the calibration error."""
    sure = table.shares.max(1) > outcomes.SURE
    truth, chances = table.shares[sure].argmax(1), mix.applied(softmax(scores[sure]))
    return {
        "faces": len(truth),
        "accuracy": round(metrics.accuracy(truth, chances.argmax(1)), 4),
        "calibration_error": round(metrics.calibration_error(truth, chances), 4),
    }


def _units(data: evidence.Data, report: progress.Report) -> tuple[Head, Head, Json]:
    """The reader of action units, how far each is trusted, and what was chosen."""
    rows = [_unit(data, place) for place in range(len(UNIT_NUMBERS))]
    kept = [(f"AU{n}", row) for n, row in zip(UNIT_NUMBERS, rows, strict=True) if row is not None]
    names = tuple(name for name, _ in kept)
    weight, bias = np.stack([r.weight for _, r in kept]), np.array([r.bias for _, r in kept])
    trust = np.array([row.trust for _, row in kept])
    told = {name: row.told for name, row in kept}
    for name, what in told.items():
        report(f"{name}: {what}")
    return (
        Head(names, weight, bias),
        Head(names, np.zeros((len(names), 1)), trust),
        told,
    )


@dataclass(frozen=True, eq=False)
class _Unit:
    weight: Matrix
    bias: float  # such that a score of 0 is the threshold
    trust: float
    told: Json


def _unit(data: evidence.Data, place: int) -> _Unit | None:
    """The reader of one unit; None where MediaPipe's own channel is as good, or nobody shows it."""
    truth = data.real.units[:, place]
    seen = int(np.nansum(truth))
    if seen < FEWEST:
        return _rendered_unit(data, place)
    others = readers.joined(data.posed, data.rendered)
    tried = {c: readers.held_out_unit(data.real, others, place, c) for c in readers.STRENGTHS}
    strength = max(tried, key=lambda c: readers.reliability(tried[c], truth))
    trust = readers.reliability(tried[strength], truth)
    weight, bias = readers.fit_unit(readers.joined(data.real, others), place, strength)
    bar = readers.threshold(tried[strength], truth, data.resting @ weight + bias)
    known = ~np.isnan(truth)
    score = readers.f1(tried[strength][known] >= bar, truth[known] > 0.5)
    told = {"shown": seen, "strength": strength, "reliability": round(trust, 3)}
    return _Unit(weight, bias - bar, trust, {**told, "f1": round(score, 3)})


def _rendered_unit(data: evidence.Data, place: int) -> _Unit | None:
    """A unit that too few annotated faces show, from renders; its trust is bounded."""
    known = ~np.isnan(data.rendered.units[:, place])
    if CHANNELS.get(UNIT_NUMBERS[place]) or np.nansum(data.rendered.units[:, place]) < FEWEST:
        return None
    both = readers.joined(data.rendered, data.posed, data.real)
    weight, bias = readers.fit_unit(both, place, 0.01)
    scores, truth = data.rendered.x @ weight + bias, data.rendered.units[:, place]
    resting = np.concatenate([data.resting, data.real.x[data.real.units[:, place] == 0]])
    bar = readers.threshold(scores[known], truth[known], resting @ weight + bias)
    trust = min(readers.reliability(scores, truth), CONFIDENT)
    return _Unit(weight, bias - bar, trust, {"shown": 0, "reliability": round(trust, 3)})


def _write(
    sources: Sources,
    output: Path,
    fusion: Fusion,
    calibration: Calibration,
    told: Json,
) -> None:
    from safetensors.torch import load_file, save_file

    output.mkdir(parents=True, exist_ok=True)
    for name in (timm_net.WEIGHTS, timm_net.UNIT_WEIGHTS):
        weights = load_file(sources.network / name)
        halves = {n: w.half() if w.is_floating_point() else w for n, w in weights.items()}
        save_file(halves, output / name, metadata={"format": "pt"})
    for name in ("config.json", "ferce.json"):
        shutil.copy(sources.network / name, output / name)
    if sources.prior.resolve() != (output / "prior.safetensors").resolve():
        shutil.copy(sources.prior, output / "prior.safetensors")
    fusion.save(output)
    with suppress(ValueError):  # not every network has one; torch computes it then
        graphs.write_network(output)
    save_calibration(output, calibration)
    run, lineage = read_json(sources.network / "metrics.json"), _lineage(sources.earlier)
    checkpoint.write_json(output / "metrics.json", _portable({**run, **lineage, "readers": told}))
    more = {"config.json": {}, "ferce.json": lineage}
    for name, extra in more.items():
        checkpoint.write_json(output / name, _portable({**read_json(output / name), **extra}))


def _lineage(earlier: Sequence[Path]) -> Json:
    """What the network began with, and the settings of the trainings before the last one."""
    if not earlier:
        return {}
    told = [read_json(path) for path in earlier]
    return {"origin": told[0]["origin"], "earlier": [one["plan"] for one in told]}


def _portable(value: object) -> object:
    """JSON without folders of this machine: of an absolute path only the name is kept."""
    if isinstance(value, dict):
        return {key: _portable(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_portable(v) for v in value]
    return _FOLDERS.sub("", value) if isinstance(value, str) else value
