"""A module on its way through a training: optimisers, averages, step, and the file of all this."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ferce.training.checkpoint import write_tensors
from ferce.training.ema import Ema

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


@dataclass(frozen=True)
class Pace:
    """How long and how fast.

    Attributes:
        steps: in all; a run that is taken up again may be given another number.
        batch: faces, or texts, a step.
        rate: peak rate of the matrices.
        others: peak rate of all else.
        warm: steps until the peak.
        cool: share of the steps over which the rate falls to nothing.
        decay: of the averaged weights.
        save: seconds between checkpoints.
        seed: of everything random.
    """

    steps: int = 3000
    batch: int = 64
    rate: float = 3e-3
    others: float = 1e-3
    warm: int = 60
    cool: float = 0.4
    decay: float = 0.998
    save: float = 240.0
    seed: int = 0

    def factor(self, step: int) -> float:
        """Share of the peak rate at a step: up in a line, level, down in a line."""
        left = (self.steps - step) / max(self.steps * self.cool, 1)
        return max(min(1.0, (step + 1) / self.warm, left), 0.0)


class Course:
    """What learns, how far it is, and how it goes on after it was cut off."""

    def __init__(self, net: Any, pace: Pace, path: Path) -> None:
        """`path` is a safetensors file, made when first saved."""
        self.net, self.pace, self.path, self.step = net, pace, path, 0
        matrices, rest = split(net)
        self.muon = Muon(matrices, pace.rate)
        self.adam = torch.optim.AdamW(rest, pace.others, betas=(0.9, 0.98), weight_decay=0.02)
        self.ema = Ema(net, pace.decay)
        self.saved = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether all steps are taken."""
        return self.step >= self.pace.steps

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self.done or time.monotonic() - self.saved > self.pace.save

    def advance(self) -> None:
        """Apply the gradients that have gathered."""
        factor = self.pace.factor(self.step)
        learning = [p for p in self.net.parameters() if p.requires_grad]
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        for optimiser, rate in ((self.muon, self.pace.rate), (self.adam, self.pace.others)):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad()
        self.ema.update(self.step)
        self.step += 1

    def finish(self) -> None:
        """Leave the averaged weights in the module."""
        self.net.load_state_dict(self.ema.weights)

    def save(self) -> None:
        """Write everything that the run needs to go on."""
        kept: dict[str, Any] = {"step": torch.tensor(self.step)}
        kept |= {f"net.{k}": v for k, v in self.net.state_dict().items()}
        kept |= {f"ema.{k}": v for k, v in self.ema.weights.items()}
        names = {id(p): n for n, p in self.net.named_parameters()}
        for optimiser in (self.muon, self.adam):
            for parameter, values in optimiser.state.items():
                kept |= {f"opt.{names[id(parameter)]}:{k}": v for k, v in values.items()}
        write_tensors(self.path, kept)
        self.saved = time.monotonic()

    def resume(self) -> bool:
        """Go on from the file, if there is one."""
        from safetensors.torch import load_file

        if not self.path.is_file():
            return False
        kept = load_file(self.path)
        self.step = int(kept["step"])
        self.net.load_state_dict(under(kept, "net."))
        device = next(self.net.parameters()).device
        self.ema.weights = {k: v.to(device) for k, v in under(kept, "ema.").items()}
        self._restore(under(kept, "opt."))
        return True

    def _restore(self, kept: Mapping[str, Any]) -> None:
        parameters = dict(self.net.named_parameters())
        owner = {
            id(parameter): optimiser
            for optimiser in (self.muon, self.adam)
            for group in optimiser.param_groups
            for parameter in group["params"]
        }
        for key, value in kept.items():
            name, what = key.rsplit(":", 1)
            parameter = parameters[name]
            where = "cpu" if what == "step" else parameter.device
            owner[id(parameter)].state[parameter][what] = value.to(where)


def split(net: Any) -> tuple[list[Any], list[Any]]:
    """Hidden matrices for `Muon`; heads, embeddings, norms and biases for AdamW."""
    matrices: list[Any] = []
    rest: list[Any] = []
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            hidden = parameter.ndim == 2 and ".layer" in name and "embed" not in name
            (matrices if hidden else rest).append(parameter)
    return matrices, rest


def averaged(path: Path) -> dict[str, Any]:
    """The averaged weights in the file of a course."""
    from safetensors.torch import load_file

    return under(load_file(path), "ema.")


def under(kept: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The tensors whose names begin with the prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in kept.items() if k.startswith(prefix)}
