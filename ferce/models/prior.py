"""A small expression network of others: seven emotions of a real face, as a prior for our own.

The face expression network of face-api.js (MIT, Vincent Mühler; this version from @vladmandic/
face-api 1.7.15, Vladimir Mandic), its weights converted by `train/convert_prior.py`. It was trained
on real photographs, which our own networks were not.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from ferce.core.labels import NEUTRAL
from ferce.core.types import Face
from ferce.faces.geometry import MARGIN

# Outputs in our words, in the order of the network.
LABELS: tuple[str, ...] = (NEUTRAL, "happy", "sad", "angry", "fearful", "disgusted", "surprised")
SIZE = 112  # pixels
PART = 1.1 / MARGIN  # of the crop's side: it reads a square of 1.1 times the mesh
_MEAN = (122.782, 117.001, 104.298)  # of RGB in 0..255

Module: Any = nn.Module


class _Separable(Module):  # type: ignore[misc]
    """A depthwise and a pointwise convolution; stride 2 pads as TensorFlow does."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Any) -> Any:
        return self.pointwise(self.depthwise(_padded(x, self.stride)))


class _First(Module):  # type: ignore[misc]
    """The plain convolution that reads the picture."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, outputs, 3, 2)

    def forward(self, x: Any) -> Any:
        return self.conv(_padded(x, 2))


class _Dense(Module):  # type: ignore[misc]
    """Four convolutions, each of which reads the sum of those before it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first = _First(outputs) if inputs == 3 else _Separable(inputs, outputs, 2)
        rest = (_Separable(outputs, outputs, 1) for _ in range(3))
        self.convs = nn.ModuleList([first, *rest])

    def forward(self, x: Any) -> Any:
        first, second, third, fourth = self.convs
        a = functional.relu(first(x))
        b = second(a)
        c = third(functional.relu(a + b))
        d = fourth(functional.relu(a + b + c))
        return functional.relu(a + b + c + d)


class ExpressionNet(Module):  # type: ignore[misc]
    """The network: (N, 3, 112, 112) RGB 0..255 to (N, 7) scores in the order of `LABELS`."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 256)
        self.blocks = nn.ModuleList(map(_Dense, widths, widths[1:]))
        self.head = nn.Linear(256, len(LABELS))
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, x: Any) -> Any:
        """Score the pictures."""
        x = (x - self.mean) / 255
        for block in self.blocks:
            x = block(x)
        return self.head(functional.avg_pool2d(x, 7, 2).flatten(1))


class Prior:
    """The expression network applied to faces."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        """Load the safetensors file that `train/convert_prior.py` wrote."""
        from safetensors.torch import load_file

        self.device = device
        self.network = ExpressionNet()
        self.network.load_state_dict({n: w.float() for n, w in load_file(path).items()})
        self.network.requires_grad_(False).eval().to(device)

    def __call__(self, faces: Sequence[Face]) -> NDArray[np.float64]:
        """Compute (N, 7) log-probabilities in the order of `LABELS`."""
        if not faces:
            return np.zeros((0, len(LABELS)))
        pixels = torch.from_numpy(np.stack([_square(face) for face in faces]))
        pixels = pixels.permute(0, 3, 1, 2).float().to(self.device)
        with torch.inference_mode():
            scores = functional.log_softmax(self.network(pixels), 1)
        return np.asarray(scores.double().cpu().numpy())


def _square(face: Face) -> NDArray[np.uint8]:
    """Cut the middle of the crop, (112, 112, 3), as the network was trained on."""
    import cv2

    margin = round(face.size * (1 - PART) / 2)
    middle = face.crop[margin : face.size - margin, margin : face.size - margin]
    resized = cv2.resize(middle, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def _padded(x: Any, stride: int) -> Any:
    return functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
