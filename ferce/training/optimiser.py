"""Optimisers, how fast which layer learns, and the moving average of the weights."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.optim import Optimizer

from ferce.training.options import Json
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from ferce.training.classifier.network import Net


EIGHT_BIT = {"paged8bit": "PagedAdamW8bit", "adamw8bit": "AdamW8bit"}

FLOOR = 0.01  # share of the peak rate that is left at the end


def adamw(
    parameters: Iterable[Parameter], kind: str, rate: float, weight_decay: float
) -> Optimizer:
    """Make AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) over the trainable parameters.

    Args:
        parameters: those without gradients are left out.
        kind: "fused", or "adamw8bit" and "paged8bit" with states in 8 bit, the latter in memory
            that a GPU may page out (Dettmers et al. 2022, arXiv:2110.02861; arXiv:2305.14314).
        rate: peak learning rate.
        weight_decay: of all of them.
    """
    learning = [p for p in parameters if p.requires_grad]
    if kind == "fused":
        return torch.optim.AdamW(learning, lr=rate, weight_decay=weight_decay, fused=True)
    import bitsandbytes

    eight_bit: type[Optimizer] = getattr(bitsandbytes.optim, EIGHT_BIT[kind])
    return eight_bit(learning, lr=rate, weight_decay=weight_decay)


class Muon(Optimizer):  # type: ignore[misc]
    """Momentum of hidden matrices, made orthogonal; everything else belongs to AdamW."""

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.02,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: None = None) -> None:
        """Update every matrix that has a gradient; a closure is not taken."""
        del closure
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._move(matrix, group)

    def _move(self, matrix: Parameter, group: dict[str, float]) -> None:
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        held = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
        update = orthogonal(matrix.grad.lerp(held, group["momentum"]))
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update, alpha=-0.2 * group["lr"] * max(matrix.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """Approximate the nearest half-orthogonal matrix: singular values become .7 to 1.2.

    Five Newton-Schulz steps with Jordan's coefficients, in the matrix's own precision, where
    `torch.optim.Muon` takes bfloat16.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


class Ema:
    """Exponential moving average of a module's weights and statistics.

    The decay grows as (1 + t) / (10 + t) up to `decay`, so that the start does not linger
    (as TensorFlow's ExponentialMovingAverage does with num_updates).
    """

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.weights = {name: value.detach().clone() for name, value in _state(module)}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def update(self, step: int) -> None:
        """Take in the weights after optimiser step `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in _state(self.module):
            if value.is_floating_point():
                self.weights[name].lerp_(value.detach().to(self.weights[name].dtype), 1 - decay)
            else:
                self.weights[name].copy_(value)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Put the averaged weights into the module inside the block, its own again afterwards."""
        own = {name: value.detach().clone() for name, value in _state(self.module)}
        self.module.load_state_dict(self.weights)
        try:
            yield
        finally:
            self.module.load_state_dict(own)


def _state(module: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    return iter(module.state_dict().items())


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
