"""Choose the layer of a network that carries the map, and reshape its activations to a grid."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Reshape = Callable[[Any], Any]  # activations or gradients -> (N, C, h, w)
Shapes = Mapping[str, Sequence[int]]  # of the outputs of modules, in the order in which they end
PREFIX = 8  # most tokens before those of places: a class token, one of a teacher, registers


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
    (1, 3, H, W): the layer is the last one whose output is a map of the image by its shape, and
    whose places count; often only a pooling and a linear head follow, for which CAMs are exact.
    Attention may lose the places or keep them in another order, so there the map is tried, too.

    Raises:
        ValueError: no layer of the network's last stage keeps the places of the image.
    """
    shapes = _outputs(network, example, lambda output: tuple(output.shape))
    return _last_attention(network, shapes) or _last_map(network, example, shapes)


def of_tower(tower: Any, name: str = "vision_model") -> Layer:
    """Choose the layer of a CLIP or SigLIP tower of transformers: the last attention's input."""
    side = tower.config.image_size // tower.config.patch_size
    last = len(tower.encoder.layers) - 1
    module = tower.encoder.layers[last].layer_norm1
    return Layer(f"{name}.encoder.layers.{last}.layer_norm1", module, tokens((side, side)))


def _last_attention(network: Any, shapes: Shapes) -> Layer | None:
    """Find the input of a vision transformer's last attention; None for any other network."""
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    blocks = getattr(network, "blocks", None)
    if not grid or blocks is None or not hasattr(network, "num_prefix_tokens"):
        return None
    name = f"blocks.{len(blocks) - 1}.norm1"
    shape, places = shapes.get(name, ()), math.prod(grid)
    if len(shape) != 3 or not 0 <= shape[1] - places <= network.num_prefix_tokens:
        return None
    return Layer(name, network.get_submodule(name), tokens(tuple(grid)))


def _last_map(network: Any, example: Any, shapes: Shapes) -> Layer:
    """Find the last module that keeps places, not before the network's last stage."""
    stage, attentions = network.feature_info[-1]["module"], _attentions(network)
    if stage not in shapes:  # it gives a list
        stage = next((name for name in shapes if name.startswith(f"{stage}.")), "")
    layouts: dict[str, list[Reshape | None]] = {}
    for name in reversed(list(shapes)):
        if not any(name.startswith(f"{attention}.") for attention in attentions):
            layouts[name] = [*_layouts(shapes[name], example.shape[-2:], network.num_features)]
        if name == stage:
            break
    # Cloned, as a later module may work in place.
    outputs = _outputs(network, _quartered(example), lambda output: output.clone(), layouts)
    for name in reversed(outputs):
        clear = not attentions and outputs[name].ndim == 4 and len(layouts[name]) == 1
        for reshape in layouts[name]:
            layer = Layer(name, network.get_submodule(name), reshape)
            kept = clear or _keeps_places(layer, outputs[name])
            if kept and _counts(network, layer, example):
                return layer
    raise ValueError(
        f"No layer of {type(network).__name__} keeps the places of the image; "
        "use the method 'occlusion'."
    )


def _attentions(network: Any) -> list[str]:
    """List the names of the modules that attend; their inner tensors are no maps."""
    kinds = {name: type(module).__name__.lower() for name, module in network.named_modules()}
    return [name for name, kind in kinds.items() if name and ("attn" in kind or "attent" in kind)]


def _outputs(
    network: Any, inputs: Any, take: Callable[[Any], Any], names: Iterable[str] | None = None
) -> dict[str, Any]:
    """Take something of the tensor that each module (or `names`) gives, in the order they end.

    Modules that run more than once or hand their input on unchanged are left out.
    """
    import torch

    seen: dict[str, list[Any]] = {}
    thread = threading.get_ident()

    def note(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            if torch.is_tensor(output) and threading.get_ident() == thread:
                seen.setdefault(name, []).append(take(output))

        return hook

    modules = {n: m for n, m in network.named_modules() if n and not _passes_on(m)}
    watched = modules if names is None else {name: modules[name] for name in names}
    handles = [module.register_forward_hook(note(name)) for name, module in watched.items()]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: taken[0] for name, taken in seen.items() if len(taken) == 1}


def _passes_on(module: Any) -> bool:
    """Tell whether the module hands its input on unchanged in evaluation mode."""
    return type(module).__name__ in ("Identity", "Dropout", "Dropout2d", "DropPath")


def _layouts(shape: Sequence[int], image: Sequence[int], channels: int) -> Iterator[Reshape | None]:
    """Yield the ways in which an output of this shape may be a map of an (H, W) image."""
    if len(shape) == 4 and _alike(shape[2:], image):
        yield None
    if len(shape) == 4 and _alike(shape[1:3], image):
        yield channels_last
    if len(shape) == 3 and shape[2] == channels:
        for places in range(shape[1], max(shape[1] - PREFIX, 0) - 1, -1):
            width = round(math.sqrt(places * image[1] / image[0]))
            grid = (places // max(width, 1), width)
            if math.prod(grid) == places and _alike(grid, image):
                yield tokens(grid)


def _alike(grid: Sequence[int], image: Sequence[int]) -> bool:
    """Tell whether a grid has the proportions of the image, up to a row, and more than one cell."""
    return min(grid) > 1 and abs(grid[0] - grid[1] * image[0] / image[1]) <= 1


def _quartered(example: Any) -> Any:
    """Make (5, 3, H, W) of (1, 3, H, W): noise, and the noise with each quarter changed."""
    import torch

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((2, *example.shape[1:]), generator=generator)
    made = noise[:1].repeat(5, 1, 1, 1)
    for picture, (rows, columns) in zip(made[1:], _quarters(example.shape[-2:]), strict=True):
        picture[:, rows, columns] += 3 * noise[1, :, rows, columns]
    return made.to(example)


def _quarters(size: Sequence[int]) -> list[tuple[slice, slice]]:
    """List the quarters of an (h, w) map as slices; an odd row or column in the middle is left."""
    halves = [(slice(0, n // 2), slice(n - n // 2, n)) for n in size]
    return [(rows, columns) for rows in halves[0] for columns in halves[1]]


def _keeps_places(layer: Layer, output: Any) -> bool:
    """Tell whether each quarter of the output of `_quartered` changes with its own quarter alone.

    That is, more than twice as much as with another; as much would be tokens in another order.
    """
    import torch

    maps = output if layer.reshape is None else layer.reshape(output)
    change = (maps[1:] - maps[:1]).abs().mean(1)
    change = change - change.mean(0)  # what any change does, wherever it is
    moved = torch.stack([change[:, y, x].mean((1, 2)) for y, x in _quarters(change.shape[1:])], 1)
    others = moved.clone().fill_diagonal_(0).amax(1)  # (4,), at least 0
    return bool((moved.diagonal() > 2 * others).all())


def _counts(network: Any, layer: Layer, example: Any) -> bool:
    """Tell whether the scores depend on most places of the layer, not on a class token alone."""
    import torch

    kept: list[Any] = []
    handle = layer.module.register_forward_hook(lambda _m, _i, output: kept.append(output))
    try:
        with torch.enable_grad():
            inputs = _quartered(example)[:1].requires_grad_(True)
            score = network(inputs).sum()
    finally:
        handle.remove()
    own, all_in_all = torch.autograd.grad(score, (kept[0], inputs), allow_unused=True)
    if not bool(all_in_all.any()):
        return True  # a head of zeros, before training: nothing counts as yet
    if own is None:
        return False
    reached = (own if layer.reshape is None else layer.reshape(own)).any(1)
    return float(reached.float().mean()) > 0.5
