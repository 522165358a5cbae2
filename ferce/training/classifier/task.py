"""A stage of the classifier's training: its losses against unequal classes, its validation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ferce.training import optimiser
from ferce.training.classifier import validation
from ferce.training.classifier.batches import Batch, Faces, Key, loader, mix
from ferce.training.classifier.network import Net, spare_copies
from ferce.training.classifier.plan import Plan
from ferce.training.examples import Indices, Order, share, targets
from ferce.training.task import Epoch, Position, Step, Task, Validation

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class ClassLoss:
    """Cross-entropy on shifted, weighted or focused scores.

    Attributes:
        shift: (K,) added to the scores: tau log prior, for logit adjustment.
        margins: (K,) taken off the score of the target class (LDAM).
        weights: (K,) of each class in the sum.
        gamma: exponent of the focal factor, 0 for none.
        smoothing: share of each target that is spread over all classes.
    """

    shift: Tensor
    margins: Tensor
    weights: Tensor
    gamma: float = 0.0
    smoothing: float = 0.0

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute (N,) losses of (N, K) scores and (N, K) target shares.

        A row of zeros stands for an unlabelled face; its loss is 0.
        """
        logits = logits.float()
        shift, margins, weights = (
            v.to(logits.device) for v in (self.shift, self.margins, self.weights)
        )
        log_p = functional.log_softmax(logits + shift - margins * targets, dim=1)
        even = targets.sum(1, keepdim=True) / targets.shape[1]
        wanted = (1 - self.smoothing) * targets + self.smoothing * even
        # Lin et al. 2017, arXiv:1708.02002, eq. 4
        focus = (1 - log_p.exp()).clamp_min(1e-8) ** self.gamma if self.gamma else 1.0
        return -(wanted * weights * focus * log_p).sum(1)


def class_loss(plan: Plan, counts: NDArray[np.floating]) -> ClassLoss:
    """Build the loss that the plan names.

    Args:
        plan: names the loss and its constants.
        counts: (K,) training faces of each class; a class without any counts as one face.
    """
    seen = np.maximum(np.asarray(counts, np.float64), 1.0)
    nothing, ones = np.zeros(len(seen)), np.ones(len(seen))
    shift = plan.tau * log_prior(seen) if plan.loss == "logit-adjusted" else nothing
    margins = ldam_margins(seen, plan.margin) if plan.loss == "ldam" else nothing
    balanced = plan.loss == "class-balanced"
    weights = balanced_weights(seen, plan.beta) if balanced else ones
    gamma = plan.gamma if plan.loss == "focal" else 0.0
    shift, margins, weights = (
        torch.tensor(v, dtype=torch.float32) for v in (shift, margins, weights)
    )
    return ClassLoss(shift, margins, weights, gamma, plan.smoothing)


