"""The processes that train together: how many there are, and on what."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ferce.training.progress import Report, TrainingError, silent

if TYPE_CHECKING:
    from accelerate import Accelerator

SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM")  # as Accelerate calls them


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
