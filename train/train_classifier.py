"""Train a classifier, with no argument on the demo set on a CPU in a few minutes.

accelerate launch train/train_classifier.py
python train/train_classifier.py --data rafce:/data/RAF-CE --network convnext_tiny.fb_in22k \
    --loss logit-adjusted --layer-decay 0.75 --basic-data rafdb:/data/RAF-DB --basic-epochs 10
torchrun --nproc_per_node 2 train/train_classifier.py --device cpu

The run folder (--output) is a timm folder with calibration, metrics.json and plots beside it; after
a kill, the same command with --resume goes on exactly where it was.
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.data import DataError
from ferce.models.hub import CheckpointError
from ferce.training import progress, usage
from ferce.training.classifier.plan import Plan
from ferce.training.progress import TrainingError


def parser() -> argparse.ArgumentParser:
    """One option for each field of the plan."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--output", type=Path, default=Path("runs/classifier"), help="run folder")
    made.add_argument("--resume", action="store_true", help="go on from the run folder")
    for item in fields(Plan):
        options: dict[str, Any] = {"default": item.default}
        shown = "" if item.default == "" else f" (default {item.default})"
        options["help"] = (item.metadata["help"] + shown).replace("%", "%%")
        if isinstance(item.default, bool):
            options["action"] = argparse.BooleanOptionalAction
        else:
            options |= {"type": type(item.default), "choices": item.metadata["choices"] or None}
        made.add_argument("--" + item.name.replace("_", "-"), **options)
    return made


def summary(metrics: dict[str, Any], output: Path) -> str:
    """What the run achieved, in a few lines."""
    val = metrics["val"]
    low, high = val["macro_f1_interval"]
    return (
        f"val macro-F1 {val['macro_f1']:.3f} (95 % interval {low:.3f} to {high:.3f}), "
        f"accuracy {val['accuracy']:.3f}, top-2 {val['top2']:.3f}, {val['faces']} faces\n"
        f"calibration error {val['ece']:.3f}, before calibration {val['ece_uncalibrated']:.3f}; "
        f"{metrics['seconds']:.0f} s on {metrics['machine']['device']}\n"
        f"written to {output}; load it as timm:{output}"
    )


def main() -> None:
    """Parse the arguments, train, say what came out."""
    arguments = vars(parser().parse_args())
    output, resume = arguments.pop("output"), arguments.pop("resume")
    try:
        plan = Plan(**arguments)
        usage.check(plan)
        if plan.few_shot != "none":
            from ferce.training.classifier import fewshot

            metrics = fewshot.fit(plan, output, report=progress.say)
        else:
            from ferce.training.classifier import run

            metrics = run.train(plan, output, resume, report=progress.say)
    except (TrainingError, DataError, CheckpointError) as error:
        sys.exit(f"train_classifier: {error}")
    if metrics:
        print(summary(metrics, output))


if __name__ == "__main__":
    main()
