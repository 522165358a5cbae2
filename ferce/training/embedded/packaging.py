"""A trained network, the prior and fitted readers as one folder of the kind `embedded`."""

import re
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS, NEUTRAL, OUTCOMES
from ferce.evaluation import metrics
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import CHANNELS
from ferce.models import embedded, timm_net
from ferce.models.calibration import FILE, Calibration, save_calibration, softmax
from ferce.models.fusion import Fusion, Head, Matrix
from ferce.models.hub import read_json
from ferce.models.mix import EVEN, EVERYDAY, Mix, of_counts
from ferce.models.prior import Prior
from ferce.models.spec import Spec
from ferce.training import checkpoint, progress
from ferce.training.embedded import evidence, outcomes, readers
from ferce.training.embedded.evidence import Seen, half
from ferce.training.embedded.readers import Table
from ferce.training.settings import Json

NEUTRAL_PLACE = OUTCOMES.index(NEUTRAL)
# Weight of a face beside an annotated one: posed, captioned, degraded, rendered with two emotions
# and rendered with one or none.
POSED, CAPTIONED, DEGRADED, BOTH, ALONE = 0.3, 2.0, 0.5, 0.1, 0.05
UNIT_RENDERED = 0.005  # of a rendered face in the fit of an action unit
FEWEST = 8  # annotated faces that show a unit, to trust what they say of it
FOLDS = 5
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/?]+/)+")
CONFIDENT = 0.4  # of what renders alone say of a unit
# Readers of a part of the evidence, to be compared with the whole.
PARTS: Mapping[str, str] = {"prior": "prior", "network": "network", "measures": "face"}


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


@dataclass(frozen=True, eq=False)
class Data:
    """Faces to fit on, with standardised evidence, and the fold of each person."""

    names: tuple[str, ...]
    mean: Matrix
    scale: Matrix
    tables: Mapping[str, Table]  # annotated, posed, captioned, degraded, rendered
    folds: Mapping[str, NDArray[np.intp]]

    def joined(self, without: int | None = None) -> Table:
        """All faces, but those of one fold."""
        kept = [table.rows(self.folds[name] != without) for name, table in self.tables.items()]
        return readers.joined(*kept)

    def only(self, *kinds: str) -> "Data":
        """The same with the evidence whose names begin so."""
        columns = np.array([name.startswith(kinds) for name in self.names])
        return replace(self, tables={name: t.only(columns) for name, t in self.tables.items()})

    @property
    def real(self) -> Table:
        """The annotated faces."""
        return self.tables["annotated"]

    @property
    def rendered(self) -> Table:
        """The rendered faces, of little weight as for action units."""
        found = self.tables["rendered"]
        return replace(found, weight=np.full(len(found.x), UNIT_RENDERED))

    @property
    def resting(self) -> Matrix:
        """Evidence of annotated and posed faces that are neutral."""
        found = [self.tables[name] for name in ("annotated", "posed")]
        return np.concatenate([t.x[t.shares[:, NEUTRAL_PLACE] == 1] for t in found])


def package(sources: Sources, output: Path, report: progress.Report = progress.silent) -> None:
    """Fit the readers and write the folder, with what was chosen in its `metrics.json`."""
    finish(sources, _gather(sources, report), output, report)


