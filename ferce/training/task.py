"""What a `Trainer` trains: steps of batches, a loss, a validation, and how far all this is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ferce.training.options import Json
from ferce.training.progress import Stopping

B = TypeVar("B")  # what one pass through the network is given


@dataclass
class Position:
    """How far a run is; all of it goes into a checkpoint.

    Attributes:
        stopping: the best epoch so far, and how long ago it was.
        epoch: epochs that are over.
        step: optimiser steps since the start.
        within: of these, in this epoch.
        losses: part of the loss -> its sum over the steps of this epoch.
        seconds: since the start, pauses left out.
        history: one row of figures an epoch.
    """

    stopping: Stopping
    epoch: int = 0
    step: int = 0
    within: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def means(self) -> dict[str, float]:
        """Average each part of the loss over the steps of this epoch."""
        return {name: value / max(self.within, 1) for name, value in self.losses.items()}


@dataclass(frozen=True, eq=False)
class Step(Generic[B]):
    """One optimiser step: this process's passes, and the examples of all processes in it."""

    passes: Sequence[B]
    size: int


@dataclass(frozen=True, eq=False)
class Epoch(Generic[B]):
    """The steps of an epoch from the position on; `total` and `done` count the run's examples."""

    steps: Iterator[Step[B]]
    total: int
    done: int


@dataclass(frozen=True)
class Validation:
    """What held-out faces say after an epoch.

    Attributes:
        score: chooses the epoch whose weights are kept; None keeps the last ones.
        figures: go into the history and to the trackers.
        text: the end of the line that is reported.
        samples: further lines to report.
    """

    score: float | None
    figures: Mapping[str, float]
    text: str
    samples: Sequence[str] = ()


class Task(ABC, Generic[B]):
    """What a `Trainer` trains: a module, its batches, its loss and its validation.

    Attributes:
        name: of the stage; checkpoints are called by it.
        module: whose parameters learn.
        runner: the same as Accelerate prepared it.
        unit: what the progress bar counts.
    """

    name: str
    module: torch.nn.Module
    runner: torch.nn.Module
    unit = "face"

    @abstractmethod
    def steps(self, at: Position) -> Epoch[B]:
        """Put the module into training mode, and give the steps from the position on."""

    @abstractmethod
    def loss(self, batch: B) -> dict[str, Tensor]:
        """Compute named parts of the loss of one pass; their sum is minimised.

        The gradients of the passes are summed, and averaged over the processes.
        """

    @abstractmethod
    def validate(self, at: Position) -> Validation:
        """Measure the module on held-out faces."""

    @abstractmethod
    def rate(self, at: Position) -> float:
        """Compute the share 0..1 of the peak learning rate in the step to come."""

    def shape(self, batch: B) -> str:
        """Say how large a pass is."""
        return self.describe(batch)

    def halves(self, batch: B) -> Sequence[B]:
        """Cut a pass in two that give the same gradient together; leave whole what cannot be."""
        return [batch]

    def describe(self, batch: B) -> str:
        """Name the examples of a pass, for an error message."""
        del batch
        return "one batch"

    def weights(self) -> dict[str, Tensor]:
        """Give the weights that a checkpoint needs."""
        return dict(self.module.state_dict())

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Put back what `weights` gave."""
        self.module.load_state_dict(weights)

    def state(self) -> Json:
        """Give what else a checkpoint needs, as JSON."""
        return {}

    def load_state(self, state: Json) -> None:
        """Put back what `state` gave."""
        del state
