"""A stage of fine-tuning: its texts, the loss of their answers, its validation."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ferce.training import optimiser
from ferce.training.examples import Indices, draw, share
from ferce.training.language.conversation import PHRASES, Conversation
from ferce.training.language.features import FeatureSource
from ferce.training.language.learner import Learner
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.rows import Balance, Row, cut, fitting_tokens, grouped
from ferce.training.language.validation import Validator, score
from ferce.training.options import Json
from ferce.training.progress import TrainingError
from ferce.training.task import Epoch, Position, Step, Task, Validation


@dataclass(frozen=True, eq=False)
class Stage:
    """What one stage trains on.

    Attributes:
        source: features of the training faces.
        conversation: makes the texts of an epoch.
        validator: measures the model on held-out faces.
        epochs: to make.
        balance: of unequal classes.
    """

    source: FeatureSource
    conversation: Conversation
    validator: Validator
    epochs: int
    balance: Balance = field(default_factory=Balance)

    @property
    def name(self) -> str:
        """Either basic or compound."""
        return self.conversation.stage


@dataclass(frozen=True, eq=False)
class Pass:
    """Rows of one pass.

    Attributes:
        rows: texts.
        pictures: of `FeatureSource.load`, in the order of the rows.
        weight: sum of the task weights in the whole step of all processes.
    """

    rows: Sequence[Row]
    pictures: Mapping[str, Tensor]
    weight: float


class LanguageTask(Task[Pass]):
    """Trains a `LossModel` on a `Stage`; every process makes one."""

    unit = "text"

    def __init__(
        self, runner: torch.nn.Module, backend: Learner, stage: Stage, plan: LanguagePlan
    ) -> None:
        """`runner` is the loss model as Accelerate prepared it."""
        self.name, self.runner, self.backend = stage.name, runner, backend
        self.stage, self.plan = stage, plan
        self.module, self.accelerator = backend.loss_model, stage.validator.accelerator
        self.predicted: list[str] = []
        self.length = 1  # steps of this epoch

    def steps(self, at: Position) -> Epoch[Pass]:
        """Make the texts of the epoch, and group them by length."""
        if not at.within:
            self.predicted = self._predict(at.epoch)
        order = self._order(at.epoch)
        numbers = self.stage.conversation.numbers(at.epoch, order)
        self.stage.source.draw([number for _, number in numbers], self.plan.workers)
        texts = self.stage.conversation.examples(at.epoch, self.predicted, order)
        rows = [self.backend.tokeniser.row(text) for text in texts]
        size = self.plan.batch * self.plan.accumulate * self.accelerator.num_processes
        every = grouped([row.length for row in rows], size, (self.plan.seed, at.epoch))
        self.length = len(every)
        self.runner.train()
        done = len(rows) * at.epoch + sum(map(len, every[: at.within]))
        waiting = every[at.within :]
        return Epoch(self._cut(rows, waiting), len(rows) * self.stage.epochs, done)

    def loss(self, batch: Pass) -> dict[str, Tensor]:
        """Compute the weighted mean over the step's rows, each the mean over its answer's tokens.

        The gradients are averaged over the processes, so each gives its part times them.
        """
        device = self.backend.device
        tensors = self.backend.tokeniser.batch(batch.rows, device)
        tensors |= self.stage.balance.row_shifts(batch.rows, device)
        tensors |= self.stage.source.moved(batch.pictures)
        with self.accelerator.autocast():
            losses = self.runner(tensors)
        weights = self.stage.balance.row_weights(batch.rows, self.plan.weights, device)
        return {"loss": (losses * weights).sum() / batch.weight * self.accelerator.num_processes}

    def shape(self, batch: Pass) -> str:
        """Count the texts and tokens of a pass."""
        return f"{len(batch.rows)} texts x {max(row.length for row in batch.rows)} tokens"

    def halves(self, batch: Pass) -> list[Pass]:
        """Cut the texts in two where each has a row of its own in every tensor of pictures."""
        count = len(batch.rows)
        if count < 2 or any(len(tensor) != count for tensor in batch.pictures.values()):
            return [batch]
        parts = (slice(count // 2), slice(count // 2, None))
        return [
            Pass(batch.rows[part], {k: v[part] for k, v in batch.pictures.items()}, batch.weight)
            for part in parts
        ]

    def describe(self, batch: Pass) -> str:
        """Name the faces, and the task of each text."""
        gallery = self.stage.conversation.gallery
        names = (gallery.items[r.example.number // gallery.views].sample.name for r in batch.rows)
        pairs = zip(names, batch.rows, strict=True)
        return "the batch " + ", ".join(f"{name} ({row.example.task})" for name, row in pairs)

    def rate(self, at: Position) -> float:
        """Compute the share of the peak rate by epochs or, if that is later, by steps."""
        done = (at.epoch + (at.within + 1) / self.length) / self.stage.epochs
        if self.plan.max_steps:
            done = max(done, (at.step + 1) / self.plan.max_steps)
        return optimiser.factor(min(done, 1.0), self.plan.warmup)

    def validate(self, at: Position) -> Validation:
        """Measure on the val split: labels, losses, and some generated explanations."""
        del at
        self.runner.eval()
        figures, samples = self.stage.validator.measure(self.plan.rouge_faces, self.plan.samples)
        # Where labels are not learned, or none is known, the loss decides.
        chosen = figures["val"] if "label" in self.plan.weights else math.nan
        value = 1 / (1 + figures["val_loss"]) if math.isnan(chosen) else chosen
        text = ", ".join(f"{name} {figure:.4f}" for name, figure in figures.items())
        return Validation(value, figures, text, [str(sample) for sample in samples])

    def weights(self) -> dict[str, Tensor]:
        """Give the trainable parameters by name; the frozen base is not saved."""
        return {n: p.detach() for n, p in self.module.named_parameters() if p.requires_grad}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Put back what `weights` gave.

        Raises:
            TrainingError: the names differ: another scope or base.
        """
        own = self.weights()
        if odd := sorted(set(own) ^ set(weights)):
            raise TrainingError(f"The checkpoint does not fit the network at {odd[0]}.")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(weights[name])

    def state(self) -> Json:
        """Give the labels that the explanations of this epoch are asked for."""
        return {"predicted": self.predicted}

    def load_state(self, state: Json) -> None:
        """Put back what `state` gave."""
        self.predicted = list(state["predicted"])

    def _predict(self, epoch: int) -> list[str]:
        """Predict the label of each training face, which its explanation is asked for."""
        if "explanation" not in self.stage.conversation.tasks:
            return [""] * len(self.stage.conversation.truths)
        self.runner.eval()
        scores = score(self.backend, self.stage.source, self.name, epoch, self.accelerator)
        return [PHRASES[self.name][k] for k in scores.argmax(1)]

    def _cut(self, rows: Sequence[Row], steps: Sequence[Indices]) -> Iterator[Step[Pass]]:
        """Cut this process's share of each step into passes, and load their pictures."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        lengths = [row.length for row in rows]
        tokens = self.plan.tokens or fitting_tokens(self.backend.device)
        cuts = []
        for members in steps:
            (own,) = share(members, rank, world, 1)
            parts = cut(own, lengths, self.plan.batch, tokens)
            cuts.append([[rows[i] for i in part] for part in parts])
        numbers = [[row.example.number for row in part] for parts in cuts for part in parts]
        pictures = self.stage.source.load(numbers, self.plan.workers)
        for members, own_rows in zip(steps, cuts, strict=True):
            weight = sum(self.plan.weights[rows[i].example.task] for i in members)
            yield Step([Pass(part, next(pictures), weight) for part in own_rows], len(members))

    def _order(self, epoch: int) -> list[int] | None:
        """Draw the faces of an epoch; None for each once."""
        odds = self.stage.balance.chances
        return None if odds is None else draw(len(odds), odds, (self.plan.seed, epoch)).tolist()