def finish(
    sources: Sources, data: Data, output: Path, report: progress.Report = progress.silent
) -> None:
    """The same from evidence that was gathered already."""
    mix = of_counts(EVERYDAY, dict(zip(OUTCOMES, data.real.shares.sum(0), strict=True)))
    calibration, told = _calibration(data, mix)
    report(f"outcomes: {told}")
    unit, reliability, units = _units(data.only("network AU", "prior", "face"), report)
    heads = {
        embedded.OUTCOME: outcomes.fit(data.joined(), data.names, data.scale, outcomes.Settings()),
        **_parts(data),
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
    network = timm_net.load(Spec("timm", str(folder)), "cpu")
    blank = Fusion((), np.zeros(0), np.ones(0), {})
    parts = embedded.Readers(timm_net.unit_head(folder, network), Prior(sources.prior), blank)
    return embedded.Embedded("embedded", network, parts, EVEN)


def _gather(sources: Sources, report: progress.Report) -> Data:
    models = [_open(sources, folder) for folder in sources.halves or [sources.network]]

    def read(name: str, split: str) -> Seen:
        spec = name if ":" in name else f"manifest:{sources.faces / name}.jsonl"
        found = [evidence.gather(spec, m.evidence, sources.cache, [split]) for m in models]
        report(f"{name} {split}: {len(found[0].samples)} faces, {found[0].lost} not found")
        return _unseen(found)

    seen = {
        "annotated": read("annotated", "val"),
        "posed": read("london", "train"),
        "captioned": read("openpeople", "val"),
        "degraded": read("degraded", "val"),
        "rendered": read(sources.renders, "val"),
    }
    both = np.concatenate([one.x for name, one in seen.items() if name != "degraded"])
    mean, scale = np.nanmean(both, 0), np.nanstd(both, 0) + 1e-6
    weights = {"posed": POSED, "captioned": CAPTIONED, "degraded": DEGRADED, "rendered": ALONE}
    tables = {
        name: evidence.table(one, (one.x - mean) / scale, weights.get(name, 1.0), OUTCOMES)
        for name, one in seen.items()
    }
    rendered = tables["rendered"]
    two = rendered.shares[:, : len(COMPOUNDS)].sum(1) > 0
    tables["rendered"] = replace(rendered, weight=np.where(two, BOTH, ALONE))
    names = embedded.evidence_names(models[0].network.columns.names)
    tables = {name: replace(t, x=np.nan_to_num(t.x)) for name, t in tables.items()}
    return Data(names, mean, scale, tables, {name: _folds(one) for name, one in seen.items()})


def _unseen(found: Sequence[Seen]) -> Seen:
    """Of two networks trained on one half each, what the one says that did not see the person."""
    if len(found) == 1:
        return found[0]
    seen_by = np.array([half(sample.subject or sample.name) for sample in found[0].samples])
    return replace(found[0], x=np.where((seen_by == 1)[:, None], found[0].x, found[1].x))


def _folds(seen: Seen) -> NDArray[np.intp]:
    """(N,) 0 .. FOLDS - 1 of the person, the same in every table."""
    names = [sample.subject or sample.name for sample in seen.samples]
    return np.array([zlib.crc32(name.encode()) % FOLDS for name in names], np.intp)


def _parts(data: Data) -> dict[str, Head]:
    """Readers of one part of the evidence each."""
    return {
        name: outcomes.fit(
            data.only(prefix).joined(), data.names, data.scale, outcomes.alone(prefix)
        )
        for name, prefix in PARTS.items()
    }


def _calibration(data: Data, mix: Mix) -> tuple[Calibration, Json]:
    """Masses of prediction sets, by readers that did not see the person.

    That of all outcomes is found on the annotated faces, that of the compounds on rendered ones.
    """
    held_out = _held_out(data)
    real, rendered = held_out["annotated"], held_out["rendered"]
    sure = data.real.shares.max(1) > 0.99
    truth, chances = data.real.shares[sure].argmax(1), mix.applied(softmax(real[sure]))
    count = len(COMPOUNDS)
    both = data.tables["rendered"].shares[:, :count].max(1) > 0.99
    which = data.tables["rendered"].shares[both].argmax(1)
    compounds = softmax(rendered[both, :count])
    calibration = Calibration(
        1.0, metrics.fit_set_mass(which, compounds), metrics.fit_set_mass(truth, chances)
    )
    return calibration, {
        "faces": len(truth),
        "accuracy": round(metrics.accuracy(truth, chances.argmax(1)), 4),
        "calibration_error": round(metrics.calibration_error(truth, chances), 4),
        "rendered_compounds": round(metrics.accuracy(which, compounds.argmax(1)), 4),
    }


def _held_out(data: Data) -> dict[str, Matrix]:
    """(N, 21) scores of the faces of each table, by readers that did not see the person."""
    scores = {name: np.zeros((len(f), len(OUTCOMES))) for name, f in data.folds.items()}
    for k in range(FOLDS):
        head = outcomes.fit(data.joined(k), data.names, data.scale, outcomes.Settings())
        for name, folds in data.folds.items():
            scores[name][folds == k] = head(data.tables[name].x[folds == k])
    return scores


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
    others = readers.joined(data.tables["posed"], data.rendered)
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
    posed = data.tables["posed"]
    known = ~np.isnan(data.rendered.units[:, place])
    if CHANNELS.get(UNIT_NUMBERS[place]) or np.nansum(data.rendered.units[:, place]) < FEWEST:
        return None
    both = readers.joined(data.rendered, posed, data.real)
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
