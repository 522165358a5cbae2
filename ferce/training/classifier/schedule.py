"""How fast which layer learns: cosine with warm-up, decay by depth, frozen groups."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch.nn import Module

from ferce.training.options import Json
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from ferce.training.classifier.network import Net

FLOOR = 0.01  # share of the peak rate that is left at the end


def factor(progress: float, warmup: float, floor: float = FLOOR) -> float:
    """Compute the share of the peak rate at `progress` 0..1 of the run.

    Rises in a line over the first `warmup`, then falls as half a cosine to `floor` (Loshchilov &
    Hutter 2017, arXiv:1608.03983, without restarts).
    """
    if progress < warmup:
        return progress / warmup
    done = min((progress - warmup) / (1 - warmup), 1.0)
    return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2


def groups(net: "Net", weight_decay: float, layer_decay: float) -> list[Json]:
    """Make parameter groups with `lr_scale`; biases and norms do not decay.

    Args:
        net: a `network.Net`.
        weight_decay: of AdamW.
        layer_decay: rate of a layer group over that of the next one nearer to the output
            (Clark et al. 2020, arXiv:2003.10555); 0 gives all the same rate.
    """
    from timm.optim import param_groups_layer_decay, param_groups_weight_decay

    if layer_decay:
        made = param_groups_layer_decay(net.network, weight_decay, layer_decay=layer_decay)
    else:
        made = param_groups_weight_decay(net.network, weight_decay)
    made = [{k: v for k, v in group.items() if k != "param_names"} for group in made]
    own = [p for name, p in net.named_parameters() if not name.startswith("network.")]
    if own:
        made.append({"params": own, "weight_decay": weight_decay})
    for group in made:
        group.setdefault("lr_scale", 1.0)
    return list(made)


def frozen_modules(net: "Net", freeze: str) -> list[Module]:
    """List the modules that stay frozen: none, the whole backbone, or its first N groups.

    Raises:
        TrainingError: the network has no such number of groups.
    """
    if freeze == "none":
        return []
    network = net.network
    named = dict(network.named_modules())
    head = {id(p) for p in network.get_classifier().parameters()}
    if freeze == "backbone":
        return [m for m in _leaves(named.values()) if not _owns(m, head)]
    from timm.models import group_parameters

    groups_of = group_parameters(network, network.group_matcher(coarse=True), reverse=True)
    ids = sorted(set(groups_of.values()))
    if int(freeze) >= len(ids):
        raise TrainingError(f"The network has {len(ids)} layer groups; cannot freeze {freeze}.")
    first = set(ids[: int(freeze)])
    held = {id(network.get_parameter(n)) for n, group in groups_of.items() if group in first}
    return [m for m in _leaves(named.values()) if _owns(m, held)]


def hold(modules: Iterable[Module], held: bool) -> None:
    """Freeze (or free) modules: no gradients; norms keep their statistics in `rest`."""
    for module in modules:
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(not held)


def rest(modules: Iterable[Module]) -> None:
    """Put frozen modules back into evaluation mode, after the network went into training mode."""
    for module in modules:
        module.eval()


def _leaves(modules: Iterable[Module]) -> list[Module]:
    """List the modules that hold parameters or buffers themselves."""
    return [m for m in modules if m._parameters or m._buffers]


def _owns(module: Module, wanted: set[int]) -> bool:
    return any(id(p) in wanted for p in module.parameters(recurse=False))
