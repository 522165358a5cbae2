"""Linear layers with LoRA as a CPU computes them fastest: the same sums as PEFT's, in fewer passes.

PEFT draws dropout by `bernoulli_`, which on a CPU takes longer than the layer itself, and scales
and adds the update in passes of their own. Here 16 random bits a value decide what is dropped, and
the update is added by the matrix product that makes it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

WAYS = 2**16  # values of the bits that decide on one value


class Draws:
    """Random bits of one pass; they follow from torch's generator and advance it by one draw."""

    def __init__(self) -> None:
        self._bits = np.random.SFC64(int(torch.randint(2**62, ())))

    def __call__(self, count: int) -> Tensor:
        """Draw (count,) int16, every value equally often."""
        words = self._bits.random_raw(-(-count // 4))
        return torch.from_numpy(np.asarray(words, np.uint64).view(np.int16))[:count]


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer, with or without a LoRA update.

    Attributes:
        base: the layer itself, float32.
        down: (r, I) of the update; None where there is none.
        up: (O, r).
        scale: of the update.
        dropout: before the update; None for none.
    """

    base: nn.Linear
    down: nn.Parameter | None = None
    up: nn.Parameter | None = None
    scale: float = 1.0
    dropout: nn.Dropout | None = None

    @classmethod
    def of(cls, module: nn.Module) -> "Layer | None":
        """Take a layer apart; None for one that this file does not compute."""
        from peft.tuners.lora import Linear

        if type(module) is nn.Linear:
            return cls(module) if _float32(module) else None
        if type(module) is not Linear or not _plain(module):
            return None
        (name,) = module.active_adapters
        dropout = module.lora_dropout[name]
        return cls(
            module.base_layer,
            module.lora_A[name].weight,
            module.lora_B[name].weight,
            module.scaling[name],
            dropout if isinstance(dropout, nn.Dropout) else None,
        )

    def __call__(self, rows: Tensor, draws: Draws | None) -> Tensor:
        """Compute (T, O) of rows (T, I); `draws` are None where nothing is dropped."""
        base = self.base
        if self.down is None or self.up is None:
            return functional.linear(rows, base.weight, base.bias)
        share = self.dropout.p if self.dropout and draws else 0.0
        dropped = round(share * WAYS)
        bits = draws(rows.numel()).view(rows.shape) if draws and dropped else None
        scale = self.scale * WAYS / (WAYS - dropped)
        made: Tensor = _Updated.apply(rows, base, self.down, self.up, _How(scale, bits, dropped))
        return made


class _How(NamedTuple):
    """Scale of an update; random bits of each value, and how many ways of them drop it."""

    scale: float
    bits: Tensor | None
    dropped: int


class _Updated(torch.autograd.Function):  # type: ignore[misc]
    """x W' + b + scale (x kept) A' B', whose frozen W and b have no gradients."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, base: nn.Linear, down: Tensor, up: Tensor, how: _How
    ) -> Tensor:
        scale, bits, dropped = how
        low = (rows if bits is None else _kept(bits, dropped).mul_(rows)) @ down.T
        made: Tensor = functional.linear(rows, base.weight, base.bias)
        made.addmm_(low, up.T, alpha=scale)
        ctx.save_for_backward(rows, base.weight, down, up, low, bits)
        ctx.scale, ctx.dropped = scale, dropped
        return made

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, down, up, low, bits = ctx.saved_tensors
        grad_low = (grad @ up).mul_(ctx.scale)
        grad_up = (grad.T @ low).mul_(ctx.scale)
        grad_rows = grad_low @ down if ctx.needs_input_grad[0] else None
        if bits is not None:
            kept = _kept(bits, ctx.dropped)
            grad_rows = None if grad_rows is None else grad_rows.mul_(kept)
            rows = kept.mul_(rows)
        if grad_rows is not None:
            grad_rows.addmm_(grad, weight)
        return grad_rows, None, grad_low.T @ rows, grad_up, None


def _kept(bits: Tensor, dropped: int) -> Tensor:
    """Make 1 of what is kept and 0 of what is among the first `dropped` ways, float32."""
    # Not as bool, which a product with float32 would convert in a pass of its own.
    return torch.ge(bits, dropped - WAYS // 2, out=torch.empty(bits.shape))


def _float32(layer: nn.Linear) -> bool:
    return bool(layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu")


def _plain(module: Any) -> bool:
    """Tell whether a LoRA layer is the plain kind over a frozen float32 layer on the CPU."""
    base = module.base_layer
    if type(base) is not nn.Linear or not _float32(base) or len(module.active_adapters) != 1:
        return False
    (name,) = module.active_adapters
    unlike = bool(module.lora_variant) or module.merged or module.disable_adapters
    learns = base.weight.requires_grad or (base.bias is not None and base.bias.requires_grad)
    parts = (module.lora_A[name], module.lora_B[name])
    odd = any(part.bias is not None or not _float32(part) for part in parts)
    return not any((unlike, learns, odd, module.fan_in_fan_out))
