"""Accelerate with the trackers that a run asks for by name."""

import importlib.util
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ferce.training.language.plan import LanguagePlan
from ferce.training.progress import TrainingError


def accelerator_for(plan: LanguagePlan, output: Path) -> Any:
    """The Accelerator of a run, its trackers opened; tensorboard writes below `output/trackers`.

    Raises:
        TrainingError: a tracker is not installed.
    """
    from accelerate import Accelerator

    for name in plan.trackers:
        if importlib.util.find_spec(name) is None:
            raise TrainingError(f"The tracker {name} is not installed: pip install {name}.")
    accelerator = Accelerator(
        cpu=plan.device == "cpu",
        gradient_accumulation_steps=1,  # the loop accumulates itself, by the weights of the rows
        log_with=list(plan.trackers) or None,
        project_dir=str(output / "trackers"),
    )
    if plan.trackers:
        accelerator.init_trackers("ferce-blip2", config=asdict(plan))
    return accelerator
