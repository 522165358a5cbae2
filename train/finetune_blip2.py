r"""Fine-tune BLIP-2 or a chat model with LoRA; without arguments the small BLIP-2 on a CPU.

accelerate launch train/finetune_blip2.py
python train/finetune_blip2.py --max-steps 50 --output runs/try
python train/finetune_blip2.py --base Salesforce/blip2-opt-2.7b --data rafce:/data/RAF-CE \
    --load-in 8bit --lr 2e-4 --optimiser paged8bit
python train/finetune_blip2.py --base Qwen/Qwen2.5-VL-3B-Instruct --data rafce:/data/RAF-CE \
    --load-in 4bit --batch 4 --accumulate 4 --checkpointing --workers 4 --dora
python train/finetune_blip2.py --output runs/blip2 --merge runs/blip2-whole
torchrun --nproc_per_node 2 train/finetune_blip2.py --device cpu

The run folder (--output) is a PEFT adapter with its processor, ferce.json, metrics.json and
run.json beside it; after a kill, the same command with --resume goes on exactly where it was.
--merge writes a finished run as one model.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.models.vlm import packaged
from ferce.models.vlm.loading import QUANTISED
from ferce.training import options, progress
from ferce.training.language import adapters
from ferce.training.language.plan import LanguagePlan


def parser() -> argparse.ArgumentParser:
    """Build the command line: one option for each field of the plan."""
    made = options.parser(__doc__)
    options.add_run(made, Path("runs/blip2"))
    made.add_argument(
        "--merge",
        type=Path,
        help="train nothing: write base and adapter of the finished run in --output as one model "
        "into this new folder (default: none)",
    )
    options.add_options(made, LanguagePlan)
    return made


def summary(metrics: dict[str, Any], output: Path) -> str:
    """Tell what the run achieved, in a few lines."""
    val = metrics["val"]
    named = {"val": "macro-F1", "val_loss": "loss", "val_rouge_l": "ROUGE-L"}
    figures = ", ".join(f"{text} {val[name]:.3f}" for name, text in named.items() if name in val)
    ours = metrics["base"] == packaged.BLIP2_NAME
    spec = f"{packaged.BLIP2}:{output}" if ours else f"{metrics['kind']}:{metrics['base']}+{output}"
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
    if given.merge:
        from ferce.training.language import export

        print(f"merged; load it as {export.merge(given.output, given.merge)}")
        return
    plan = options.chosen(LanguagePlan, given)
    adapters.check(plan)
    from ferce.training.language import run

    metrics = run.tune(plan, given.output, given.resume, report=progress.say)
    if metrics:
        print(summary(metrics, given.output))


if __name__ == "__main__":
    options.run("finetune_blip2", main)
