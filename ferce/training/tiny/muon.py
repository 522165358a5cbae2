"""Muon (Jordan et al. 2024, github.com/KellerJordan/Muon): steps of orthogonal matrices.

From nothing, small transformers need about half the samples with it. In float32, as bfloat16 is
slow on most CPUs; scaled as AdamW's steps are (Liu et al. 2025, arXiv:2502.16982, eq. 4).
"""

from collections.abc import Iterable
from typing import Any

import torch

Base: Any = torch.optim.Optimizer


class Muon(Base):  # type: ignore[misc]
    """Momentum of hidden matrices, made orthogonal; everything else belongs to AdamW."""

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float = 0.95, weight_decay: float = 0.02
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self) -> None:
        """One step of every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._move(matrix, group)

    def _move(self, matrix: Any, group: dict[str, Any]) -> None:
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        held = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
        update = orthogonal(matrix.grad.lerp(held, group["momentum"]))
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update, alpha=-0.2 * group["lr"] * max(matrix.shape) ** 0.5)


def orthogonal(matrix: Any) -> Any:
    """The nearest half-orthogonal matrix, roughly: singular values become .7 to 1.2.

    Five Newton-Schulz steps with Jordan's coefficients.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x
