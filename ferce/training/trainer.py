"""The training loop of every model: optimiser steps, validation, checkpoints, early stopping."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic

import torch
from torch import Tensor

from ferce.training import checkpoint, progress
from ferce.training.optimiser import Ema
from ferce.training.options import Json
from ferce.training.progress import Stopping, TrainingError
from ferce.training.task import B, Position, Step, Task

if TYPE_CHECKING:
    from accelerate import Accelerator
    from tqdm import tqdm

FULL = (
    "The GPU's memory does not hold a pass of {}. Make the passes smaller (--batch) and a step of "
    "as many more (--accumulate), or choose a smaller network or --load-in."
)


@dataclass(frozen=True)
class Limits:
    """When a run ends, and how often it is saved.

    Attributes:
        epochs: at most.
        max_steps: optimiser steps, 0 for no limit.
        minutes: of training, 0 for no limit.
        patience: epochs without a better score, 0 for no limit.
        clip: largest norm of the gradient, 0 for no limit.
        save_every: steps between checkpoints besides the one after each epoch, 0 for none.
    """

    epochs: int
    max_steps: int = 0
    minutes: float = 0.0
    patience: int = 0
    clip: float = 0.0
    save_every: int = 0


@dataclass(frozen=True, eq=False)
class Session:
    """Where a trainer works.

    Attributes:
        accelerator: of Accelerate; each process has one.
        folder: of checkpoints.
        plan: the settings of the run as JSON, written into each checkpoint.
        report: takes a line an epoch.
    """

    accelerator: "Accelerator"
    folder: Path
    plan: Json
    report: progress.Report = progress.silent


class Trainer(Generic[B]):
    """Trains a task to its end, and goes on from a checkpoint bit for bit."""

    def __init__(
        self,
        task: Task[B],
        optimisers: Sequence[torch.optim.Optimizer],
        limits: Limits,
        session: Session,
        ema: Ema | None = None,
    ) -> None:
        """`ema` holds averaged weights of the module, which are validated in place of its own."""
        self.task, self.limits, self.session, self.ema = task, limits, session, ema
        self.accelerator = session.accelerator
        self.optimisers = [self.accelerator.prepare_optimizer(one) for one in optimisers]
        self.peaks = [[group["lr"] for group in one.param_groups] for one in self.optimisers]
        self.at = Position(Stopping(limits.patience))
        self.halvings = 0  # of each pass, for want of memory on the GPU
        self.started = time.monotonic()

    @property
    def best(self) -> Path:
        """The file of the weights with the best score."""
        return self.session.folder / f"{self.task.name}-best.safetensors"

    def run(self) -> Position:
        """Train to the end, and leave the weights to keep in the module.

        Raises:
            TrainingError: the loss is not finite; the message names the examples.
        """
        self.started = time.monotonic() - self.at.seconds
        shown = self.accelerator.is_main_process and self.session.report is not progress.silent
        with progress.bar(shown, self.task.name, self.task.unit) as bar:
            while self.at.epoch < self.limits.epochs and not self._over():
                self._epoch(bar)
                self._validate()
                self._save()
        self._keep()
        return self.at

    def resume(self, saved: checkpoint.Checkpoint | None) -> bool:
        """Go on where a checkpoint of this task was made; False where it is of another one."""
        if saved is None or saved.state["stage"] != self.task.name:
            return False
        state, tensors = saved.state, saved.tensors
        self.task.load(tensors["model"])
        self.task.load_state(state["task"])
        if self.ema:
            device = self.accelerator.device
            self.ema.weights = {n: t.to(device) for n, t in tensors["average"].items()}
        for number, optimiser in enumerate(self.optimisers):
            stored = tensors[f"optimiser-{number}"]
            checkpoint.restore_optimiser(optimiser.optimizer, stored, state["optimisers"][number])
        if state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        position = dict(state["position"])
        self.at = Position(Stopping(**position.pop("stopping")), **position)
        checkpoint.restore_random(saved.folder, self.accelerator.process_index)
        return True

    def _epoch(self, bar: "tqdm[object]") -> None:
        epoch = self.task.steps(self.at)
        bar.total, bar.n = epoch.total, epoch.done
        for step in epoch.steps:
            if not self.at.step:
                self._announce(step)
            self._note(self._step(step))
            bar.update(step.size)
            bar.set_postfix(loss=f"{sum(self.at.means().values()):.3f}", refresh=False)
            if self._over():
                break
            if self.limits.save_every and self.at.step % self.limits.save_every == 0:
                self._save()

    def _announce(self, step: Step[B]) -> None:
        """Say what one optimiser step reads."""
        largest = self.task.shape(step.passes[-1])
        self.session.report(
            f"{self.task.name}: the first step reads {step.size} {self.task.unit}s; forward passes "
            f"of each process: {len(step.passes)}, processes: {self.accelerator.num_processes}; "
            f"the last pass reads {largest}"
        )

    def _step(self, step: Step[B]) -> dict[str, float]:
        """Take one optimiser step; gives this process's parts of its loss."""
        self._set_rate()
        total = self._gradients(step)
        if self.limits.clip:
            learning = [p for p in self.task.module.parameters() if p.requires_grad]
            self.accelerator.clip_grad_norm_(learning, self.limits.clip)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        if self.ema:
            self.ema.update(self.at.step)
        return total

    def _gradients(self, step: Step[B]) -> dict[str, float]:
        """Sum the gradients of a step's passes; of smaller ones where the GPU lacks memory."""
        while True:
            passes = list(step.passes)
            for _ in range(self.halvings):
                passes = [half for one in passes for half in self.task.halves(one)]
            try:
                return self._backward(passes)
            except torch.OutOfMemoryError as error:
                largest = max(passes, key=lambda one: len(self.task.halves(one)))
                if len(self.task.halves(largest)) < 2 or self.accelerator.num_processes > 1:
                    raise TrainingError(FULL.format(self.task.shape(largest))) from error
            self._halve(self.task.shape(largest))

    def _halve(self, shape: str) -> None:
        """Forget a step that the GPU could not hold, and make each pass half as large from now."""
        self.halvings += 1
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        torch.cuda.empty_cache()
        self.session.report(
            f"the GPU's memory does not hold a pass of {shape}; from here on each is cut in two, "
            "which gives the same step but for statistics over a pass"
        )

    def _backward(self, passes: Sequence[B]) -> dict[str, float]:
        total: dict[str, float] = {}
        for number, batch in enumerate(passes):
            last = number == len(passes) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.task.runner):
                parts = self.task.loss(batch)
                values = {name: float(part.detach()) for name, part in parts.items()}
                self._require_finite(sum(values.values()), batch)
                self.accelerator.backward(sum(parts.values()))
            total = {name: total.get(name, 0.0) + value for name, value in values.items()}
        return total

    def _set_rate(self) -> None:
        share = self.task.rate(self.at)
        for optimiser, peaks in zip(self.optimisers, self.peaks, strict=True):
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = peak * share * group.get("lr_scale", 1.0)

    def _note(self, losses: Mapping[str, float]) -> None:
        """Count a step and its loss."""
        for name, value in losses.items():
            self.at.losses[name] = self.at.losses.get(name, 0.0) + value
        self.at.step += 1
        self.at.within += 1
        seconds = time.monotonic() - self.started
        self.at.seconds = self._shared(seconds) if self.limits.minutes else seconds
        if self.accelerator.trackers:
            self.accelerator.log({"loss": self._mean(sum(losses.values()))}, step=self.at.step)

    def _require_finite(self, loss: float, batch: B) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} at step {self.at.step} of the stage {self.task.name!r} "
                f"with {self.task.describe(batch)}. Look at these pictures, or lower lr "
                f"({self.peaks[0][0]})."
            )

    def _over(self) -> bool:
        """Tell whether to stop before the last epoch; all processes say the same."""
        spent = 0 < self.limits.max_steps <= self.at.step
        late = 0 < 60 * self.limits.minutes <= self.at.seconds
        return spent or late or self.at.stopping.over

    def _validate(self) -> None:
        """Measure the (averaged) weights on held-out faces; keep the best ones."""
        self._agree()
        with self.ema.used() if self.ema else nullcontext():
            made = self.task.validate(self.at)
            if made.score is not None:
                self.at.stopping = self.at.stopping.seen(made.score, self.at.epoch)
            if self.at.stopping.improved and self.accelerator.is_main_process:
                checkpoint.write_tensors(self.best, self.task.weights())
        means = self.at.means()
        loss = sum(means.values())
        row = {"epoch": self.at.epoch, "step": self.at.step, "loss": loss, **made.figures}
        self.at.history.append(row | {"seconds": round(self.at.seconds, 1)})
        # "loss" is that of the last step there; the epoch's mean would be a second point of it.
        logged = {"epoch": self.at.epoch, "epoch_loss": loss, **made.figures}
        self.accelerator.log(logged, self.at.step)
        parts = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
        figures = "; ".join(text for text in (parts, made.text) if text)
        self.session.report(
            f"{self.task.name} epoch {self.at.epoch + 1}, step {self.at.step}: {figures}"
        )
        for sample in made.samples:
            self.session.report(sample)
        self.at.epoch, self.at.within, self.at.losses = self.at.epoch + 1, 0, {}

    def _save(self) -> None:
        self._agree()
        tensors: dict[str, Mapping[str, Tensor]] = {"model": self.task.weights()}
        rest = []
        for number, optimiser in enumerate(self.optimisers):
            tensors[f"optimiser-{number}"], more = checkpoint.optimiser_state(optimiser.optimizer)
            rest.append(more)
        if self.ema:
            tensors["average"] = self.ema.weights
        scaler = self.accelerator.scaler
        state = {
            "stage": self.task.name,
            "plan": dict(self.session.plan),
            "position": asdict(self.at),
            "optimisers": rest,
            "scaler": scaler.state_dict() if scaler else None,
            "task": self.task.state(),
        }
        name = f"{self.task.name}-{self.at.step}-{self.at.epoch}"
        snapshot = checkpoint.Snapshot(tensors, state)
        checkpoint.save(self.session.folder, name, snapshot, self.accelerator)

    def _keep(self) -> None:
        """Put the best weights into the module, or the averaged ones where nothing is chosen."""
        from safetensors.torch import load_file

        self.accelerator.wait_for_everyone()
        if self.at.stopping.epoch >= 0:
            self.task.load(load_file(self.best))
        elif self.ema:
            self.task.module.load_state_dict(self.ema.weights)

    def _agree(self) -> None:
        """Give every process the same loss, and the main one's statistics of norms."""
        if self.accelerator.num_processes == 1:
            return
        from accelerate.utils import broadcast

        self.at.losses = {name: self._mean(value) for name, value in self.at.losses.items()}
        averaged = self.ema.weights.values() if self.ema else ()
        for tensor in (*self.task.module.buffers(), *averaged):
            tensor.copy_(broadcast(tensor))

    def _mean(self, value: float) -> float:
        """Average over the processes."""
        if self.accelerator.num_processes == 1:
            return value
        from accelerate.utils import reduce

        tensor = torch.tensor([value], dtype=torch.float64, device=self.accelerator.device)
        return float(reduce(tensor, "mean"))

    def _shared(self, value: float) -> float:
        """Take the main process's value."""
        if self.accelerator.num_processes == 1:
            return value
        from accelerate.utils import broadcast

        tensor = torch.tensor([value], dtype=torch.float64, device=self.accelerator.device)
        return float(broadcast(tensor))
