"""One side of a comparison of trainings: its steps, timed, and its peak of memory."""

import importlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ferce.training.language.plan import LanguagePlan

if TYPE_CHECKING:
    import torch

    from ferce.training.language.features import FeatureSource
    from ferce.training.language.rows import Row
    from ferce.training.language.run import Tuning

WARM = 2  # steps that are not measured
CHECKED = 3  # steps without dropout on the same texts, whose losses must be the same


@dataclass(frozen=True)
class Speed:
    """One side of the comparison.

    Attributes:
        samples: texts a second.
        processor: texts a second of processor time.
        memory: peak bytes over those before the network was loaded: of the GPU, or resident.
        once: seconds spent before the first step on encoding the pictures, which later epochs and
            runs save.
        steps: measured.
        padding: share 0..1 of the computed tokens that is padding.
        device: on which it ran.
        losses: of each step without dropout, a mean over the tokens of its answers.
        loss: mean over the measured steps, with dropout.
    """

    samples: float
    processor: float
    memory: float
    once: float
    steps: int
    padding: float
    device: str
    losses: Sequence[float]
    loss: float


def measure(side: str, plan: LanguagePlan, steps: int) -> Speed:
    """Measure one side in this process; `ours` or `plain`."""
    with Bench(side, plan, steps) as bench:
        bench.go(steps)
    return bench.speed()


class Bench:
    """One side, opened, on its way through its steps."""

    def __init__(self, side: str, plan: LanguagePlan, steps: int) -> None:
        """`steps` is how many will be asked for."""
        from ferce.training import examples
        from ferce.training.language.run import open_run

        self.side, self.plan, self.steps = side, replace(plan, cached=side == "ours"), steps
        self.accelerator, _ = open_run(self.plan, Path())
        self.faces = examples.read(plan.data, plan)
        _prepare()
        self.memory = Memory(self.accelerator.device)
        self.taken = self.samples = self.real = self.computed = 0
        self.seconds = self.processor = 0.0
        self.trained: list[torch.Tensor] = []  # loss of each measured step

    def __enter__(self) -> Self:
        from ferce.training.optimiser import adamw

        self.memory.__enter__()
        plan = self.plan
        self.tuning = self._tuning()
        begun = time.perf_counter()
        self.source = self.tuning.sources.open(self.faces.train, plan.views)
        self.once = time.perf_counter() - begun if self.side == "ours" else 0.0
        rows, self.batches = _batches(self.side, self.tuning, self.source, plan, self.steps)
        model = self.tuning.backend.loss_model
        if self.tuning.sources.settings is not None:
            model.free_vision(self.tuning.sources.settings["projected"])
        self.adam = adamw(model.parameters(), plan.optimiser, plan.rate, plan.weight_decay)
        model.eval()  # without dropout
        starts = range(0, min(CHECKED * plan.batch, len(rows)), plan.batch)
        self.losses = [float(self._step(rows[at : at + plan.batch])[0]) for at in starts]
        model.train()
        for batch in self.batches[:WARM]:
            self._step(batch)
        return self

    def __exit__(self, *exception: object) -> None:
        self.memory.__exit__(*exception)

    def _tuning(self) -> "Tuning":
        from ferce.training.language import export
        from ferce.training.language.run import open_tuning
        from ferce.training.trainer import Session

        session = Session(self.accelerator, Path(), {})
        size = self.faces.train[0].face().size
        return open_tuning(self.plan, session, export.origin(self.plan), size)

    def go(self, count: int) -> None:
        """Take the next steps, measured."""
        _wait(self.accelerator.device)
        begun, spent = time.perf_counter(), time.process_time()
        for rows in self.batches[self.taken : self.taken + count]:
            loss, computed = self._step(rows)
            self.trained.append(loss)
            self.samples += len(rows)
            self.real += sum(len(row.ids) for row in rows)
            self.computed += computed
        _wait(self.accelerator.device)
        self.taken += count
        self.seconds += time.perf_counter() - begun
        self.processor += time.process_time() - spent

    def speed(self) -> Speed:
        """Sum up the measured steps."""
        return Speed(
            self.samples / self.seconds,
            self.samples / self.processor,
            self.memory.peak,
            self.once,
            len(self.trained),
            1 - self.real / self.computed,
            str(self.accelerator.device),
            self.losses,
            float(sum(map(float, self.trained)) / len(self.trained)),
        )

    def _step(self, rows: Sequence["Row"]) -> tuple["torch.Tensor", int]:
        """Take one step: its loss, the mean over the tokens of its answers, and tokens computed."""
        backend = self.tuning.backend
        every, total, computed = _answered(rows).sum(), 0, 0
        for part in _passes(self.side, rows, backend.device):
            batch = backend.tokeniser.batch(part, backend.device)
            batch |= self.source([row.example.number for row in part])
            if self.side == "plain":
                loss = backend.loss_model.network(**batch).loss
            else:
                weights = (_answered(part) / every).to(backend.device)
                loss = (backend.loss_model(batch) * weights).sum()
            loss.backward()
            total = total + loss.detach()
            computed += batch["input_ids"].numel()
        self.adam.step()
        self.adam.zero_grad()
        return total, computed


