"""Networks on ONNX Runtime, without torch: opening a graph, and the packaged classifier's network.

A graph file names its weights, which lie beside it in safetensors, and holds none of them, so it is
small and they have one home; `training.graphs` writes such files. The linear heads of the
classifier are in NumPy.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ferce.core.compute import cores
from ferce.core.labels import OUTCOMES
from ferce.core.protocols import Pooled, View
from ferce.core.types import Face
from ferce.facs.action_units import UNITS
from ferce.models import timm_net
from ferce.models.calibration import load_calibration
from ferce.models.fusion import Fusion, Head, Matrix
from ferce.models.hub import CheckpointError

WEIGHTS = "weights"  # where a graph says that its weights are; there is no such file
_ERRORS = 3  # least severity that ONNX Runtime logs
_KEPT: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()  # weights of sessions still in use
GRAPH = "network.onnx"  # beside the weights
PREFIX = "network."  # of the weights' names in the graph
LAYER = "layer"  # key of the graph's metadata: name of the layer whose map it gives
FEATURES, MAP = "features", "map"  # outputs of the graph


def session(
    graph: Path, weights: Mapping[str, NDArray[Any]], threads: int | None = None
) -> onnxruntime.InferenceSession:
    """Open a graph for inference on the CPU.

    Args:
        graph: file that `training.graphs.write` wrote.
        weights: an array for each weight that the graph names, and no other; float16 is widened
            to float32.
        threads: threads of one pass; None for `OMP_NUM_THREADS`, or a thread a core without it.

    Raises:
        CheckpointError: no such file, or the weights are not those of the graph.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = threads or cores()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(_wide(w)) for w in weights.values()]
    try:
        options.add_external_initializers(list(weights), values)
        opened = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors have no common class of their own
        raise CheckpointError(f"{graph} does not fit its weights: {error}") from error
    _KEPT[opened] = values
    return opened


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    kind = np.float32 if values.dtype == np.float16 else values.dtype
    return np.ascontiguousarray(values, kind)


class GraphNet:
    """The network of a folder that holds its graph; on one core, safe between threads."""

    device = "cpu"

    def __init__(self, folder: Path) -> None:
        """Load it.

        Raises:
            CheckpointError: a part is missing, or does not fit the others.
        """
        from safetensors.numpy import load_file

        self.folder = folder
        config, self.columns, self.preprocessing = timm_net.described(folder, str(folder))
        self.calibration = load_calibration(folder)
        weights = load_file(folder / timm_net.WEIGHTS)
        head = str(config.get("pretrained_cfg", config).get("classifier", "classifier"))
        self._weight, self._bias = _heads(folder, weights, head)
        own = {PREFIX + name: w for name, w in weights.items() if _counts(name, head)}
        self._session = session(folder / GRAPH, own, threads=1)
        self.layer_name = self._session.get_modelmeta().custom_metadata_map.get(LAYER, MAP)

    def look(self, faces: Sequence[Face]) -> tuple[Matrix, Matrix]:
        """Compute the network's scores (N, K) and units (N, A), in one pass."""
        features = self._pass(faces)[0] if faces else np.zeros((0, self._weight.shape[1]))
        seen, count = features @ self._weight.T + self._bias, len(self.columns.names)
        return seen[:, :count], seen[:, count:]

    def pooled(self, face: Face, fusion: Fusion, head: Head) -> Pooled:
        """Compute the last map of a face, and its scores by a head of the fusion."""
        (features,), (maps,) = self._pass([face])
        count = len(self._bias)
        weight = head.weight[:, :count] / fusion.scale[:count]
        seen = self._weight @ features + self._bias
        return Pooled(
            maps,
            weight @ self._weight,
            weight @ (seen - fusion.mean[:count]) + head.bias,
            OUTCOMES.index,
            self.layer_name,
            self.preprocessing.part,
        )

    def open(self, fusion: Fusion, head: Head) -> View:
        """Open it in torch with a head of the fusion behind it."""
        from ferce.models import torch_net

        return torch_net.load(self.folder).open(fusion, head)

    def _pass(self, faces: Sequence[Face]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Compute features (N, C) and last maps (N, C, h, w)."""
        pixels = self.preprocessing.array(faces)
        features, maps = self._session.run([FEATURES, MAP], {"pixels": pixels})
        return np.asarray(features, np.float64), np.asarray(maps)


def _counts(name: str, head: str) -> bool:
    """Tell whether the graph uses a weight: not the head's, nor what only training needs."""
    return not name.startswith(f"{head}.") and not name.endswith("num_batches_tracked")


def _heads(
    folder: Path, weights: dict[str, NDArray[np.floating]], head: str
) -> tuple[Matrix, Matrix]:
    """Stack the heads of labels and action units: weight (K + A, C) and bias (K + A,).

    Raises:
        CheckpointError: one is missing, or of another shape.
    """
    from safetensors.numpy import load_file

    path = folder / timm_net.UNIT_WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{folder} has no action-unit head; train with --units above 0.")
    units = {name.rpartition(".")[2]: w for name, w in load_file(path).items()}
    try:
        parts = [(weights[f"{head}.{kind}"], units[kind]) for kind in ("weight", "bias")]
        weight, bias = (np.concatenate(pair).astype(np.float64) for pair in parts)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} does not fit the network: {error}") from error
    if len(units["weight"]) != len(UNITS):
        raise CheckpointError(f"{path} does not fit the network: it reads {len(units['weight'])}.")
    return weight, bias
