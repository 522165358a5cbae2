"""Choose the layer of a network that carries the map, and reshape its activations to a grid."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Reshape = Callable[[Any], Any]  # activations or gradients -> (N, C, h, w)


@dataclass(frozen=True, eq=False)
class Layer:
    """A module of the network by its dotted name, and the reshape of its output (None: a map)."""

    name: str
    module: Any
    reshape: Reshape | None = None


def tokens(grid: tuple[int, int]) -> Reshape:
    """Return a reshape of (N, prefix + h * w, C) tokens to (N, C, h, w), dropping the prefix."""
    height, width = grid

    def reshape(values: Any) -> Any:
        places = values[:, values.shape[1] - height * width :]
        return places.transpose(1, 2).unflatten(2, (height, width))

    return reshape


def channels_last(values: Any) -> Any:
    """Reshape (N, h, w, C), as Swin keeps it, to (N, C, h, w)."""
    return values.permute(0, 3, 1, 2)


def of_timm(network: Any, example: Any) -> Layer:
    """Choose the layer of a timm network.

    A transformer with a class token hands only that token on from its last block, so its map is the
    input of the last attention (`blocks[-1].norm1`). Any other network is watched on `example`
    (N, 3, H, W): the layer is the last one whose output still has places, so that a pooling and a
    linear head follow, for which CAMs are exact.

    Raises:
        ValueError: no layer of the network keeps the places of the image.
    """
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    blocks = getattr(network, "blocks", None)
    if grid and blocks is not None and hasattr(network, "num_prefix_tokens"):
        last = len(blocks) - 1
        return Layer(f"blocks.{last}.norm1", blocks[last].norm1, tokens(tuple(grid)))
    return _last_map(network, example)


def of_tower(tower: Any, name: str = "vision_model") -> Layer:
    """Choose the layer of a CLIP or SigLIP tower of transformers: the last attention's input."""
    side = tower.config.image_size // tower.config.patch_size
    last = len(tower.encoder.layers) - 1
    module = tower.encoder.layers[last].layer_norm1
    return Layer(f"{name}.encoder.layers.{last}.layer_norm1", module, tokens((side, side)))


def _last_map(network: Any, example: Any) -> Layer:
    """Find the last module whose output keeps places, not before the network's last stage."""
    stage = network.feature_info[-1]["module"]
    for name, shape in reversed(_outputs(network, example)):
        if reshape := _places(network, shape, example.shape[-2:]):
            return Layer(name, network.get_submodule(name), reshape[0])
        if name == stage:
            break
    raise ValueError(
        f"No layer of {type(network).__name__} keeps the places of the image; "
        "use the method 'occlusion'."
    )


def _outputs(network: Any, example: Any) -> list[tuple[str, Sequence[int]]]:
    """List (name, shape) of every module's tensor output, in the order in which modules end."""
    import torch

    seen: list[tuple[str, Sequence[int]]] = []

    def note(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            if torch.is_tensor(output):
                seen.append((name, tuple(output.shape)))

        return hook

    named = [(n, m) for n, m in network.named_modules() if n and not _passes_on(m)]
    handles = [module.register_forward_hook(note(name)) for name, module in named]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _passes_on(module: Any) -> bool:
    """Tell whether the module hands its input on unchanged in evaluation mode."""
    return type(module).__name__ in ("Identity", "Dropout", "Dropout2d", "DropPath")


def _places(
    network: Any, shape: Sequence[int], image: Sequence[int]
) -> tuple[Reshape | None] | None:
    """Return the reshape for an output of this shape, in a tuple; None where it has no places."""
    channels = getattr(network, "num_features", shape[-1])
    if len(shape) == 4 and getattr(network, "output_fmt", "NCHW") == "NHWC":
        return (channels_last,) if min(shape[1:3]) > 1 else None
    if len(shape) == 4:
        return (None,) if min(shape[2:]) > 1 else None
    side = math.isqrt(shape[1]) if len(shape) == 3 else 0
    square = image[0] == image[1] and side > 1 and side * side == shape[1]
    return (tokens((side, side)),) if square and shape[-1] == channels else None
