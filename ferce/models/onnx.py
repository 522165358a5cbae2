"""Open an ONNX graph on ONNX Runtime whose weights lie beside it in safetensors.

The graph file names its weights and holds none of them, so it is small and they have one home;
`training.graphs` writes such files. No torch is needed to run one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ferce.core.cores import cores
from ferce.models.hub import CheckpointError

WEIGHTS = "weights"  # where a graph says that its weights are; there is no such file
_ERRORS = 3  # least severity that ONNX Runtime logs
_KEPT: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()  # weights of sessions still in use


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
