"""A trained network, the prior and fitted readers as one folder of the kind `embedded`."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import softmax

from ferce.core.labels import COMPOUNDS
from ferce.core.types import Face
from ferce.evaluation import metrics
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import CHANNELS
from ferce.models import embedded, landmark_features, timm_net
from ferce.models.calibration import Calibration, save_calibration
from ferce.models.fusion import Fusion, Head, Matrix
from ferce.models.hub import read_json
from ferce.models.prior import Prior
from ferce.models.spec import Spec
from ferce.training import checkpoint, progress
from ferce.training.embedded import evidence, readers
from ferce.training.embedded.evidence import See, Seen
from ferce.training.embedded.readers import EMOTIONS, Table
from ferce.training.settings import Json

POSED, RENDERED = 0.3, 0.005  # weight of a posed and of a rendered face beside an annotated one
GATED = 20.0  # how much more a rendered face weighs for telling two emotions from one
SHAPED = 7_000  # rendered training faces whose measures a reader of compounds is fitted on
MEASURES = 0.1  # its strength
FEWEST = 8  # annotated faces that show a unit, to trust what they say of it
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/?]+/)+")
CONFIDENT = 0.4  # of what renders alone say of a unit


@dataclass(frozen=True)
class Sources:
    """Where the parts come from; see `train/fit_readers.py`.

    `earlier`: files with the "plan" of each training that the network went on from, the first one
    with the "origin" of the weights that it began with.
    """

    network: Path
    prior: Path
    faces: Path
    renders: str
    cache: Path
    earlier: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False)
class Data:
    """Faces to fit on, with standardised evidence: annotated, posed and rendered."""

    names: tuple[str, ...]
    mean: Matrix
    scale: Matrix
    real: Table
    posed: Table
    rendered: Table
    compounds: Table  # the rendered ones whose label is a compound
    shaped: Table  # rendered ones that the network was trained on, seen by the measures alone
    gate: Table  # annotated, posed and rendered ones: whether two emotions show

    def only(self, *sources: str) -> "Data":
        """The same with the evidence whose names begin so."""
        columns = np.array([name.startswith(sources) for name in self.names])
        tables = ("real", "posed", "rendered", "compounds", "shaped", "gate")
        return replace(self, **{name: getattr(self, name).only(columns) for name in tables})

    @property
    def resting(self) -> Matrix:
        """Evidence of the posed faces that are neutral."""
        return np.asarray(self.posed.x[self.posed.shares[:, 0] == 1])


def package(sources: Sources, output: Path, report: progress.Report = progress.silent) -> None:
    """Fit the readers and write the folder, with what was chosen in its `metrics.json`."""
    network = timm_net.load(Spec("timm", str(sources.network)), "cpu")
    head = embedded.unit_head(sources.network, network)
    blank = Fusion((), np.zeros(0), np.ones(0), {})
    model = embedded.Embedded(
        "embedded", network, embedded.Readers(head, Prior(sources.prior), blank)
    )
    names = embedded.evidence_names(network.columns.names)
    data = _gather(sources, model, report)
    heads, told = _heads(data, report)
    fusion = Fusion(names, data.mean, data.scale, heads)
    calibration = _calibration(data.compounds, heads)
    _write(sources, output, fusion, calibration, told)


def _gather(sources: Sources, model: embedded.Embedded, report: progress.Report) -> Data:
    names = embedded.evidence_names(model.network.columns.names)

    def read(name: str, split: str, see: See = model.evidence, most: int = 0) -> Seen:
        spec = name if ":" in name else f"manifest:{sources.faces / name}.jsonl"
        found = evidence.gather(spec, see, sources.cache, [split], most)
        report(f"{name} {split}: {len(found.samples)} faces, {found.lost} not found")
        return found

    def measures(faces: Sequence[Face]) -> Matrix:
        blank = np.full((len(faces), len(names) - len(landmark_features.NAMES)), np.nan)
        return np.hstack([blank, landmark_features.shape(faces)])

    real, posed = read("annotated", "val"), read("london", "train")
    rendered = read(sources.renders, "val")
    both = np.concatenate([real.x, posed.x, rendered.x])
    mean, scale = both.mean(0), both.std(0) + 1e-6

    def table(seen: Seen, weight: float) -> Table:
        return evidence.table(seen, (seen.x - mean) / scale, weight)

    held = np.array([sample.label in COMPOUNDS for sample in rendered.samples])
    compounds = evidence.table(rendered, (rendered.x - mean) / scale, 1.0, COMPOUNDS).rows(held)
    seen = read(sources.renders, "train", measures, SHAPED)
    held = np.array([sample.label in COMPOUNDS for sample in seen.samples])
    z = np.nan_to_num((seen.x - mean) / scale)
    shaped = evidence.table(seen, z, 1.0, COMPOUNDS).rows(held)
    tables = table(real, 1.0), table(posed, POSED), table(rendered, RENDERED)
    gate = readers.joined(*map(_gated, (real, posed, rendered), tables))
    return Data(names, mean, scale, *tables, compounds, shaped, gate)


def _gated(seen: Seen, table: Table) -> Table:
    """The same faces with the shares of one emotion or none, and of two."""
    shares = np.zeros((len(table.x), 2))
    for row, sample in zip(shares, seen.samples, strict=True):
        named = sample.attributes.get("compound", sample.label)
        if sample.label in COMPOUNDS or named in COMPOUNDS:
            row[1] = 1
        elif sample.label is not None:
            row[0] = 1
    weight = table.weight * (GATED if table.weight[0] == RENDERED else 1.0)
    return Table(table.x, shares, table.units, weight)


def _heads(data: Data, report: progress.Report) -> tuple[dict[str, Head], Json]:
    """Every reader, and what was chosen for it."""
    told: Json = {}
    few = data.only("prior", "network AU")  # more evidence only overfits the annotated faces
    chosen = readers.choose_labels(few.real, EMOTIONS)
    both = readers.joined(few.real, few.posed)
    heads = {embedded.EXPRESSION: readers.fit_labels(both, EMOTIONS, chosen.strength)}
    told["expression"] = {"strength": chosen.strength, "held_out": round(chosen.score, 4)}
    report(f"expression: {told['expression']}")
    heads[embedded.UNIT], heads[embedded.RELIABILITY], told["units"] = _units(
        data.only("network AU", "prior", "face"), report
    )
    heads[embedded.COMPOUND], told["compounds"] = _compounds(data)
    report(f"compounds: {told['compounds']}")
    heads[embedded.GATE], told["gate"] = _gate(data)
    report(f"gate: {told['gate']}")
    return heads, told


def _gate(data: Data) -> tuple[Head, Json]:
    """The reader of whether two emotions show."""
    names = ("single", "compound")
    chosen = readers.choose_labels(data.gate, names)
    both = readers.fit_labels(data.gate, names, chosen.strength)
    head = Head(names[1:], both.weight[1:] - both.weight[:1], both.bias[1:] - both.bias[:1])
    return head, {"strength": chosen.strength, "held_out": round(chosen.score, 4)}


def _compounds(data: Data) -> tuple[Head, Json]:
    """The network's own scores, blended with a reader of the measures alone."""
    shaped = readers.fit_labels(data.shaped, COMPOUNDS, MEASURES)
    place = [data.names.index(f"network {name}") for name in COMPOUNDS]
    weight = np.zeros((len(COMPOUNDS), len(data.names)))
    weight[np.arange(len(COMPOUNDS)), place] = data.scale[place]
    own = Head(COMPOUNDS, weight, data.mean[place])
    truth = data.compounds.shares.argmax(1)
    experts = [own(data.compounds.x), shaped(data.compounds.x)]
    shares = readers.blend(experts, truth)
    head = Head(
        COMPOUNDS,
        shares[0] * own.weight + shares[1] * shaped.weight,
        shares[0] * own.bias + shares[1] * shaped.bias,
    )
    right = {
        name: round(float((scores.argmax(1) == truth).mean()), 4)
        for name, scores in zip(
            ("network", "measures", "both"), [*experts, head(data.compounds.x)], strict=True
        )
    }
    return head, {"weights": [round(float(w), 3) for w in shares], "val_accuracy": right}


