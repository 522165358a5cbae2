"""Vision-language models opened for gradients: pixels in, log-probabilities of phrases out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ferce.core.labels import COMPOUNDS, parse
from ferce.core.protocols import View
from ferce.core.types import Face
from ferce.models.vlm import scoring

if TYPE_CHECKING:
    from ferce.models.vlm.base import VisionLanguage


def _as_they_are(pixels: Any) -> Any:
    return pixels


@dataclass(frozen=True)
class Tower:
    """A model's visual encoder, as a map of the picture needs it.

    Attributes:
        layer: the module whose output holds one vector a patch.
        grid: (N, tokens..., C) activations and the (H, W) of the pixels -> (N, C, h, w).
        pack: (N, 3, H, W) normalised pixels -> what the network takes as `pixel_values`.
        unpack: the reverse, given all inputs.
    """

    layer: Any
    grid: Callable[[Any, tuple[int, int]], Any]
    pack: Callable[[Any], Any] = _as_they_are
    unpack: Callable[[Any], Any] = lambda inputs: inputs["pixel_values"]


def patch_grid(patch: int) -> Callable[[Any, tuple[int, int]], Any]:
    """For (N, prefix + h * w, C) activations in raster order: drop the prefix, lay out the grid."""

    def laid_out(activations: Any, size: tuple[int, int]) -> Any:
        h, w = size[0] // patch, size[1] // patch
        count = activations.shape[1]
        assert 0 <= count - h * w <= 1, f"{count} tokens do not fill a grid of {h} x {w}"
        return activations[:, count - h * w :].transpose(1, 2).unflatten(2, (h, w))

    return laid_out


class PhraseScores(torch.nn.Module):  # type: ignore[misc]
    """(N, 3, H, W) normalised pixels -> (N, K) mean log-probability of phrases after a prompt."""

    def __init__(self, backend: "VisionLanguage", prompt: str, phrases: Sequence[str]) -> None:
        super().__init__()
        self.network = backend.network
        self._backend = [backend]  # in a list, so that torch does not look for parameters in it
        self._prompt = prompt
        self._tokens = backend.continuations(prompt, phrases)
        self.size = (0, 0)  # (H, W) of the last pixels seen

    def forward(self, pixels: Any) -> Any:
        """Scores that can be differentiated with respect to the pixels."""
        backend, self.size = self._backend[0], tuple(pixels.shape[-2:])
        blank = np.zeros((*self.size, 3), np.uint8)
        inputs = dict(backend.encode([blank], [self._prompt]))
        inputs = {key: torch.cat([value] * len(pixels)) for key, value in inputs.items()}
        inputs["pixel_values"] = backend.tower().pack(pixels)
        with backend.turn:
            return scoring.likelihoods(backend.prefix(inputs), self._tokens, pixels.device)


class AnswerScore(PhraseScores):
    """(N, 2): the log-probability of one answer, and zero, so that its log-odds are itself."""

    def forward(self, pixels: Any) -> Any:
        """Scores that can be differentiated with respect to the pixels."""
        score = super().forward(pixels)
        return torch.cat([score, torch.zeros_like(score)], 1)


def label_column(label: str) -> int:
    """Column of a compound; raises ValueError for another label, of which there is none."""
    name = parse(label)
    if name not in COMPOUNDS:
        raise ValueError(f"This model scores compounds only; got {name!r}.")
    return COMPOUNDS.index(name)


def open_view(backend: "VisionLanguage", module: PhraseScores, index: Callable[[str], int]) -> View:
    """The View of `module` on the backend's visual encoder."""
    tower = backend.tower()

    def inputs(faces: Sequence[Face]) -> Any:
        crops = [face.crop for face in faces]
        encoded = backend.encode(crops, [backend.question("")] * len(crops))
        return tower.unpack(encoded).float().detach()

    def reshape(activations: Any) -> Any:
        return tower.grid(activations, module.size)

    name = next(name for name, found in module.network.named_modules() if found is tower.layer)
    return View(module, tower.layer, name, inputs, index, reshape)
