"""Grad-CAM and its relatives from pytorch-grad-cam, with their raw values kept.

The library stretches every map to 0..1; here its classes give the map as the formula has it, so
that two maps of a method can be compared and a map without positive evidence stays zero. Hooks heed
their own thread only: others may use the network meanwhile. Imports torch: import it late.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection_with_sign_correction

from ferce.core.protocols import View
from ferce.explanation.heatmaps.pooled import columns, rest

Target = Callable[[Any], Any]  # a row of scores (K,) -> the scalar that is explained

# Channels that Score-CAM and Ablation-CAM try, the strongest first; a full ResNet-50 layer (2048)
# would cost 2048 passes. Faster-Score-CAM limits them likewise.
CHANNELS = 128
BATCH = 32  # changed inputs a pass


def target(view: View, label: str, against: str | None = None) -> Target:
    """Build the scalar to explain: log-odds of `label`, or log P(label) - log P(against).

    A label's own score may rise for every label alike, and then its map shows what speaks for none
    of them; log-odds, the weighted contrast of Wang & Wang 2022 ("Why not other classes?",
    NeurIPS), do not.
    """
    own = columns(view.index, label)
    rival = None if against is None else columns(view.index, against)

    def goal(row: Any) -> Any:
        other = rest(own, len(row)) if rival is None else rival
        return torch.logsumexp(row[own], 0) - torch.logsumexp(row[other], 0)

    return goal


class Recorder(ActivationsAndGradients):  # type: ignore[misc]
    """Activations and gradients of the layer, for passes of its own thread only."""

    def __init__(self, view: View) -> None:
        self.thread = threading.get_ident()
        super().__init__(view.module, [view.layer], _as_map(view))

    def save_activation(self, module: Any, inputs: Any, output: Any) -> None:
        """Keep the activation; a forward hook."""
        if threading.get_ident() == self.thread:
            super().save_activation(module, inputs, output)

    def save_gradient(self, module: Any, inputs: Any, output: Any) -> None:
        """Ask for the gradient; a forward hook."""
        if threading.get_ident() == self.thread:
            super().save_gradient(module, inputs, output)


def _as_map(view: View) -> Callable[[Any], Any]:
    """Apply the view's reshape in fp32, as numpy knows no bfloat16."""
    reshape = view.reshape
    return lambda values: (values if reshape is None else reshape(values)).float()


class _Raw:
    """Mixin by which a CAM of the library returns relu(map) (N, h, w) before any scaling."""

    activations_and_grads: Any
    uses_gradients: bool
    get_cam_image: Callable[..., Any]

    def __init__(self, view: View) -> None:
        super().__init__(view.module, [view.layer])  # type: ignore[call-arg]
        self.activations_and_grads.release()
        self.activations_and_grads = Recorder(view)
        self.view = view

    def forward(self, tensor: Any, targets: Sequence[Target], eigen_smooth: bool = False) -> Any:
        with torch.enable_grad():
            # A frozen network gives gradients only if the input asks for them.
            inputs = tensor.detach().clone().requires_grad_(True)
            outputs = self.activations_and_grads(inputs)
            if self.uses_gradients:
                score = sum(t(row) for t, row in zip(targets, outputs, strict=True))
                torch.autograd.grad(score, inputs)  # not backward(): the weights' .grad stays
        kept, layer = self.activations_and_grads, self.view.layer
        activations, grads = (
            v[0].numpy() if v else None for v in (kept.activations, kept.gradients)
        )
        cam = self.get_cam_image(inputs.detach(), layer, targets, activations, grads, eigen_smooth)
        return np.maximum(np.asarray(cam, np.float32), 0)

    def __exit__(self, *error: object) -> None:
        self.activations_and_grads.release()


class _Eigen(EigenCAM):  # type: ignore[misc]
    """Eigen-CAM with the sign of the component settled, which the SVD leaves open."""

    def get_cam_image(self, *given: Any) -> Any:
        return get_2d_projection_with_sign_correction(given[3])


class _Probing(BaseCAM, ABC):  # type: ignore[misc]
    """Base of CAMs whose channel weights come from passes with one channel changed at a time."""

    view: View

    def __init__(self, *given: Any) -> None:
        super().__init__(*given, uses_gradients=False)

    def get_cam_weights(self, *given: Any) -> Any:
        tensor, _, targets, activations, _ = given
        with torch.no_grad():
            return np.stack(
                [self._weigh(*row) for row in zip(tensor, targets, activations, strict=True)]
            )

    @abstractmethod
    def _weigh(self, image: Any, score: Target, activation: NDArray[np.float32]) -> Any:
        """Weigh the channels, (C,), of one image (3, H, W) with activation (C, h, w)."""


