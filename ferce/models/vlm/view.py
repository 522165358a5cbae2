"""The network of a vision-language model as a function of pixels, open for heat maps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ferce.core.labels import COMPOUNDS, parse
from ferce.core.protocols import View
from ferce.core.types import Face
from ferce.models.vlm import scoring

if TYPE_CHECKING:
    from ferce.models.vlm.base import VisionLanguage


class PhraseScores(torch.nn.Module):  # type: ignore[misc]
    """Scores of phrases after a prompt, (N, K), as a function of (N, 3, H, W) pixels."""

    def __init__(self, model: "VisionLanguage", prompt: str, phrases: Sequence[str]) -> None:
        super().__init__()
        self.network = model.network
        self._model = [model]  # in a list, so that torch does not look for parameters in it
        self._prompt = prompt
        self._tokens = model.continuations(prompt, phrases)
        self.tower = model.tower()
        self.size = (0, 0)  # (H, W) of the last pixels seen

    def forward(self, pixels: Tensor) -> Tensor:
        """Score the phrases; differentiable with respect to the pixels."""
        model, self.size = self._model[0], tuple(pixels.shape[-2:])
        blank = np.zeros((*self.size, 3), np.uint8)
        inputs = dict(model.encode([blank], [self._prompt]))
        inputs = {key: torch.cat([value] * len(pixels)) for key, value in inputs.items()}
        inputs["pixel_values"] = self.tower.pack(pixels, inputs)
        with model.turn:
            return scoring.likelihoods(model.prefix(inputs), self._tokens, pixels.device)


def _label_column(label: str) -> int:
    """Find the column of a compound; raises ValueError for any other label."""
    name = parse(label)
    if name not in COMPOUNDS:
        raise ValueError(f"This model scores compounds only; got {name!r}.")
    return COMPOUNDS.index(name)


def open_view(model: "VisionLanguage", module: PhraseScores) -> View:
    """Open `module`, which scores the compounds, at the model's visual encoder."""
    tower = module.tower

    def inputs(faces: Sequence[Face]) -> Tensor:
        crops = [face.crop for face in faces]
        encoded = model.encode(crops, [model.question("")] * len(crops))
        return tower.unpack(encoded).float().detach()

    def reshape(activations: Tensor) -> Tensor:
        return tower.grid(activations, module.size)

    name = next(n for n, layer in module.network.named_modules() if layer is tower.layer)
    return View(module, tower.layer, name, inputs, _label_column, reshape)
