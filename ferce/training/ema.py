"""Averaged weights, which score better and more steadily than the last ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


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
