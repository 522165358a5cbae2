"""The visual encoders of chat models: which layer carries the map, and how its tokens lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor


def _as_they_are(pixels: Tensor) -> Tensor:
    return pixels


@dataclass(frozen=True)
class Tower:
    """A model's visual encoder, open for heat maps.

    Attributes:
        layer: the module whose output holds one vector a patch.
        grid: (N, tokens..., C) activations and the (H, W) of the pixels -> (N, C, h, w).
        pack: (N, 3, H, W) normalised pixels -> what the network takes as `pixel_values`.
        unpack: the reverse, given all inputs.
    """

    layer: Any
    grid: Callable[[Tensor, tuple[int, int]], Tensor]
    pack: Callable[[Tensor], Tensor] = _as_they_are
    unpack: Callable[[Tensor], Tensor] = lambda inputs: inputs["pixel_values"]


def patch_grid(patch: int) -> Callable[[Tensor, tuple[int, int]], Tensor]:
    """Lay out the grid of (N, prefix + h * w, C) activations in raster order."""

    def laid_out(activations: Tensor, size: tuple[int, int]) -> Tensor:
        h, w = size[0] // patch, size[1] // patch
        count = activations.shape[1]
        assert 0 <= count - h * w <= 1, f"{count} tokens do not fill a grid of {h} x {w}"
        return activations[:, count - h * w :].transpose(1, 2).unflatten(2, (h, w))

    return laid_out


def find(network: Any) -> Tower:
    """Find the tower of a chat model; raises ValueError for an unknown family."""
    kind = network.config.model_type
    if kind not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ValueError(
            f"Grad-CAM does not know the visual encoder of {kind!r}; it knows {known}. "
            "The method 'occlusion' works for every model."
        )
    return FAMILIES[kind](network)


def _llava(network: Any) -> Tower:
    """Find CLIP or SigLIP, read at `vision_feature_layer`; the layers after it have no say."""
    tower = network.model.vision_tower
    tower = getattr(tower, "vision_model", tower)
    feature = network.config.vision_feature_layer
    feature = feature if isinstance(feature, int) else max(feature, key=_depth(tower))
    read = tower.encoder.layers[_depth(tower)(feature)]
    return Tower(read.layer_norm1, patch_grid(network.config.vision_config.patch_size))


def _depth(tower: Any) -> Callable[[int], int]:
    """Index the encoder layer whose output is hidden state k (0 is what enters the first)."""
    count = len(tower.encoder.layers)
    return lambda k: count + k if k < 0 else max(k - 1, 0)


def _internvl(network: Any) -> Tower:
    last = network.model.vision_tower.encoder.layer[-1]
    patch = network.config.vision_config.patch_size
    return Tower(last.layernorm_before, patch_grid(patch if isinstance(patch, int) else patch[0]))


def _smolvlm(network: Any) -> Tower:
    """Find SigLIP; the network wants (N, pictures a row, 3, H, W).

    It takes a picture of nothing but zeros for padding and leaves it out, hence the shift.
    """
    return Tower(
        network.model.vision_model.encoder.layers[-1].layer_norm1,
        patch_grid(network.config.vision_config.patch_size),
        pack=lambda pixels: pixels[:, None] + 1e-6,
        unpack=lambda inputs: inputs["pixel_values"][:, 0],
    )


def _fastvlm(network: Any) -> Tower:
    """Find a timm network; the last stage of a convolutional one is a map already."""
    body = network.model.vision_tower.timm_model
    last = getattr(body, "bn2", None) or getattr(body, "final_conv", None)
    if last is None:
        raise ValueError(
            "Grad-CAM knows FastVLM's towers of the EfficientNet and FastViT kind only."
        )
    return Tower(last, lambda activations, _: activations)


def _qwen(network: Any) -> Tower:
    """Find the tower of flat patches, grouped by the blocks that are merged into a token."""
    blocks = network.model.visual.blocks
    vision = network.config.vision_config
    patch, merge, times = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
    window = getattr(vision, "window_size", 0) // merge // patch  # in merged tokens; 0: no windows

    def pack(pixels: Tensor) -> Tensor:
        return _patchify(pixels, patch, merge, times)

    def unpack(inputs: Mapping[str, Tensor]) -> Tensor:
        _, h, w = inputs["image_grid_thw"][0].tolist()
        blocks_of_patches = (-1, h // merge, w // merge, merge, merge)
        return _unpatchify(inputs["pixel_values"].view(*blocks_of_patches, 3, times, patch, patch))

    def grid(activations: Tensor, size: tuple[int, int]) -> Tensor:
        h, w = size[0] // patch // merge, size[1] // patch // merge
        units = activations.reshape(-1, h * w, merge * merge, activations.shape[-1])
        units = units[:, window_order(h, w, window).argsort().to(units.device)]
        units = units.unflatten(1, (h, w)).unflatten(3, (merge, merge))  # (N, h, w, m, m, C)
        return units.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    return Tower(blocks[-1].norm1, grid, pack, unpack)


def window_order(h: int, w: int, window: int) -> Tensor:
    """List the (h * w,) raster index of each merged token in the order of the blocks.

    Qwen2.5-VL (arXiv:2502.13923, section 2.1.1) attends within windows, so its tokens lie window by
    window; 0 stands for models without windows.
    """
    places = torch.arange(h * w).view(h, w)
    if not window:
        return places.flatten()
    corners = [(i, j) for i in range(0, h, window) for j in range(0, w, window)]
    return torch.cat([places[i : i + window, j : j + window].flatten() for i, j in corners])


def _patchify(pixels: Tensor, patch: int, merge: int, times: int) -> Tensor:
    """Cut (N, 3, H, W) into (N * patches, 3 * times * patch * patch) as Qwen-VL does."""
    n, channels, height, width = pixels.shape
    h, w = height // patch // merge, width // patch // merge
    cells = pixels.view(n, channels, h, merge, patch, w, merge, patch)
    cells = cells.permute(0, 2, 5, 3, 6, 1, 4, 7)  # (N, h, w, m, m, C, p, p)
    cells = cells[:, :, :, :, :, :, None].expand(*[-1] * 6, times, -1, -1)
    return cells.reshape(n * h * w * merge * merge, channels * times * patch * patch)


def _unpatchify(cells: Tensor) -> Tensor:
    """Join (N, h, w, m, m, C, times, p, p) to (N, C, H, W), the first of the equal frames."""
    frames = cells[:, :, :, :, :, :, 0].permute(0, 5, 1, 3, 6, 2, 4, 7)  # (N, C, h, m, p, w, m, p)
    return frames.flatten(5, 7).flatten(2, 4)


FAMILIES: MappingProxyType[str, Callable[[Any], Tower]] = MappingProxyType(
    {
        "llava": _llava,
        "fast_vlm": _fastvlm,
        "internvl": _internvl,
        "smolvlm": _smolvlm,
        "idefics3": _smolvlm,
        "qwen2_vl": _qwen,
        "qwen2_5_vl": _qwen,
        "qwen3_vl": _qwen,
    }
)