def _units(data: Data, report: progress.Report) -> tuple[Head, Head, Json]:
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


def _unit(data: Data, place: int) -> _Unit | None:
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


def _rendered_unit(data: Data, place: int) -> _Unit | None:
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


def _calibration(compounds: Table, heads: Mapping[str, Head]) -> Calibration:
    """Temperature and mass on the rendered faces of the val split, of what is told in the end."""
    truth = compounds.shares.argmax(1)
    scores = np.log(embedded.mixture(heads, compounds.x)[0])
    temperature = metrics.fit_temperature(truth, scores)
    return Calibration(
        temperature, metrics.fit_set_mass(truth, softmax(scores / temperature, axis=1))
    )


def _write(
    sources: Sources,
    output: Path,
    fusion: Fusion,
    calibration: Calibration,
    told: Json,
) -> None:
    from safetensors.torch import load_file, save_file

    output.mkdir(parents=True, exist_ok=True)
    for name in (timm_net.WEIGHTS, embedded.UNIT_WEIGHTS):
        weights = load_file(sources.network / name)
        halves = {n: w.half() if w.is_floating_point() else w for n, w in weights.items()}
        save_file(halves, output / name, metadata={"format": "pt"})
    for name in ("config.json", "ferce.json"):
        shutil.copy(sources.network / name, output / name)
    if sources.prior.resolve() != (output / "prior.safetensors").resolve():
        shutil.copy(sources.prior, output / "prior.safetensors")
    fusion.save(output)
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
