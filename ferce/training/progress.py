"""Progress of a run: its errors, lines and bar, early stopping, and the processes that share it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ferce.core.launcher import end_with_launcher
from ferce.report.text import printable

if TYPE_CHECKING:
    from accelerate import Accelerator
    from tqdm import tqdm

SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM")  # as Accelerate calls them


class TrainingError(ValueError):
    """What was expected, what came, and what to do."""


@dataclass(frozen=True)
class Stopping:
    """The best score so far, the epoch it came in, and how long ago.

    `patience` epochs without a better score end the run; 0 never does.
    """

    patience: int
    best: float = -1.0
    epoch: int = -1
    since: int = 0

    def seen(self, score: float, epoch: int) -> "Stopping":
        """Count an epoch's score in; NaN is no better than anything."""
        if score > self.best:
            return replace(self, best=score, epoch=epoch, since=0)
        return replace(self, since=self.since + 1)

    @property
    def improved(self) -> bool:
        """The last epoch was the best so far."""
        return self.since == 0 and self.epoch >= 0

    @property
    def over(self) -> bool:
        """Enough epochs have passed without a better score."""
        return 0 < self.patience <= self.since


Report = Callable[[str], object]  # takes one line for the person who waits


def bar(shown: bool, name: str, unit: str = "face", total: int = 0) -> "tqdm[object]":
    """Open a tqdm bar over `total` units."""
    from tqdm.auto import tqdm

    return tqdm(
        total=total, disable=not shown, desc=name, unit=unit, unit_scale=True, dynamic_ncols=True
    )


def say(text: str) -> None:
    """Print one line on standard error, above the bar."""
    import sys

    from tqdm.auto import tqdm

    tqdm.write(printable(text), file=sys.stderr)


def silent(text: str) -> None:
    """Say nothing."""
    del text


def open_accelerator(
    cpu: bool, report: Report = silent, **options: Any
) -> tuple["Accelerator", Report]:
    """Join the processes of this run, and say how many there are.

    Args:
        cpu: train on the CPU though there is a GPU.
        report: takes a line.
        options: for `accelerate.Accelerator`.

    Returns:
        The accelerator, and the report of this process: silent in all but the main one.

    Raises:
        TrainingError: the launcher was configured to split the weights over the processes.
    """
    _require_whole(os.environ)
    end_with_launcher()
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=cpu, **options)
    report = report if accelerator.is_main_process else silent
    count = accelerator.num_processes
    report(f"training on {accelerator.device.type} with {count} process{'es' * (count > 1)}")
    if count == 1 and "MASTER_ADDR" in os.environ and "RANK" not in os.environ:
        report(
            "the launcher was asked for several processes and started one, as `accelerate launch "
            "--cpu` does without MPI; on a CPU start two with `torchrun --nproc_per_node 2 SCRIPT "
            "--device cpu`"
        )
    return accelerator, report


def _require_whole(environment: Mapping[str, str]) -> None:
    for name in SHARDED:
        if environment.get(f"ACCELERATE_USE_{name}", "false").lower() == "true":
            raise TrainingError(
                f"Training copies the network to every process (DDP), but Accelerate is configured "
                f"for {name}, whose checkpoints are pickles and do not go on bit for bit. Launch "
                "with --multi_gpu in place of that configuration; to save memory fine-tuning has "
                "--load-in 4bit, --optimiser paged8bit and --checkpointing."
            )
