r"""Train a classifier, with no argument on the demo set on a CPU in a few minutes.

accelerate launch train/train_classifier.py
python train/train_classifier.py --data rafce:/data/RAF-CE --network convnext_tiny.fb_in22k \
    --loss logit-adjusted --layer-decay 0.75 --basic-data rafdb-basic:/data/RAF-DB --basic-epochs 10
torchrun --nproc_per_node 2 train/train_classifier.py --device cpu

The run folder (--output) is a timm folder with calibration, metrics.json and plots beside it; after
a kill, the same command with --resume goes on exactly where it was.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.training import options, progress
from ferce.training.classifier.plan import Plan, check


def parser() -> argparse.ArgumentParser:
    """Build the command line: one option for each field of the plan."""
    made = options.parser(__doc__)
    options.add_run(made, Path("runs/classifier"))
    options.add_options(made, Plan)
    return made


def summary(metrics: dict[str, Any], output: Path) -> str:
    """Tell what the run achieved, in a few lines."""
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
    given = parser().parse_args()
    plan = options.chosen(Plan, given)
    check(plan)
    if plan.few_shot != "none":
        from ferce.training.classifier import fewshot

        metrics = fewshot.fit(plan, given.output, report=progress.say)
    else:
        from ferce.training.classifier import run

        metrics = run.train(plan, given.output, given.resume, report=progress.say)
    if metrics:
        print(summary(metrics, given.output))


if __name__ == "__main__":
    options.run("train_classifier", main)