def _answered(rows: Sequence["Row"]) -> "torch.Tensor":
    """Count the tokens of each answer."""
    import torch

    from ferce.training.language.rows import IGNORED

    counts = [sum(label != IGNORED for label in row.labels) for row in rows]
    return torch.tensor(counts, dtype=torch.float32)


def _prepare() -> None:
    """Import and start what is loaded when first used, so that it counts for neither side."""
    import bitsandbytes
    import peft
    import torch
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

    from ferce.models.vlm import blip2

    assert all((bitsandbytes, peft, Blip2ForConditionalGeneration, Blip2Processor, blip2))
    weight = torch.nn.Linear(8, 8)
    adam = torch.optim.AdamW(weight.parameters(), fused=True)
    weight(torch.zeros(2, 8)).sum().backward()
    adam.step()


def _batches(
    side: str, tuning: "Tuning", source: "FeatureSource", plan: LanguagePlan, steps: int
) -> tuple[list["Row"], list[list["Row"]]]:
    """Draw the rows, the same for both sides, and put them into steps.

    Returns:
        The rows in the order of chance, and those of each step: grouped by length, or as they come.
    """
    import numpy as np

    from ferce.training.language.rows import grouped
    from ferce.training.language.run import conversation_of

    truths = [item.sample.label for item in source.gallery.items]
    script = conversation_of(plan, "compound", source, truths)
    given = [truth or "happily surprised" for truth in truths]
    rows = [tuning.backend.tokeniser.row(turn) for turn in script.examples(0, given)]
    mixed = np.random.default_rng(plan.seed).permutation(len(rows))[: steps * plan.batch]
    rows = [rows[i] for i in mixed]
    if side == "plain":
        starts = range(0, len(rows), plan.batch)
        return rows, [rows[start : start + plan.batch] for start in starts]
    order = grouped([row.length for row in rows], plan.batch, (plan.seed, 0))
    return rows, [[rows[i] for i in members] for members in order]


def _passes(side: str, rows: Sequence["Row"], device: "torch.device") -> list[list["Row"]]:
    """Split the rows of a step as they are computed: all at once, or as the task cuts them."""
    import numpy as np

    from ferce.training.language.rows import cut, fitting_tokens

    if side == "plain":
        return [list(rows)]
    parts = cut(
        np.arange(len(rows)), [row.length for row in rows], len(rows), fitting_tokens(device)
    )
    return [[rows[i] for i in part] for part in parts]


def _wait(device: "torch.device") -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


class Memory:
    """Peak memory over what there was at the start."""

    def __init__(self, device: "torch.device") -> None:
        """`device` tells whose memory."""
        self.device, self.peak = device, 0.0
        self._over = threading.Event()

    def __enter__(self) -> "Memory":
        psutil = importlib.import_module("psutil")  # comes with accelerate, without types
        self._process = psutil.Process()
        self._start = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        import torch

        self._over.set()
        self._thread.join()
        if self.device.type == "cuda":
            self.peak = float(torch.cuda.max_memory_allocated())

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            used = self._process.memory_info().rss - self._start
            self.peak = max(self.peak, float(used))
