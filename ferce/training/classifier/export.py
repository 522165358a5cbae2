"""A trained classifier as a folder that plain timm loads, with what was measured beside it."""

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ferce.data import restricted
from ferce.evaluation import plots
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.models.calibration import Calibration, save_calibration
from ferce.models.hub import read_json
from ferce.models.preprocessing import Preprocessing
from ferce.training import checkpoint
from ferce.training.classifier.network import Net
from ferce.training.options import Json

OURS = "ferce.json"
LEARNT_FROM = ("data", "more", "basic_data")  # settings that name data sets
UNITS = "units.safetensors"  # the action-unit head on the network's pooled features


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run gives: the network on the CPU, its labels, its preprocessing, its calibration.

    `arguments` are those that build the network again, besides its name and its labels;
    `reliability` says 0..1 of each action unit how far the val split bears its head out.
    """

    net: Net
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    calibration: Calibration
    arguments: Json
    reliability: tuple[float, ...] = ()


def export(folder: Path, trained: Trained, facts: Json) -> None:
    """Write the checkpoint, and `ferce.json` with calibration, units and facts of the data.

    Args:
        folder: made if need be; `timm.create_model("local-dir:FOLDER", pretrained=True)` loads it.
        trained: in any memory layout.
        facts: more for `ferce.json`, such as the data's fingerprint; the settings under `plan`.
    """
    network = copy.deepcopy(trained.net.network).to(memory_format=torch.contiguous_format)
    if any(map(restricted, filter(None, (facts["plan"].get(key) for key in LEARNT_FROM)))):
        network.pretrained_cfg = {**network.pretrained_cfg, "license": "research-only"}
    with checkpoint.whole_folder(folder, OURS) as part:
        _write(part, network, trained, facts)


def _write(folder: Path, network: nn.Module, trained: Trained, facts: Json) -> None:
    from timm.models import save_for_hf

    save_for_hf(
        network,
        folder,
        model_config={"label_names": list(trained.labels)},
        model_args={k: v for k, v in trained.arguments.items() if k != "drop_rate"} or None,
        safe_serialization=True,
        data_config=trained.preprocessing.config(),
    )
    more = dict(facts)
    if trained.net.units is not None:
        checkpoint.write_tensors(folder / UNITS, trained.net.units.state_dict())
        reliability = list(trained.reliability)
        more["units"] = {"file": UNITS, "numbers": list(UNIT_NUMBERS), "reliability": reliability}
    note(folder, more)
    checkpoint.share_weights(folder, folder / OURS)
    save_calibration(folder, trained.calibration)


def note(folder: Path, facts: Json) -> None:
    """Write facts into `ferce.json`; what else it holds stays."""
    path = folder / OURS
    kept = read_json(path) if path.is_file() else {}
    checkpoint.write_json(path, {**kept, **facts})


def report(folder: Path, metrics: Json) -> None:
    """Write `metrics.json` and the plots.

    Args:
        folder: of the run.
        metrics: figures of the val split under `val`, rows of epochs under `history` (empty where
            nothing was trained by gradient), and facts of plan, data and machine.
    """
    checkpoint.write_json(folder / "metrics.json", metrics)
    plots.draw_confusion(metrics["val"]["confusion"], folder / "confusion.png")
    if metrics["history"]:
        plots.draw_history(metrics["history"], folder / "loss.png")