class _Score(_Probing):
    """Score-CAM (Wang et al. 2020, arXiv:1910.01279, eq. 6 to 8): rise of the score by a channel.

    The softmax that the paper's code puts over the rises is left out: it makes every weight
    positive, so that a label for which nothing speaks would have a map all the same.
    """

    def _weigh(self, image: Any, score: Target, activation: NDArray[np.float32]) -> Any:
        chosen = _strongest(activation.std((1, 2)))
        masks = torch.from_numpy(activation[chosen])[:, None]
        masks = torch.nn.functional.interpolate(
            masks, image.shape[-2:], mode="bilinear", align_corners=False
        )
        low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
        masks = ((masks - low) / (high - low).clamp_min(1e-8)).to(image)
        base = float(score(self.view.module(torch.zeros_like(image)[None])[0]))
        scores = [
            float(score(row))
            for part in masks.split(BATCH)
            for row in self.view.module(image[None] * part)
        ]
        weights = np.zeros(len(activation), np.float32)
        weights[chosen] = np.array(scores) - base
        return weights


class _Ablation(_Probing):
    """Ablation-CAM (Desai & Ramaswamy 2020, WACV, eq. 4): fall of the score without the channel.

    The paper divides by the score; that would flip the map of a negative score, so it is left out.
    """

    def _weigh(self, image: Any, score: Target, activation: NDArray[np.float32]) -> Any:
        chosen = _strongest(np.square(activation).sum((1, 2)))
        whole = float(score(self.view.module(image[None])[0]))
        weights = np.zeros(len(activation), np.float32)
        for part in np.array_split(chosen, -(-len(chosen) // BATCH)):
            with _without(self.view, part):
                rows = self.view.module(image[None].expand(len(part), -1, -1, -1))
            weights[part] = [whole - float(score(row)) for row in rows]
        return weights


def _strongest(strength: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.argsort(-strength, kind="stable")[:CHANNELS]


class _without(AbstractContextManager["_without"]):  # noqa: N801
    """Context in which passes of this thread run with channel `channels[i]` of row i zeroed."""

    def __init__(self, view: View, channels: NDArray[np.intp]) -> None:
        self.view, self.channels, self.thread = view, channels, threading.get_ident()

    def __enter__(self) -> "_without":
        self.handle = self.view.layer.register_forward_hook(self._zero)
        return self

    def __exit__(self, *error: object) -> None:
        self.handle.remove()

    def _zero(self, _module: Any, _inputs: Any, output: Any) -> Any:
        if threading.get_ident() != self.thread:
            return None
        # Where each value of the map lies in the layer's own layout, whatever that is.
        place = torch.arange(output.numel(), device=output.device).reshape(output.shape)
        place = place if self.view.reshape is None else self.view.reshape(place)
        rows = torch.arange(len(self.channels), device=output.device)
        gone = place[rows, torch.from_numpy(self.channels).to(rows)]
        changed = output.clone().reshape(-1)
        changed[gone.reshape(-1)] = 0
        return changed.reshape(output.shape)


def _raw(library: type) -> Callable[[View], Any]:
    return type(f"Raw{library.__name__}", (_Raw, library), {})


CAMS: MappingProxyType[str, Callable[[View], Any]] = MappingProxyType(
    {
        "grad-cam": _raw(GradCAM),
        "grad-cam++": _raw(GradCAMPlusPlus),
        "hires-cam": _raw(HiResCAM),
        "layer-cam": _raw(LayerCAM),
        "eigen-cam": _raw(_Eigen),
        "score-cam": _raw(_Score),
        "ablation-cam": _raw(_Ablation),
    }
)


def compute(view: View, tensor: Any, goal: Target, method: str) -> NDArray[np.float32]:
    """Compute raw maps of `method` (a key of `CAMS`).

    Args:
        view: the opened network, in evaluation mode.
        tensor: (N, 3, H, W) as `view.inputs` makes it.
        goal: what is explained, see `target`; the same for every row.
        method: a key of `CAMS`.

    Returns:
        (N, h, w) not negative, at the resolution of the layer.
    """
    with CAMS[method](view) as cam:
        return np.asarray(cam(tensor, [goal] * len(tensor)))