def log_prior(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute log class priors (Menon et al. 2021, arXiv:2007.07314, eq. 10)."""
    return np.asarray(np.log(counts / counts.sum()))


def ldam_margins(counts: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    """Compute margins in proportion to n^(-1/4) (Cao et al. 2019, arXiv:1906.07413, eq. 13).

    They apply to plain scores, not to cosines as there, so that the head stays a linear layer.
    """
    margins = counts**-0.25
    return np.asarray(margins * largest / margins.max())


def balanced_weights(counts: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """Compute (1 - beta) / (1 - beta^n) (Cui et al. 2019, arXiv:1901.05555, eq. 10).

    Scaled so that the mean weight of the training faces is 1, which keeps the learning rate's
    meaning.
    """
    weights = (1 - beta) / (1 - beta**counts)
    return np.asarray(weights * counts.sum() / (weights * counts).sum())


def unit_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Compute (N,) mean binary cross-entropies of the coded action units.

    Args:
        logits: (N, A) scores.
        wanted: (N, A) presence 0..1; NaN where not coded or not to be seen, which says nothing. A
            face without any coded unit has loss 0.
    """
    known = ~torch.isnan(wanted)
    filled = torch.where(known, wanted, torch.zeros_like(wanted))
    each = functional.binary_cross_entropy_with_logits(logits.float(), filled, reduction="none")
    return (each * known).sum(1) / known.sum(1).clamp_min(1)


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


@dataclass(frozen=True, eq=False)
class Pass:
    """Faces of one pass, and the counts of the whole step that normalise the loss.

    Attributes:
        batch: on the CPU.
        labelled: faces with a label in the step, of all processes; at least 1.
        coded: faces with coded action units, likewise.
    """

    batch: Batch
    labelled: float
    coded: float


class ClassifierTask(Task[Pass]):
    """Trains a `Net` on a `Stage`; every process makes one."""

    def __init__(self, net: Net, stage: Stage, plan: Plan, accelerator: "Accelerator") -> None:
        self.name, self.stage, self.plan, self.accelerator = stage.name, stage, plan, accelerator
        self.module = net.to(accelerator.device, memory_format=torch.channels_last)
        spare_copies(net.network)
        if plan.checkpointing:
            net.network.set_grad_checkpointing(True)
        self.held = optimiser.frozen_modules(net, plan.freeze)
        self.runner = self._prepared()
        self.labelled = targets(stage.train.items, stage.train.labels).sum(1)  # (N,)

    def optimiser(self) -> torch.optim.Optimizer:
        """Make AdamW over the whole network but weights without gradients of their own."""
        optimiser.hold(self.held, False)  # the groups leave frozen weights out, also for later
        groups = optimiser.groups(self.module, self.plan.weight_decay, self.plan.layer_decay)
        made = torch.optim.AdamW(groups, self.plan.lr)
        optimiser.hold(self.held, True)
        return made

    def steps(self, at: Position) -> Epoch[Pass]:
        """Load the faces of the epoch's remaining steps."""
        self._thaw(at.epoch)
        self.runner.train()
        optimiser.rest(self.held)
        every = self.stage.order.steps(at.epoch)
        waiting = every[at.within :]
        done = at.epoch * len(self.stage.train) + sum(map(len, every[: at.within]))
        total = self.stage.epochs * len(self.stage.train)
        return Epoch(self._load(waiting, at.epoch, at.step), total, done)

    def loss(self, batch: Pass) -> dict[str, Tensor]:
        """Compute this pass's part of the mean over the whole step.

        Times the number of processes, over which the gradients are averaged: so the gradient is
        that of one process with the whole step, however it is cut.
        """
        faces = batch.batch.to(self.accelerator.device)
        with self.accelerator.autocast():
            logits, units = self.runner(faces.images)
        loss = self.stage.loss(logits, faces.targets).sum() / batch.labelled
        if units is not None:
            loss = loss + self.plan.units * unit_loss(units, faces.units).sum() / batch.coded
        return {"loss": loss * self.accelerator.num_processes}

    def shape(self, batch: Pass) -> str:
        """Count the faces and pixels of a pass."""
        return " x ".join(map(str, batch.batch.images.shape))

    def halves(self, batch: Pass) -> list[Pass]:
        """Cut the faces in two; the counts are those of the step and stay."""
        middle = len(batch.batch.images) // 2
        if not middle:
            return [batch]
        parts = (slice(middle), slice(middle, None))
        cut = [Batch(*(tensor[part] for tensor in batch.batch)) for part in parts]
        return [replace(batch, batch=one) for one in cut]

    def describe(self, batch: Pass) -> str:
        """Name the faces."""
        items = self.stage.train.items
        return "the faces " + ", ".join(items[i].sample.name for i in batch.batch.indices.tolist())

    def rate(self, at: Position) -> float:
        """Compute the share of the peak rate by steps or, if that is later, by minutes."""
        total = self.stage.epochs * self.stage.order.length
        if self.plan.max_steps:
            total = min(total, self.plan.max_steps)
        done = at.step / total
        if self.plan.minutes:
            done = max(done, at.seconds / (60 * self.plan.minutes))
        return optimiser.factor(min((done + 1 / total), 1.0), self.plan.warmup)

    def validate(self, at: Position) -> Validation:
        """Score the val split."""
        outputs = validation.predict(
            self.module, self.stage.val, self.plan.batch, self.accelerator, self.plan.workers
        )
        value = validation.score(outputs)
        best = max(value, at.stopping.best)
        chosen = value if self.plan.keep == "best" else None
        return Validation(chosen, {"val": value}, f"val macro-F1 {value:.4f}, best {best:.4f}")

    def _prepared(self) -> torch.nn.Module:
        runner = torch.compile(self.module) if self.plan.compile else self.module
        return self.accelerator.prepare_model(runner)

    def _thaw(self, epoch: int) -> None:
        """Free the frozen layers when their time has come, and tell the other processes."""
        if self.held and self.plan.unfreeze and epoch >= self.plan.unfreeze:
            optimiser.hold(self.held, False)
            self.held = []
            self.runner = self._prepared()

    def _load(self, steps: Sequence[Indices], epoch: int, first: int) -> Iterator[Step[Pass]]:
        """Load and mix the faces of steps, of which the first has number `first`."""
        passes = [self._keys(members, epoch) for members in steps]
        keys = [keys for step in passes for keys in step]
        batches = iter(loader(self.stage.train, keys, self.plan.workers))
        for number, (members, parts) in enumerate(zip(steps, passes, strict=True)):
            labelled, coded = self._counts(members)
            made = [next(batches) for _ in parts]
            mixed = [self._mixed(batch, first + number, i) for i, batch in enumerate(made)]
            yield Step([Pass(batch, labelled, coded) for batch in mixed], len(members))

    def _keys(self, members: Indices, epoch: int) -> list[list[Key]]:
        """List (epoch, index) of the faces in each pass of this process."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        parts = share(members, rank, world, self.plan.accumulate)
        return [[(epoch, int(i)) for i in part] for part in parts]

    def _mixed(self, batch: Batch, step: int, number: int) -> Batch:
        seed = (self.plan.seed, step, number, self.accelerator.process_index)
        return mix(batch, seed, self.plan.mixup, self.plan.cutmix)

    def _counts(self, members: Indices) -> tuple[float, float]:
        """Count labelled and coded faces in the whole step, which normalise the loss."""
        items = [self.stage.train.items[i].sample for i in members]
        held = self.labelled[np.asarray(members)].sum()
        coded = sum(sample.units is not None for sample in items)
        return max(float(held), 1.0), max(float(coded), 1.0)
