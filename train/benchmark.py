"""Measure ferce, for instance with `python -m train.benchmark speed`.

speed     p50 and p90 of finding faces and of whole readings on a 512 px photo, the time until
          `import ferce` returns and until the page answers, each in fresh processes.
scoring   14 labels by likelihood over one shared prefix, beside 14 plain passes.
training  samples a second and memory of fine-tuning BLIP-2, beside the plain recipe.

Machines differ and are noisy: read the ratios, whose two sides are measured in one run.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce import images


def speed(chosen: argparse.Namespace) -> Any:
    """Latency of readings and of starting."""
    from ferce.evaluation import latency

    photo = images.load(chosen.photo)
    figures = latency.speed(photo, chosen.repeats)
    print(f"photo {photo.shape[1]} x {photo.shape[0]} px, {chosen.repeats} repeats")
    print("| step | p50 ms | p90 ms | ratio to detection |\n|---|--:|--:|--:|")
    for step in figures:
        ratio = f"{step.ratio:.2f}" if step.ratio else ""
        print(f"| {step.name} | {step.p50:.1f} | {step.p90:.1f} | {ratio} |")
    return [asdict(step) for step in figures]


def scoring(chosen: argparse.Namespace) -> Any:
    """Label scoring over a shared prefix beside plain passes."""
    from ferce.backends import load_classifier

    crop = images.load(chosen.photo)[:512, :512]
    with tempfile.TemporaryDirectory() as folder:
        model: Any = load_classifier(chosen.model or f"blip2:{_untrained(Path(folder))}")
        made = model.race(crop, chosen.repeats)
    print(
        f"shared prefix {made.shared * 1e3:.1f} ms, 14 passes {made.whole * 1e3:.1f} ms: ", end=""
    )
    print(f"{made.ratio:.1f} times as fast, largest difference {made.difference:.1e}")
    return asdict(made) | {"ratio": made.ratio}


def _untrained(folder: Path) -> Path:
    """A small BLIP-2 with random weights, shaped like the default of `train/finetune_blip2.py`."""
    from ferce.data import captions, load_data
    from ferce.training import mini

    rows = load_data("demo").samples("train")
    told = [captions.explain(row.units, row.label, i) for i, row in enumerate(rows)]
    network, processor = mini.build([caption.text for caption in told if caption])
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def training(chosen: argparse.Namespace) -> Any:
    """Compare the fine-tuning of `train/finetune_blip2.py` with the plain recipe."""
    from ferce.training.language_plan import LanguagePlan
    from ferce.training.throughput import compare

    plan = LanguagePlan(base=chosen.base, load_in=chosen.load_in, batch=chosen.batch, views=1)
    made = compare(plan, steps=chosen.steps)
    print(f"{made.ours.device}, {os.cpu_count()} cores, {made.ours.steps} steps of {chosen.batch}")
    print(made.table())
    return asdict(made)


def main() -> None:
    """Parse the arguments, measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    kinds = parser.add_subparsers(dest="kind", required=True)
    photo = str(ROOT / "ferce/data/demo/examples/smile.jpg")
    for run in (speed, scoring, training):
        one = kinds.add_parser(run.__name__, help=run.__doc__)
        one.set_defaults(run=run)
        one.add_argument("--json", type=Path, help="write the figures here as well")
        if run is not training:
            one.add_argument("--photo", default=photo, help="a photo with one face")
            one.add_argument("--repeats", type=int, default=30 if run is speed else 5)
        if run is scoring:
            one.add_argument("--model", help="spec of a vision-language model; a small random one")
    one.add_argument("--base", default="mini", help="mini, or a BLIP-2 as a Hub id or folder")
    one.add_argument("--load-in", default="auto", help="auto, fp32, bf16, 8bit or 4bit")
    one.add_argument("--batch", type=int, default=16)
    one.add_argument("--steps", type=int, default=40)
    chosen = parser.parse_args()
    figures = chosen.run(chosen)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
