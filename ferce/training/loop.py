"""One stage of training: epochs, validation, checkpoints, early stopping."""

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ferce.training import checkpoint, mixing, progress, schedule, validation
from ferce.training.batches import Batch, Faces, Key, loader
from ferce.training.ema import Ema
from ferce.training.errors import TrainingError
from ferce.training.examples import targets
from ferce.training.losses import ClassLoss, unit_loss
from ferce.training.network import Net
from ferce.training.plan import Plan
from ferce.training.sampling import Order, share
from ferce.training.stopping import Stopping


@dataclass(frozen=True, eq=False)
class Stage:
    """What one stage trains on.

    Attributes:
        name: "basic" or "compound".
        train: training faces, varied.
        val: validation faces, as they are.
        loss: of the classes.
        order: of the training faces.
        epochs: to make.
    """

    name: str
    train: Faces
    val: Faces
    loss: ClassLoss
    order: Order
    epochs: int


@dataclass
class Position:
    """Where a stage is; all of it goes into a checkpoint."""

    stopping: Stopping
    epoch: int = 0
    step: int = 0  # optimiser steps of this stage
    within: int = 0  # of these, in this epoch
    loss: float = 0.0  # summed over the steps of this epoch
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


class Loop:
    """Trains a `Net` on a `Stage`; every process makes one."""

    def __init__(self, net: Net, stage: Stage, plan: Plan, folder: Path, accelerator: Any) -> None:
        """`folder` is where checkpoints go."""
        self.stage, self.plan, self.folder, self.accelerator = stage, plan, folder, accelerator
        self.net = net.to(accelerator.device, memory_format=torch.channels_last)
        if plan.checkpointing:
            net.network.set_grad_checkpointing(True)
        self.held = schedule.frozen_modules(net, plan.freeze)
        schedule.hold(self.held, False)  # the groups leave frozen weights out, also for later
        made = torch.optim.AdamW(schedule.groups(net, plan.weight_decay, plan.layer_decay), plan.lr)
        schedule.hold(self.held, True)
        self.optimiser = accelerator.prepare(made)
        self.ema = Ema(net, plan.ema) if plan.ema else None
        self.runner = self._prepared()
        self.at = Position(Stopping(plan.patience))
        self.labelled = targets(stage.train.items, stage.train.labels).sum(1)  # (N,)
        self.report: progress.Report = progress.silent
        self.started = time.monotonic()

    @property
    def best(self) -> Path:
        """Where the weights with the best validation score lie."""
        return self.folder / f"best-{self.stage.name}.safetensors"

    def run(self) -> Position:
        """Train to the end, or until it is time to stop.

        Raises:
            TrainingError: the loss is not finite; the message names the faces.
        """
        self.started = time.monotonic() - self.at.seconds
        total = self.stage.epochs * len(self.stage.train)
        done = self.at.epoch * len(self.stage.train) + self.at.within * self.stage.order.step
        shown = self.accelerator.is_main_process and self.report is not progress.silent
        with progress.bar(total, done, shown, self.stage.name) as bar:
            while self.at.epoch < self.stage.epochs and not self._over():
                self._thaw()
                self._epoch(bar)
                self._validate()
                self._save()
        return self.at

    def restore(self, folder: Path, snapshot: checkpoint.Snapshot) -> None:
        """Go on where a checkpoint was made."""
        state = snapshot.state
        self.net.load_state_dict(snapshot.tensors["model"])
        if self.ema:
            stored = snapshot.tensors["average"]
            self.ema.weights = {n: t.to(self.accelerator.device) for n, t in stored.items()}
        checkpoint.restore_optimiser(
            self.optimiser.optimizer, snapshot.tensors["optimiser"], state["optimiser"]
        )
        if state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        position = dict(state["position"])
        self.at = Position(Stopping(**position.pop("stopping")), **position)
        checkpoint.restore_random(folder, self.accelerator.process_index)

    def _prepared(self) -> Any:
        runner = torch.compile(self.net) if self.plan.compile else self.net
        return self.accelerator.prepare_model(runner)

    def _thaw(self) -> None:
        """Free the frozen layers when their time has come, and tell the other processes."""
        if self.held and self.plan.unfreeze and self.at.epoch >= self.plan.unfreeze:
            schedule.hold(self.held, False)
            self.held = []
            self.runner = self._prepared()

    def _epoch(self, bar: Any) -> None:
        steps = self._passes(self.at.epoch)
        waiting = steps[self.at.within :]
        batches = iter(
            loader(self.stage.train, [keys for step in waiting for keys in step], self.plan.workers)
        )
        self.runner.train()
        schedule.rest(self.held)
        sizes = self.stage.order.steps(self.at.epoch)[self.at.within :]
        for passes, members in zip(waiting, sizes, strict=True):
            loss = self._step([next(batches) for _ in passes], members)
            self.at.loss += loss
            self.at.step += 1
            self.at.within += 1
            self.at.seconds = time.monotonic() - self.started
            bar.update(len(members))
            bar.set_postfix(loss=f"{self.at.loss / self.at.within:.3f}", refresh=False)
            if self._over():
                break
            if self.plan.save_every and self.at.step % self.plan.save_every == 0:
                self._save()

    def _passes(self, epoch: int) -> list[list[list[Key]]]:
        """Steps of this process, each a list of passes, each a list of keys."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        return [
            [
                [(epoch, int(i)) for i in part]
                for part in share(s, rank, world, self.plan.accumulate)
            ]
            for s in self.stage.order.steps(epoch)
        ]

    def _step(self, batches: list[Batch], members: Any) -> float:
        """One optimiser step; gives this process's part of its loss, times the processes."""
        schedule.apply_rate(self.optimiser, self.plan.lr * self._rate())
        counts = self._counts(members)
        total = 0.0
        for number, batch in enumerate(batches):
            last = number == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.runner):
                seed = (self.plan.seed, self.at.step, number, self.accelerator.process_index)
                mixed = mixing.mix(batch, seed, self.plan.mixup, self.plan.cutmix)
                loss = self._loss(mixed.to(self.accelerator.device), counts)
                self._require_finite(loss, batch)
                self.accelerator.backward(loss)
            total += float(loss.detach())
        if self.plan.clip:
            self.accelerator.clip_grad_norm_(self.net.parameters(), self.plan.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.ema:
            self.ema.update(self.at.step)
        return total

    def _counts(self, members: Any) -> tuple[float, float]:
        """Labelled and coded faces in the whole step, of all processes: what the sums go by."""
        items = [self.stage.train.items[i].sample for i in members]
        held = self.labelled[np.asarray(members)].sum()
        coded = sum(sample.units is not None for sample in items)
        return max(float(held), 1.0), max(float(coded), 1.0)

    def _loss(self, batch: Batch, counts: tuple[float, float]) -> Any:
        """This pass's part of the mean over the whole step.

        Times the number of processes, over which the gradients are averaged: so the gradient is
        that of one process with the whole step, however it is cut.
        """
        with self.accelerator.autocast():
            logits, units = self.runner(batch.images)
        loss = self.stage.loss(logits, batch.targets).sum() / counts[0]
        if units is not None:
            loss = loss + self.plan.units * unit_loss(units, batch.units).sum() / counts[1]
        return loss * self.accelerator.num_processes

    def _require_finite(self, loss: Any, batch: Batch) -> None:
        if math.isfinite(float(loss.detach())):
            return
        items = self.stage.train.items
        names = ", ".join(items[i].sample.name for i in batch.indices.tolist())
        raise TrainingError(
            f"The loss became {float(loss.detach())} at step {self.at.step} of the stage "
            f"{self.stage.name!r} with the faces {names}. Look at these pictures, or lower lr "
            f"({self.plan.lr})."
        )

    def _rate(self) -> float:
        total = self.stage.epochs * self.stage.order.length
        if self.plan.max_steps:
            total = min(total, self.plan.max_steps)
        done = self.at.step / total
        if self.plan.minutes:
            done = max(done, self._shared(self.at.seconds) / (60 * self.plan.minutes))
        return schedule.factor(min((done + 1 / total), 1.0), self.plan.warmup)

    def _over(self) -> bool:
        """Whether to stop before the last epoch; all processes say the same."""
        if self.plan.max_steps and self.at.step >= self.plan.max_steps:
            return True
        late = self.plan.minutes and self._shared(self.at.seconds) >= 60 * self.plan.minutes
        return bool(late) or self.at.stopping.over

    def _shared(self, value: float) -> float:
        """The main process's value."""
        if self.accelerator.num_processes == 1:
            return value
        from accelerate.utils import broadcast

        tensor = torch.tensor([value], dtype=torch.float64, device=self.accelerator.device)
        return float(broadcast(tensor))

    def _validate(self) -> None:
        """Score the averaged weights on the val split; keep them if they are the best so far."""
        self._agree()
        with self.ema.used() if self.ema else nullcontext():
            outputs = validation.predict(
                self.net, self.stage.val, self.plan.batch, self.accelerator, self.plan.workers
            )
            value = validation.score(outputs)
            self.at.stopping = self.at.stopping.seen(value, self.at.epoch)
            kept = self.at.stopping.improved or self.plan.keep == "last"
            if kept and self.accelerator.is_main_process:
                checkpoint.write_tensors(self.best, self.net.state_dict())
        mean = self.at.loss / max(self.at.within, 1)
        row = {"epoch": self.at.epoch, "step": self.at.step, "loss": mean, "val": value}
        self.at.history.append(row | {"seconds": round(self.at.seconds, 1)})
        self.report(
            f"{self.stage.name} epoch {self.at.epoch + 1}/{self.stage.epochs}: loss {mean:.4f}, "
            f"val macro-F1 {value:.4f}, best {self.at.stopping.best:.4f}"
        )
        self.at.epoch, self.at.within, self.at.loss = self.at.epoch + 1, 0, 0.0

    def _agree(self) -> None:
        """Give every process the same loss, and the main one's statistics of norms."""
        if self.accelerator.num_processes == 1:
            return
        from accelerate.utils import broadcast, reduce

        loss = torch.tensor([self.at.loss], dtype=torch.float64, device=self.accelerator.device)
        self.at.loss = float(reduce(loss, "mean"))

        averaged = self.ema.weights.values() if self.ema else ()
        for tensor in (*self.net.buffers(), *averaged):
            tensor.copy_(broadcast(tensor))

    def _save(self) -> None:
        self._agree()
        tensors, rest = checkpoint.optimiser_state(self.optimiser.optimizer)
        parts: dict[str, Mapping[str, Any]] = {"model": self.net.state_dict(), "optimiser": tensors}
        if self.ema:
            parts["average"] = self.ema.weights
        scaler = self.accelerator.scaler
        state = {
            "stage": self.stage.name,
            "plan": asdict(self.plan),
            "position": asdict(self.at),
            "optimiser": rest,
            "scaler": scaler.state_dict() if scaler else None,
        }
        snapshot = checkpoint.Snapshot(parts, state)
        name = f"{self.stage.name}-{self.at.step}-{self.at.epoch}"
        checkpoint.save(self.folder, name, snapshot, self.accelerator)
