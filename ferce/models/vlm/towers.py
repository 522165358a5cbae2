"""The visual encoders of chat models: which layer carries the map, and how its tokens lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Inputs = Mapping[str, Any]  # tensors of one batch, as the family encodes it
NORMS = ("layer_norm1", "layernorm_before", "norm1")  # what a layer's attention reads goes through


def _as_they_are(pixels: Tensor, inputs: Inputs) -> Tensor:
    del inputs
    return pixels


@dataclass(frozen=True)
class Tower:
    """A model's visual encoder, open for heat maps.

    Attributes:
        layer: the module whose output holds one vector a patch.
        grid: (N, tokens..., C) activations and the (H, W) of the pixels -> (N, C, h, w).
        pack: (N, 3, H, W) normalised pixels, and the inputs of N such pictures -> what the network
            takes as `pixel_values`.
        unpack: the reverse, given all inputs.
    """

    layer: Any
    grid: Callable[[Tensor, tuple[int, int]], Tensor]
    pack: Callable[[Tensor, Inputs], Tensor] = _as_they_are
    unpack: Callable[[Inputs], Tensor] = lambda inputs: inputs["pixel_values"]


def patch_grid(patch: int) -> Callable[[Tensor, tuple[int, int]], Tensor]:
    """Lay out the grid of (N, prefix + h * w, C) activations in raster order."""

    def laid_out(activations: Tensor, size: tuple[int, int]) -> Tensor:
        h, w = size[0] // patch, size[1] // patch
        count = activations.shape[1]
        assert 0 <= count - h * w <= 1, f"{count} tokens do not fill a grid of {h} x {w}"
        return activations[:, count - h * w :].transpose(1, 2).unflatten(2, (h, w))

    return laid_out


def find(network: Any, inputs: Inputs) -> Tower:
    """Find the tower of a chat model by its structure and by what its processor makes.

    Args:
        network: the model.
        inputs: of any picture and prompt.

    Raises:
        ValueError: its structure is unknown.
    """
    inner, names = network.model, ("visual", "vision_tower", "vision_model")
    vision: Any = next((part for n in names if (part := getattr(inner, n, None)) is not None), None)
    if hasattr(vision, "timm_model"):
        return _fastvlm(vision.timm_model)
    if "image_grid_thw" in inputs and hasattr(vision, "blocks"):
        return _qwen(vision.blocks[-1], network.config.vision_config)
    layer = _read_layer(getattr(vision, "vision_model", vision), network.config)
    norm = next((getattr(layer, name) for name in NORMS if hasattr(layer, name)), None)
    layouts = {"spatial_shapes": _siglip2, 4: _plain, 5: _smolvlm}
    key = "spatial_shapes" if "spatial_shapes" in inputs else inputs["pixel_values"].ndim
    if norm is None or key not in layouts:
        raise ValueError(
            f"Grad-CAM finds no visual encoder of a known structure in {type(network).__name__}; "
            "the method 'occlusion' works for every model."
        )
    patch = network.config.vision_config.patch_size
    return layouts[key](norm, patch if isinstance(patch, int) else patch[0])


def _read_layer(vision: Any, config: Any) -> Any:
    """Find the last layer that has a say: LLaVA reads the output of `vision_feature_layer`.

    Hidden state k is the output of layer k - 1; 0 is what enters the first.
    """
    encoder = getattr(vision, "encoder", None)
    layers = getattr(encoder, "layers", getattr(encoder, "layer", None))
    feature = getattr(config, "vision_feature_layer", -1)
    features = [feature] if isinstance(feature, int) else feature
    return layers and layers[max(len(layers) + k if k < 0 else max(k - 1, 0) for k in features)]


def _plain(norm: Any, patch: int) -> Tower:
    """Open CLIP, SigLIP or InternVL's tower, whose pictures are (N, 3, H, W)."""
    return Tower(norm, patch_grid(patch))


def _smolvlm(norm: Any, patch: int) -> Tower:
    """SigLIP in a network that wants (N, pictures a row, 3, H, W).

    It takes a picture of nothing but zeros for padding and leaves it out, hence the shift.
    """
    return Tower(
        norm,
        patch_grid(patch),
        pack=lambda pixels, _: pixels[:, None] + 1e-6,
        unpack=lambda inputs: inputs["pixel_values"][:, 0],
    )


def _siglip2(norm: Any, patch: int) -> Tower:
    """SigLIP 2 of LFM2-VL: (N, L, patch * patch * 3), patches in raster order, then padding."""

    def pack(pixels: Tensor, inputs: Inputs) -> Tensor:
        n, _, height, width = pixels.shape
        cells = pixels.view(n, 3, height // patch, patch, width // patch, patch)
        flat = cells.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, patch * patch * 3)
        return functional.pad(flat, (0, 0, 0, inputs["pixel_values"].shape[1] - flat.shape[1]))

    def unpack(inputs: Inputs) -> Tensor:
        h, w = inputs["spatial_shapes"][0].tolist()
        cells = inputs["pixel_values"][:, : h * w].unflatten(-1, (patch, patch, 3))
        return cells.unflatten(1, (h, w)).permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    def grid(activations: Tensor, size: tuple[int, int]) -> Tensor:
        h, w = size[0] // patch, size[1] // patch
        return activations[:, : h * w].transpose(1, 2).unflatten(2, (h, w))

    return Tower(norm, grid, pack, unpack)


def _fastvlm(body: Any) -> Tower:
    """Find the map of a timm network; the last stage of a convolutional one is a map already."""
    last = getattr(body, "bn2", None) or getattr(body, "final_conv", None)
    if last is None:
        raise ValueError(
            "Grad-CAM knows timm's towers of the EfficientNet and FastViT kind only; the method "
            "'occlusion' works for every model."
        )
    return Tower(last, lambda activations, _: activations)


def _qwen(block: Any, vision: Any) -> Tower:
    """Qwen-VL's tower of flat patches, grouped by the squares that are merged into a token."""
    patch, merge, times = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
    window = getattr(vision, "window_size", 0) // merge // patch  # in merged tokens; 0: no windows

    def pack(pixels: Tensor, inputs: Inputs) -> Tensor:
        del inputs
        return _patchify(pixels, patch, merge, times)

    def unpack(inputs: Inputs) -> Tensor:
        _, h, w = inputs["image_grid_thw"][0].tolist()
        blocks_of_patches = (-1, h // merge, w // merge, merge, merge)
        return _unpatchify(inputs["pixel_values"].view(*blocks_of_patches, 3, times, patch, patch))

    def grid(activations: Tensor, size: tuple[int, int]) -> Tensor:
        h, w = size[0] // patch // merge, size[1] // patch // merge
        units = activations.reshape(-1, h * w, merge * merge, activations.shape[-1])
        units = units[:, window_order(h, w, window).argsort().to(units.device)]
        units = units.unflatten(1, (h, w)).unflatten(3, (merge, merge))  # (N, h, w, m, m, C)
        return units.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    return Tower(block.norm1, grid, pack, unpack)


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
