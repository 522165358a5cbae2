"""A stage of a small model: how long and how fast it learns, and the trainer that does it."""

import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Parameter

from ferce.training import checkpoint, progress
from ferce.training.optimiser import Ema, Muon
from ferce.training.progress import TrainingError
from ferce.training.task import B, Epoch, Position, Step, Task, Validation
from ferce.training.trainer import Limits, Session, Trainer


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: in all; a run that is taken up again may be given another number.
        batch: faces, or texts, a step.
        rate: peak learning rate of the matrices.
        others: peak learning rate of all else.
        warm: steps until the peak.
        cool: share of the steps over which the rate falls to nothing.
        decay: of the averaged weights.
        save: seconds between checkpoints, each with a validation.
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
        """Compute the share of the peak rate at a step: up in a line, level, down in a line."""
        left = (self.steps - step) / max(self.steps * self.cool, 1)
        return max(min(1.0, (step + 1) / self.warm, left), 0.0)


class StageTask(Task[B]):
    """A stage; its epochs are the steps between two checkpoints."""

    def __init__(self, name: str, module: torch.nn.Module, schedule: Schedule) -> None:
        self.name, self.schedule = name, schedule
        self.module = self.runner = module
        self._stream: Iterator[B] | None = None

    @abstractmethod
    def batches(self, first: int) -> Iterator[B]:
        """Make batches from step `first` on, without end; the same however often a run stops."""

    def describe_validation(self) -> str:
        """Measure the averaged weights, and tell the result in one line."""
        return ""

    def steps(self, at: Position) -> Epoch[B]:
        """Give the steps until the next checkpoint is due."""
        if self._stream is None:
            self._stream = self.batches(at.step)
        size = self.schedule.batch
        return Epoch(self._until_due(at.step), self.schedule.steps * size, at.step * size)

    def rate(self, at: Position) -> float:
        """Compute the share of the peak rate by steps."""
        return self.schedule.factor(at.step)

    def validate(self, at: Position) -> Validation:
        """Report; the last weights are kept whatever the figures say."""
        del at
        return Validation(None, {}, self.describe_validation())

    def _until_due(self, first: int) -> Iterator[Step[B]]:
        assert self._stream is not None
        due = time.monotonic() + self.schedule.save
        for batch in islice(self._stream, self.schedule.steps - first):
            yield Step([batch], self.schedule.batch)
            if time.monotonic() > due:
                return


def fit(task: StageTask[B], folder: Path, device: str, report: progress.Report) -> None:
    """Train a stage, from its checkpoint in `folder` if there is one, and keep the averages.

    Args:
        task: its module gets the averaged weights.
        folder: of checkpoints.
        device: "cpu" or "cuda".
        report: takes a line at each checkpoint.
    """
    from accelerate import Accelerator

    plan = task.schedule
    matrices, rest = split(task.module)
    adam = torch.optim.AdamW(rest, plan.others, betas=(0.9, 0.98), weight_decay=0.02)
    session = Session(Accelerator(cpu=device == "cpu"), folder, asdict(plan), report)
    limits = Limits(epochs=plan.steps, max_steps=plan.steps, clip=1.0)
    optimisers = [Muon(matrices, plan.rate), adam]
    trainer = Trainer(task, optimisers, limits, session, Ema(task.module, plan.decay))
    if trainer.resume(checkpoint.load(folder)):
        report(f"{task.name}: going on from step {trainer.at.step}")
    trainer.run()


def split(module: torch.nn.Module) -> tuple[list[Parameter], list[Parameter]]:
    """Split parameters: hidden matrices for `Muon`; heads, embeddings, norms, biases for AdamW."""
    matrices: list[Parameter] = []
    rest: list[Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            hidden = parameter.ndim == 2 and ".layer" in name and "embed" not in name
            (matrices if hidden else rest).append(parameter)
    return matrices, rest


def averaged(folder: Path, prefix: str = "") -> dict[str, Tensor]:
    """Load the averaged weights of a stage whose names begin with the prefix, without it.

    Raises:
        TrainingError: the stage has no checkpoint yet.
    """
    saved = checkpoint.load(folder)
    if saved is None:
        raise TrainingError(f"There is no {folder}; teach the stage {folder.name} first.")
    average = saved.tensors["average"]
    return {k.removeprefix(prefix): v for k, v in average.items() if k.startswith(prefix)}
