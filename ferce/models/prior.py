"""A small expression network of others: seven emotions of a real face, as a prior for our own.

The face expression network of face-api.js (MIT, Vincent Mühler; this version from @vladmandic/
face-api 1.7.15, Vladimir Mandic), its weights converted by `train/convert_prior.py`. It was trained
on real photographs, which our own networks were not.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce.core.compute import log_softmax
from ferce.core.labels import NEUTRAL
from ferce.core.types import Face
from ferce.faces.geometry import MARGIN

# Outputs in our words, in the order of the network.
LABELS: tuple[str, ...] = (NEUTRAL, "happy", "sad", "angry", "fearful", "disgusted", "surprised")
SIZE = 112  # pixels
PART = 1.1 / MARGIN  # of the crop's side: it reads a square of 1.1 times the mesh
# Of the network, whatever its weights; `train/export_graphs.py` writes it.
GRAPH = Path(__file__).parents[1] / "weights" / "classifier" / "prior.onnx"
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (N, 3, 112, 112) -> (N, 7)


class Prior:
    """The expression network applied to faces; on one core, safe between threads."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        """Load the safetensors file that `train/convert_prior.py` wrote; a GPU needs torch."""
        self.device = device
        self._run = _on_cpu(path) if device == "cpu" else _by_torch(path, device)

    def __call__(self, faces: Sequence[Face]) -> NDArray[np.float64]:
        """Compute (N, 7) log-probabilities in the order of `LABELS`."""
        if not faces:
            return np.zeros((0, len(LABELS)))
        pixels = np.stack([_square(face) for face in faces]).transpose(0, 3, 1, 2)
        scores = self._run(np.ascontiguousarray(pixels, np.float32))
        return log_softmax(scores)


def _on_cpu(path: Path) -> Run:
    from safetensors.numpy import load_file

    from ferce.models import graph_net

    session = graph_net.session(GRAPH, load_file(path), threads=1)
    return lambda pixels: np.asarray(session.run(["scores"], {"pixels": pixels})[0])


def _by_torch(path: Path, device: str) -> Run:
    import torch

    from ferce.models import torch_net

    network = torch_net.load_prior(path, device)

    def run(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(pixels).to(device)).cpu().numpy())

    return run


def _square(face: Face) -> NDArray[np.uint8]:
    """Cut the middle of the crop, (112, 112, 3), as the network was trained on."""
    import cv2

    margin = round(face.size * (1 - PART) / 2)
    middle = face.crop[margin : face.size - margin, margin : face.size - margin]
    resized = cv2.resize(middle, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)
