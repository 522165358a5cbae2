"""What a network says of the validation faces, every face once whatever the processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from ferce.core.labels import COMPOUNDS, NEUTRAL, OUTCOMES
from ferce.evaluation import metrics
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.models.calibration import Calibration
from ferce.training.classifier.batches import Batch, Faces, loader
from ferce.training.classifier.network import Net
from ferce.training.options import Json

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True, eq=False)
class Outputs:
    """Scores of N faces beside what is known of them, in the order of the data set.

    `logits` (N, K), `targets` (N, K), `unit_logits` (N, A) or None, `units` (N, A) with NaN.
    """

    labels: tuple[str, ...]
    logits: NDArray[np.float64]
    targets: NDArray[np.float64]
    unit_logits: NDArray[np.float64] | None
    units: NDArray[np.float64]

    def among(self, names: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Select truth and scores of faces whose one label is in `names`, those columns only."""
        columns = [self.labels.index(name) for name in names]
        rows = (self.targets[:, columns] > 0.99).any(1)
        return self.targets[rows][:, columns].argmax(1), self.logits[rows][:, columns]


@torch.no_grad()  # type: ignore[untyped-decorator]
def predict(
    net: Net, faces: Faces, batch: int, accelerator: "Accelerator", workers: int = 0
) -> Outputs:
    """Predict all faces; every process must call it, and each gets all outputs."""
    rank, world = accelerator.process_index, accelerator.num_processes
    mine = np.arange(rank, len(faces), world)
    passes = [[(0, int(i)) for i in piece] for piece in _pieces(mine, batch)]
    training = net.training
    net.eval()
    columns = len(faces.labels) * 2 + len(UNIT_NUMBERS) * 2 + 1
    rows = torch.full((-(-len(faces) // world), columns), -1.0, device=accelerator.device)
    done = 0
    for loaded in loader(faces, passes, workers):
        block = _block(net, loaded.to(accelerator.device), accelerator)
        rows[done : done + len(block)] = block
        done += len(block)
    net.train(training)
    gathered = accelerator.gather(rows).double().cpu().numpy()
    return _outputs(gathered[gathered[:, 0] >= 0], faces.labels, net.units is not None)


def _block(net: Net, batch: Batch, accelerator: "Accelerator") -> torch.Tensor:
    """Predict a batch as (n, columns): index, scores, targets, unit scores, units."""
    with accelerator.autocast():
        logits, units = net(batch.images)
    if units is None:
        units = torch.zeros_like(batch.units)
    parts = (batch.indices[:, None], logits, batch.targets, units, batch.units)
    return torch.cat([part.float() for part in parts], dim=1)


def _pieces(items: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _outputs(rows: NDArray[np.float64], labels: tuple[str, ...], has_units: bool) -> Outputs:
    rows = rows[np.argsort(rows[:, 0])]
    k, a = len(labels), len(UNIT_NUMBERS)
    _, logits, targets, unit_logits, units = np.split(rows, [1, 1 + k, 1 + 2 * k, 1 + 2 * k + a], 1)
    return Outputs(labels, logits, targets, unit_logits if has_units else None, units)


def score(outputs: Outputs) -> float:
    """Compute the score that chooses the epoch: macro-F1 over the 14 compounds.

    In the stage of basic emotions, the share of each face's emotions among as many top scores.
    """
    if set(COMPOUNDS) <= set(outputs.labels):
        truth, logits = outputs.among(COMPOUNDS)
        return metrics.macro_f1(truth, logits.argmax(1), len(COMPOUNDS))
    shares = []
    for wanted, logits in zip(outputs.targets > 0, outputs.logits, strict=True):
        if wanted.any():
            top = np.argsort(-logits, kind="stable")[: int(wanted.sum())]
            shares.append(wanted[top].mean())
    return float(np.mean(shares))


def calibrate(outputs: Outputs) -> Calibration:
    """Fit temperature and mass on the validation faces that show a compound.

    The mass of sets of outcomes is fitted on all faces, where the network has every outcome.
    """
    truth, logits = outputs.among(COMPOUNDS)
    temperature = metrics.fit_temperature(truth, logits)
    mass = metrics.fit_set_mass(truth, softmax(logits / temperature, axis=1))
    outcomes = None
    if set(OUTCOMES) <= set(outputs.labels):
        truth, logits = outputs.among(OUTCOMES)
        outcomes = metrics.fit_set_mass(truth, softmax(logits / temperature, axis=1))
    # a sum of shares may be above 1 by rounding
    return Calibration(temperature, min(mass, 1.0), outcomes and min(outcomes, 1.0))


def measure(outputs: Outputs, calibration: Calibration, subjects: NDArray[np.generic]) -> Json:
    """Measure all figures of the validation split, as JSON.

    Args:
        outputs: of all N faces.
        calibration: with which the probabilities are made.
        subjects: (N,) who is shown; intervals resample people.
    """
    truth, logits = outputs.among(COMPOUNDS)
    who = subjects[(outputs.targets[:, : len(COMPOUNDS)] > 0.99).any(1)]
    p = softmax(logits / calibration.temperature, axis=1)
    best, k = p.argmax(1), len(COMPOUNDS)

    def f1(rows: NDArray[np.intp]) -> float:
        return metrics.macro_f1(truth[rows], best[rows], k)

    interval = metrics.bootstrap(f1, who, draws=500)
    each = metrics.per_class(truth, best, k)
    return {
        "faces": len(truth),
        "macro_f1": interval.value,
        "macro_f1_interval": [interval.low, interval.high],
        "accuracy": metrics.accuracy(truth, best),
        "top2": metrics.top_k(truth, p, 2),
        "uar": metrics.unweighted_recall(truth, best, k),
        "ece": metrics.calibration_error(truth, p),
        "ece_uncalibrated": metrics.calibration_error(truth, softmax(logits, axis=1)),
        "nll": metrics.negative_log_likelihood(truth, p),
        "brier": metrics.brier(truth, p),
        "set_coverage": metrics.set_coverage(truth, p, calibration.mass),
        "set_size": float(metrics.set_sizes(p, calibration.mass).mean()),
        "f1": {name: float(v) for name, v in zip(COMPOUNDS, each["f1"], strict=True)},
        "confusion": metrics.confusion(truth, best, k).tolist(),
        **_beyond(outputs),
    }


def _beyond(outputs: Outputs) -> Json:
    """Measure neutral, all labels together, and the action units."""
    more: Json = {}
    if len(outputs.labels) > len(COMPOUNDS):
        truth, logits = outputs.among(outputs.labels)
        more["macro_f1_all_labels"] = metrics.macro_f1(truth, logits.argmax(1), len(outputs.labels))
    if NEUTRAL in outputs.labels:
        column = outputs.labels.index(NEUTRAL)
        labelled = outputs.targets.sum(1) > 0
        p = softmax(outputs.logits[labelled], axis=1)[:, column]
        more["neutral_auc"] = metrics.auc(p, outputs.targets[labelled, column] > 0.99)
    if outputs.unit_logits is not None:
        more["unit_auc"] = unit_aucs(outputs)
        known = [v for v in more["unit_auc"].values() if v is not None]
        more["unit_auc_mean"] = float(np.mean(known)) if known else None
    return more


def reliability(aucs: Mapping[str, float | None]) -> tuple[float, ...]:
    """Compute 2 AUC - 1 of each action unit, 0..1; 0 where the val split does not show it."""
    values = (aucs.get(f"AU{number}") for number in UNIT_NUMBERS)
    return tuple(max(2 * value - 1, 0.0) if value is not None else 0.0 for value in values)


def unit_aucs(outputs: Outputs) -> dict[str, float | None]:
    """Compute AU -> AUC over the coded faces; None where all of them show it, or none."""
    assert outputs.unit_logits is not None, "this network has no head for action units"
    aucs = {}
    for place, number in enumerate(UNIT_NUMBERS):
        known = ~np.isnan(outputs.units[:, place])
        value = metrics.auc(outputs.unit_logits[known, place], outputs.units[known, place] > 0.5)
        aucs[f"AU{number}"] = None if np.isnan(value) else value
    return aucs
