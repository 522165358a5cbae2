"""Fine-tune a BLIP-2 with LoRA; without arguments the packaged small one, in minutes on a CPU.

accelerate launch train/finetune_blip2.py
python train/finetune_blip2.py --max-steps 50 --output runs/try
python train/finetune_blip2.py --base Salesforce/blip2-opt-2.7b --data rafce:/data/RAF-CE \
    --load-in 8bit --lr 2e-4 --optimiser paged8bit
torchrun --nproc_per_node 2 train/finetune_blip2.py --device cpu

The run folder (--output) is a PEFT adapter with its processor, ferce.json, metrics.json and
run.json beside it; after a kill, the same command with --resume goes on exactly where it was.
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
from ferce.models.vlm import packaged
from ferce.training import progress, usage
from ferce.training.language.plan import LanguagePlan
from ferce.training.progress import TrainingError


def parser() -> argparse.ArgumentParser:
    """One option for each field of the plan."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--output", type=Path, default=Path("runs/blip2"), help="run folder")
    made.add_argument("--resume", action="store_true", help="go on from the run folder")
    for item in fields(LanguagePlan):
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
    named = {"val": "macro-F1", "val_loss": "loss", "val_rouge_l": "ROUGE-L"}
    figures = ", ".join(f"{text} {val[name]:.3f}" for name, text in named.items() if name in val)
    ours = metrics["base"] == packaged.BLIP2_NAME
    spec = f"{packaged.BLIP2}:{output}" if ours else f"blip2:{metrics['base']}+{output}"
    return (
        f"val {figures} in epoch {metrics['best_epoch'] + 1}; "
        f"{metrics['seconds']:.0f} s on {metrics['machine']['device']}\n"
        f"written to {output}; load it as {spec}"
    )


def main() -> None:
    """Parse the arguments, train, say what came out."""
    arguments = vars(parser().parse_args())
    output, resume = arguments.pop("output"), arguments.pop("resume")
    try:
        plan = LanguagePlan(**arguments)
        usage.check_language(plan)
        from ferce.training.language import run

        metrics = run.tune(plan, output, resume, report=progress.say)
    except (TrainingError, DataError, CheckpointError) as error:
        sys.exit(f"finetune_blip2: {error}")
    if metrics:
        print(summary(metrics, output))


if __name__ == "__main__":
    main()
