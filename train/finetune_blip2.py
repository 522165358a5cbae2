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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.models.vlm import packaged
from ferce.models.vlm.loading import QUANTISED
from ferce.training import options, progress, usage
from ferce.training.language.plan import LanguagePlan


def parser() -> argparse.ArgumentParser:
    """One option for each field of the plan."""
    made = options.parser(__doc__)
    options.add_run(made, Path("runs/blip2"))
    options.add_options(made, LanguagePlan)
    return made


def summary(metrics: dict[str, Any], output: Path) -> str:
    """Tell what the run achieved, in a few lines."""
    val = metrics["val"]
    named = {"val": "macro-F1", "val_loss": "loss", "val_rouge_l": "ROUGE-L"}
    figures = ", ".join(f"{text} {val[name]:.3f}" for name, text in named.items() if name in val)
    ours = metrics["base"] == packaged.BLIP2_NAME
    spec = f"{packaged.BLIP2}:{output}" if ours else f"blip2:{metrics['base']}+{output}"
    if (precision := metrics["training"]["precision"]) in QUANTISED:
        spec += f"?load={precision}"
    return (
        f"val {figures} in epoch {metrics['best_epoch'] + 1}; "
        f"{metrics['seconds']:.0f} s on {metrics['machine']['device']}\n"
        f"written to {output}; load it as {spec}"
    )


def main() -> None:
    """Parse the arguments, fine-tune, say what came out."""
    given = parser().parse_args()
    plan = options.chosen(LanguagePlan, given)
    usage.check_language(plan)
    from ferce.training.language import run

    metrics = run.tune(plan, given.output, given.resume, report=progress.say)
    if metrics:
        print(summary(metrics, given.output))


if __name__ == "__main__":
    options.run("finetune_blip2", main)
