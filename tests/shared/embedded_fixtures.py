"""A folder of the kind `embedded` around a tiny random network, with planted readers."""

import shutil
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL, OUTCOMES
from ferce.facs.action_units import UNITS
from ferce.models import embedded, timm_net
from ferce.models.calibration import Calibration, save_calibration
from ferce.models.fusion import Fusion, Head
from ferce.models.preprocessing import Preprocessing

LABELS = (*COMPOUNDS, NEUTRAL, *BASICS)
SMILE = "face mouthSmileLeft"


def build(folder: Path) -> Path:
    """The smile alone says happiness, AU12 and that nothing else shows; all else is chance."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=len(LABELS))
    preprocessing = Preprocessing((64, 64), (0.5,) * 3, (0.5,) * 3)
    folder.mkdir(parents=True)
    save_for_hf(
        network,
        folder,
        model_config={"label_names": list(LABELS)},
        safe_serialization=True,
        data_config=preprocessing.config(),
    )
    save_calibration(folder, Calibration(1.0, 0.8, 0.85))
    head = torch.nn.Linear(network.head_hidden_size, len(UNITS))
    save_file(dict(head.state_dict()), folder / timm_net.UNIT_WEIGHTS)
    shutil.copy(embedded.PACKAGED / "prior.safetensors", folder / "prior.safetensors")
    fusion().save(folder)
    return folder


def fusion() -> Fusion:
    names = embedded.evidence_names(LABELS)
    heads = {
        embedded.OUTCOME: _head(
            OUTCOMES, names, {"happy": 20.0}, {"happy": -10.0, "sadly angry": 3.0, "neutral": 2.0}
        ),
        embedded.UNIT: _head(("AU6", "AU12"), names, {"AU12": 20.0}, {"AU12": -10.0, "AU6": -9.0}),
        embedded.RELIABILITY: _head(("AU6", "AU12"), names, {}, {"AU6": 0.5, "AU12": 0.9}),
    }
    mean, scale = np.zeros(len(names)), np.ones(len(names))
    mean[names.index(SMILE)] = 0.1
    return Fusion(names, mean, scale, heads)


def _head(
    rows: tuple[str, ...],
    names: tuple[str, ...],
    smiles: dict[str, float],
    biases: dict[str, float],
) -> Head:
    weight = np.zeros((len(rows), len(names)))
    weight[:, names.index(SMILE)] = [smiles.get(row, 0.0) for row in rows]
    return Head(rows, weight, np.array([biases.get(row, 0.0) for row in rows]))
