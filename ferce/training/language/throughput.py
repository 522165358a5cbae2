"""How much faster and smaller this fine-tuning is than the plain recipe, on the same texts.

The plain recipe is what PEFT's BLIP-2 example does, mended so that it sees the picture and spares
the prompt: at each step the whole network runs, rows are padded to the longest text of the data,
and logits are made for every token. Each side runs in a process of its own, as memory that was once
used shows for ever.
"""

import importlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.training.language.plan import LanguagePlan

if TYPE_CHECKING:
    import torch

    from ferce.training.language.features import FeatureSource
    from ferce.training.language.rows import Row
    from ferce.training.language.run import Tuning

SIDES = ("ours", "plain")
WARM = 2  # steps that are not measured


@dataclass(frozen=True)
class Speed:
    """One side of the comparison.

    Attributes:
        samples: texts a second, between the first measured step and the last.
        memory: peak bytes over those before the network was loaded: of the GPU, or resident.
        once: seconds spent before the first step on encoding the pictures, which later epochs and
            runs save.
        steps: measured.
        padding: share 0..1 of the computed tokens that is padding.
        device: on which it ran.
    """

    samples: float
    memory: float
    once: float
    steps: int
    padding: float
    device: str


@dataclass(frozen=True)
class Comparison:
    """Both sides on the same machine, one after the other."""

    ours: Speed
    plain: Speed

    @property
    def faster(self) -> float:
        """Samples a second of ours over the plain recipe's."""
        return self.ours.samples / self.plain.samples

    @property
    def smaller(self) -> float:
        """Peak memory of ours over the plain recipe's."""
        return self.ours.memory / self.plain.memory

    def table(self) -> str:
        """Write the comparison as Markdown."""
        lines = [
            "| recipe | samples/s | peak MB | encoding once, s | padding |",
            "|---|---|---|---|---|",
        ]
        for name, side in (("ours", self.ours), ("plain", self.plain)):
            lines.append(
                f"| {name} | {side.samples:.1f} | {side.memory / 1e6:.0f} | {side.once:.1f} | "
                f"{side.padding:.0%} |"
            )
        lines.append(f"| ratio | {self.faster:.2f} | {self.smaller:.2f} | | |")
        return "\n".join(lines)


def compare(
    plan: LanguagePlan, base: Path | None = None, steps: int = 40, rounds: int = 2
) -> Comparison:
    """Run both sides by turns, each in a fresh process; the fastest round of each side counts.

    Args:
        plan: what would be trained.
        base: folder of the base in place of the plan's.
        steps: to measure, of `plan.batch` texts.
        rounds: of each side; a busy machine needs more than one.

    Raises:
        RuntimeError: a side failed; the message ends with what it said.
    """
    from ferce.training.language import export

    with tempfile.TemporaryDirectory() as folder:
        fresh = replace(plan, feature_cache=f"{folder}/features", max_steps=0)
        where = str(base or export.origin(fresh).folder)
        fresh = replace(fresh, base=where)
        turns = [{side: _apart(side, fresh, steps) for side in SIDES} for _ in range(rounds)]
    best = {side: max((turn[side] for turn in turns), key=lambda p: p.samples) for side in SIDES}
    # Later rounds find the pictures encoded.
    return Comparison(replace(best["ours"], once=turns[0]["ours"].once), best["plain"])


def _apart(side: str, plan: LanguagePlan, steps: int) -> Speed:
    command = [
        sys.executable,
        "-m",
        "ferce.training.language.throughput",
        side,
        json.dumps(asdict(plan)),
    ]
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([*command, str(steps)], capture_output=True, text=True, cwd=root)
    if done.returncode:
        raise RuntimeError(f"The side {side!r} failed: {done.stderr[-1500:]}")
    return Speed(**json.loads(done.stdout.splitlines()[-1]))


def measure(side: str, plan: LanguagePlan, steps: int) -> Speed:
    """Measure one side in this process; `ours` or `plain`."""
    from ferce.training import examples
    from ferce.training.language import export
    from ferce.training.language.run import open_run, open_tuning
    from ferce.training.trainer import Session

    plan = replace(plan, cached=side == "ours")
    accelerator, _ = open_run(plan, Path())
    faces = examples.read(plan.data, plan)
    _prepare()
    memory = Memory(accelerator.device)
    with memory:
        base = export.origin(plan)
        size = faces.train[0].face().size
        tuning = open_tuning(plan, Session(accelerator, Path(), {}), base, size)
        begun = time.perf_counter()
        source = tuning.sources.open(faces.train, plan.views)
        once = time.perf_counter() - begun if side == "ours" else 0.0
        batches = _batches(side, tuning, source, plan, steps)
        samples, padding = _timed(tuning, source, batches, side)
    return Speed(samples, memory.peak, once, len(batches), padding, str(accelerator.device))


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
) -> list[list["Row"]]:
    """Make the rows of each step, the same for both sides: grouped by length, or as they come."""
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
        return [rows[start : start + plan.batch] for start in range(0, len(rows), plan.batch)]
    order = grouped([row.length for row in rows], plan.batch, (plan.seed, 0))
    return [[rows[i] for i in members] for members in order]


def _timed(
    tuning: "Tuning", source: "FeatureSource", batches: Sequence[Sequence["Row"]], side: str
) -> tuple[float, float]:
    """Time the steps: samples a second, and the share of padding."""
    from ferce.training.optimiser import adamw

    loss_model, tokeniser = tuning.backend.loss_model, tuning.backend.tokeniser
    width = max(row.length for rows in batches for row in rows) if side == "plain" else 0
    if tuning.sources.settings is not None:
        loss_model.free_vision(tuning.sources.settings["projected"])
    plan = tuning.plan
    adam = adamw(loss_model.parameters(), plan.optimiser, plan.rate, plan.weight_decay)
    loss_model.train()
    samples = real = computed = 0
    for number, rows in enumerate([*batches[:WARM], *batches]):
        if number == WARM:
            _wait(tuning.backend.device)
            begun = time.perf_counter()
        spent = 0
        for part in _passes(side, rows, tuning.backend.device):
            batch = tokeniser.batch(part, tuning.backend.device, width)
            batch |= source([row.example.number for row in part])
            if side == "plain":
                loss = loss_model.network(**batch).loss
            else:
                loss = loss_model(batch).sum() / len(rows)
            loss.backward()
            spent += batch["input_ids"].numel()
        adam.step()
        adam.zero_grad()
        if number >= WARM:
            samples += len(rows)
            real += sum(len(row.ids) for row in rows)
            computed += spent
    _wait(tuning.backend.device)
    return samples / (time.perf_counter() - begun), 1 - real / computed


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


if __name__ == "__main__":
    _speed = measure(sys.argv[1], LanguagePlan(**json.loads(sys.argv[2])), int(sys.argv[3]))
    sys.stdout.write(json.dumps(asdict(_speed)) + "\n")
