"""One stage of fine-tuning: epochs, validation, checkpoints, early stopping."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ferce.training import checkpoint, progress
from ferce.training.classifier import schedule
from ferce.training.classifier.loop import Position
from ferce.training.language.features import Sight
from ferce.training.language.optimiser import Flat, optimiser
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.rows import Row, cut, grouped, task_weights
from ferce.training.language.speaker import Recall
from ferce.training.language.turns import PHRASES, Script
from ferce.training.language.validation import Judge, score
from ferce.training.progress import Stopping, TrainingError
from ferce.training.sampling import Indices, share

BEST = "best.safetensors"


@dataclass(frozen=True, eq=False)
class Stage:
    """What one stage trains on; `script` makes its texts, `judge` measures it."""

    sight: Sight
    script: Script
    judge: Judge
    epochs: int

    @property
    def name(self) -> str:
        """Either basic or compound."""
        return self.script.stage


class LanguageLoop:
    """Trains a `Speaker` on a `Stage`; every process makes one."""

    def __init__(
        self, runner: Any, recall: Recall, stage: Stage, plan: LanguagePlan, folder: Path
    ) -> None:
        """`runner` is the prepared speaker; `folder` is where checkpoints go."""
        self.runner, self.recall, self.stage, self.plan = runner, recall, stage, plan
        self.folder, self.accelerator = folder, stage.judge.accelerator
        self.speaker = recall.speaker
        self.optimiser = self.accelerator.prepare_optimizer(
            optimiser(self.speaker.parameters(), plan)
        )
        self.at = Position(Stopping(plan.patience))
        self.predicted: list[str] = []
        self.losses: list[float] = []  # of every step since the start of this process
        self.report: progress.Report = progress.silent

    @property
    def best(self) -> Path:
        """The adapter of the best epoch."""
        return self.folder / f"{self.stage.name}-{BEST}"

    def run(self) -> Position:
        """Train to the end; gives where it ended."""
        self.started = time.monotonic() - self.at.seconds
        shown = self.accelerator.is_main_process and self.report is not progress.silent
        with progress.bar(0, 0, shown, self.stage.name) as bar:
            bar.unit = "text"
            while self.at.epoch < self.stage.epochs and not self._over():
                self._epoch(bar)
                self._validate()
                self._save()
        return self.at

    def restore(self, folder: Path, snapshot: checkpoint.Snapshot) -> None:
        """Go on where a checkpoint was made."""
        state = snapshot.state
        load_learned(self.speaker, snapshot.tensors["model"])
        checkpoint.restore_optimiser(
            Flat(self.optimiser.optimizer), snapshot.tensors["optimiser"], state["optimiser"]
        )
        position = dict(state["position"])
        self.at = Position(Stopping(**position.pop("stopping")), **position)
        self.predicted = list(state["predicted"])
        checkpoint.restore_random(folder, self.accelerator.process_index)

    def _epoch(self, bar: Any) -> None:
        if not self.at.within:
            self.predicted = self._predict()
        turns = self.stage.script.turns(self.at.epoch, self.predicted)
        rows = [self.recall.tokeniser.row(turn) for turn in turns]
        size = self.plan.batch * self.plan.accumulate * self.accelerator.num_processes
        seed = (self.plan.seed, self.at.epoch)
        steps = grouped([row.length for row in rows], size, seed)
        bar.total = len(rows) * self.stage.epochs
        bar.n = len(rows) * self.at.epoch + sum(len(step) for step in steps[: self.at.within])
        self.runner.train()
        for members in steps[self.at.within :]:
            loss = self._step(rows, members, self._rate(len(steps)))
            self._note(loss)
            bar.update(len(members))
            bar.set_postfix(loss=f"{self.at.loss / self.at.within:.3f}", refresh=False)
            if self._over():
                break
            if self.plan.save_every and self.at.step % self.plan.save_every == 0:
                self._save()

    def _note(self, loss: float) -> None:
        self.losses.append(loss)
        self.at.loss += loss
        self.at.step += 1
        self.at.within += 1
        self.at.seconds = time.monotonic() - self.started
        self.accelerator.log({"loss": loss}, step=self.at.step)

    def _predict(self) -> list[str]:
        """The model's own label for each training face, which its explanations are asked for."""
        if "explanation" not in self.stage.script.tasks:
            return [""] * len(self.stage.script.truths)
        self.runner.eval()
        found = score(
            self.recall, self.stage.sight, self.stage.name, self.at.epoch, self.accelerator
        )
        return [PHRASES[self.stage.name][k] for k in found.argmax(1)]

    def _step(self, rows: Sequence[Row], members: Indices, rate: float) -> float:
        """One optimiser step; gives its loss, the weighted mean over the rows of all processes."""
        schedule.apply_rate(self.optimiser, self.plan.rate * rate)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        (own,) = share(members, rank, world, 1)
        passes = cut(own, [row.length for row in rows], self.plan.tokens)
        whole = sum(self.plan.weights[rows[i].turn.task] for i in members)
        total = 0.0
        for number, part in enumerate(passes):
            last = number == len(passes) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.runner):
                mine = [rows[i] for i in part]
                # The gradients are averaged over the processes, so each gives its part times them.
                loss = self._loss(mine) / whole * world
                self._require_finite(loss, mine)
                self.accelerator.backward(loss)
            total += float(loss.detach())
        if self.plan.clip:
            self.accelerator.clip_grad_norm_(self._learning(), self.plan.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return self._mean(total)

    def _loss(self, rows: Sequence[Row]) -> Any:
        """The sum over rows, each the mean over its answer, times the weight of its task."""
        device = self.recall.device
        batch = self.recall.tokeniser.batch(rows, device)
        batch |= self.stage.sight([row.turn.number for row in rows])
        with self.accelerator.autocast():
            losses = self.runner(batch)
        return (losses * task_weights(rows, self.plan.weights, device)).sum()

    def _require_finite(self, loss: Any, rows: Sequence[Row]) -> None:
        if math.isfinite(float(loss.detach())):
            return
        gallery = self.stage.script.gallery
        named = (gallery.items[r.turn.number // gallery.views].sample.name for r in rows)
        names = ", ".join(f"{n} ({r.turn.task})" for n, r in zip(named, rows, strict=True))
        raise TrainingError(
            f"The loss became {float(loss.detach())} at step {self.at.step} of the "
            f"{self.stage.name} stage with the batch {names}. Look at these pictures, or lower lr "
            f"({self.plan.rate})."
        )

    def _rate(self, steps: int) -> float:
        """Share of the peak rate in the step to come, of `steps` in this epoch."""
        done = (self.at.epoch + (self.at.within + 1) / steps) / self.stage.epochs
        if self.plan.max_steps:
            done = max(done, (self.at.step + 1) / self.plan.max_steps)
        return schedule.factor(min(done, 1.0), self.plan.warmup)

    def _over(self) -> bool:
        spent = self.plan.max_steps and self.at.step >= self.plan.max_steps
        return bool(spent) or self.at.stopping.over

    def _learning(self) -> list[Any]:
        return [p for p in self.speaker.parameters() if p.requires_grad]

    def _mean(self, value: float) -> float:
        """Over the processes."""
        if self.accelerator.num_processes == 1:
            return value
        tensor = torch.tensor([value], device=self.accelerator.device)
        return float(self.accelerator.gather(tensor).mean())

    def _validate(self) -> None:
        """Measure on the val split; keep the adapter if it is the best so far."""
        self.runner.eval()
        found, samples = self.stage.judge.measure(self.plan.rouge_faces, self.plan.samples)
        # Where labels are not learned, or none is known, the loss decides.
        chosen = found["val"] if "label" in self.plan.weights else math.nan
        value = 1 / (1 + found["val_loss"]) if math.isnan(chosen) else chosen
        self.at.stopping = self.at.stopping.seen(value, self.at.epoch)
        if self.at.stopping.improved and self.accelerator.is_main_process:
            checkpoint.write_tensors(self.best, learned(self.speaker))
        mean = self.at.loss / max(self.at.within, 1)
        row = {"epoch": self.at.epoch, "step": self.at.step, "loss": mean, **found}
        self.at.history.append(row | {"seconds": round(self.at.seconds, 1)})
        # "loss" is that of the last step there; the epoch's mean would be a second point of it.
        self.accelerator.log({"epoch": self.at.epoch, "epoch_loss": mean, **found}, self.at.step)
        figures = ", ".join(f"{name} {figure:.4f}" for name, figure in found.items())
        self.report(
            f"{self.stage.name} epoch {self.at.epoch + 1}/{self.stage.epochs}: "
            f"loss {mean:.4f}, {figures}"
        )
        for sample in samples:
            self.report(str(sample))
        self.at.epoch, self.at.within, self.at.loss = self.at.epoch + 1, 0, 0.0

    def _save(self) -> None:
        tensors, rest = checkpoint.optimiser_state(Flat(self.optimiser.optimizer))
        parts: dict[str, Mapping[str, Any]] = {
            "model": learned(self.speaker),
            "optimiser": tensors,
        }
        state = {
            "stage": self.stage.name,
            "plan": asdict(self.plan),
            "position": asdict(self.at),
            "optimiser": rest,
            "predicted": self.predicted,
        }
        name = f"{self.stage.name}-{self.at.step}-{self.at.epoch}"
        checkpoint.save(self.folder, name, checkpoint.Snapshot(parts, state), self.accelerator)


def learned(speaker: Any) -> dict[str, Any]:
    """What learns, by name."""
    return {name: p.detach() for name, p in speaker.named_parameters() if p.requires_grad}


def load_learned(speaker: Any, tensors: Mapping[str, Any]) -> None:
    """Put back what `learned` gave.

    Raises:
        TrainingError: the names differ: another scope or base.
    """
    own = learned(speaker)
    if odd := sorted(set(own) ^ set(tensors)):
        raise TrainingError(f"The checkpoint does not fit the network at {odd[0]}.")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
