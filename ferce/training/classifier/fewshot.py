"""Few-shot mode: a head fitted on frozen features, for classes with a handful of faces.

With a CLIP model (`--network clip:openai/clip-vit-base-patch32`) the head is a linear probe or a
Tip-Adapter cache; with a timm network it is a linear layer: a probe, or the prototypes of Snell et
al. 2017.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import Module

from ferce.core.labels import COMPOUNDS
from ferce.core.types import Face
from ferce.data.align import Aligned
from ferce.data.record import DataSet
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.training import examples, progress
from ferce.training.classifier import export, run, validation
from ferce.training.classifier.batches import Faces, loader
from ferce.training.classifier.network import Opened, open_network, require_network
from ferce.training.classifier.plan import Plan
from ferce.training.examples import Examples
from ferce.training.options import Json
from ferce.training.progress import open_accelerator

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ferce.models.clip import Clip

BATCH = 64
Values = NDArray[np.float64]


def fit(
    plan: Plan,
    output: Path,
    data: DataSet | None = None,
    report: progress.Report = progress.silent,
) -> Json:
    """Fit the head that the plan names; gives what `metrics.json` holds.

    Raises:
        TrainingError: the plan does not fit the data or the network.
    """
    begun = time.monotonic()
    require_network(plan.network)
    plan = replace(plan, units=0.0)
    faces = examples.read(plan.data, plan, data)
    labels = examples.labels_of(faces, plan)
    kept = tuple(item for item in faces.train if item.sample.label in labels)
    faces = replace(faces, train=examples.few(kept, plan.shots, plan.seed))
    report(f"{faces.spec}: {len(faces.train)} faces to fit {plan.few_shot} on")
    if plan.network.startswith("clip:"):
        return _fit_clip(plan, output, faces)
    accelerator, _ = open_accelerator(plan.device == "cpu")
    opened = open_network(plan, labels)
    opened.net.to(accelerator.device).eval()
    x = _features(opened, faces.train, labels, accelerator)
    set_head(opened, *_head(plan, x, [str(item.sample.label) for item in faces.train], labels))
    val = Faces(faces.val, labels, opened.preprocessing)
    outputs = validation.predict(opened.net, val, BATCH, accelerator)
    facts = run.facts(plan, faces, opened, accelerator)
    facts |= {"history": [], "seconds": round(time.monotonic() - begun, 1)}
    return run.finish(output, opened, outputs, faces, facts)


def prototypes(
    features: NDArray[np.float64], classes: NDArray[np.intp], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute weight (K, D) and bias (K,) of scores: minus half squared distances to class means.

    Snell et al. 2017, arXiv:1703.05175, eq. 8: |f - m|^2 / 2 = |f|^2 / 2 - f m + |m|^2 / 2, whose
    first term is the same for all classes. Distances are in units of the spread within classes.
    A class without faces is never chosen.
    """
    means = np.zeros((count, features.shape[1]))
    for k in np.unique(classes):
        means[k] = features[classes == k].mean(0)
    spread = ((features - means[classes]) ** 2).mean() + 1e-12
    weight, bias = means / spread, -(means**2).sum(1) / (2 * spread)
    bias[np.setdiff1d(np.arange(count), classes)] = -1e4
    return weight, bias


def set_head(opened: Opened, weight: Values, bias: Values) -> None:
    """Make a linear layer the network's classifier."""
    head = opened.net.network.get_classifier()
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(weight))
        head.bias.copy_(torch.as_tensor(bias))


def _head(
    plan: Plan, features: NDArray[np.float64], names: Sequence[str], labels: tuple[str, ...]
) -> tuple[Values, Values]:
    if plan.few_shot == "prototypes":
        classes = np.array([labels.index(name) for name in names])
        return prototypes(features, classes, len(labels))
    from ferce.models.clip_heads import fit_linear

    # The penalty's scale supposes rows of length 1; the factor goes into the weights.
    scale = float(np.linalg.norm(features, axis=1).mean())
    fitted = fit_linear((features / scale).astype(np.float32), names, labels)
    return fitted.weight / scale, fitted.bias


@torch.no_grad()  # type: ignore[untyped-decorator]
def _features(
    opened: Opened, items: Sequence[Aligned], labels: Sequence[str], accelerator: "Accelerator"
) -> NDArray[np.float64]:
    """Compute (N, D) pooled features of the faces as they are."""
    data = Faces(items, labels, opened.preprocessing)
    passes = [
        [(0, i) for i in range(start, min(start + BATCH, len(items)))]
        for start in range(0, len(items), BATCH)
    ]
    features = [opened.net.features(b.images.to(accelerator.device)) for b in loader(data, passes)]
    return np.asarray(torch.cat(features).double().cpu().numpy())


def _fit_clip(plan: Plan, output: Path, faces: Examples) -> Json:
    """Fit a head on CLIP's features, and save it as `clip:BASE+FOLDER` loads it."""
    from ferce.models import clip, clip_heads, spec

    begun = time.monotonic()
    base = spec.parse(plan.network)
    model = clip.load(base, plan.device)
    kept = [item for item in faces.train if item.sample.label in COMPOUNDS]
    names = [str(item.sample.label) for item in kept]
    x = model.features(_crops(kept))
    head: Module = (
        clip_heads.fit_cache(x, names, model.module.head)
        if plan.few_shot == "cache"
        else clip_heads.fit_linear(x, names)
    )
    outputs = _clip_outputs(model, head, faces)
    calibration = validation.calibrate(outputs)
    model.module.head, model.calibration = head, calibration
    clip.save(model, output, base.where)
    facts = run.facts_of(plan, faces) | {
        "val": validation.measure(outputs, calibration, faces.people()),
        "origin": plan.network,
        "history": [],
        "seconds": round(time.monotonic() - begun, 1),
    }
    export.note(output, {k: facts[k] for k in ("data", "origin", "plan")})
    export.report(output, facts)
    return facts


def _clip_outputs(model: "Clip", head: Module, faces: Examples) -> validation.Outputs:
    with torch.inference_mode():
        x = model.features(_crops(faces.val))
        logits = head.to(model.device)(torch.as_tensor(x, device=model.device))
    units = np.full((len(faces.val), len(UNIT_NUMBERS)), np.nan)
    wanted = examples.targets(faces.val, COMPOUNDS).astype(np.float64)
    return validation.Outputs(COMPOUNDS, logits.double().cpu().numpy(), wanted, None, units)


def _crops(items: Sequence[Aligned]) -> list[Face]:
    """Copy faces, as torch asks for arrays that may be written."""
    return [Face(crop=item.face().crop.copy()) for item in items]
