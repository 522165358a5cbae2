"""Make the small FastVLM that ships with ferce: the packaged network, and a language model on it.

python train/make_blip2_mini.py pack --folder FOLDER --renders rendered:RENDERS \
    --faces manifest:taught.jsonl --annotated manifest:annotated.jsonl --cache ALIGNED
python train/make_fastvlm_mini.py teach --folder FOLDER --steps 6000
python train/make_fastvlm_mini.py export --folder FOLDER
python train/make_fastvlm_mini.py measure --folder FOLDER --split test

`teach` writes checkpoints to FOLDER/talk every few minutes; the same command goes on from it, also
with another number of steps. RENDERS comes from train/render_faces.py, taught.jsonl from
train/teach.py, and the tower is that of train/train_classifier.py, which stays as it is. The
graphs of train/export_graphs.py hold no weights, so that only another layout needs others.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.training import options, progress
from ferce.training.mini.stages import TALK

STEPS = ("teach", "export", "measure")
DATA = "rendered:renders + manifest:taught.jsonl"


def parser() -> argparse.ArgumentParser:
    """The steps and their options."""
    made = options.parser(__doc__)
    made.add_argument("step", choices=STEPS, help="what to do")
    add = made.add_argument
    folder, tower = Path("runs/fastvlm-mini"), Path("ferce/weights/classifier")
    output = Path("ferce/weights/fastvlm-mini")
    add("--folder", type=Path, default=folder, help=f"albums and checkpoints (default {folder})")
    add("--tower", type=Path, default=tower, help="folder of the classifier whose network sees "
        f"(default {tower})")  # fmt: skip
    add("--start", type=Path, help="folder of a FastVLM whose language model `teach` begins with "
        "(default: random weights)")  # fmt: skip
    add("--output", type=Path, default=output, help=f"folder of the package (default {output})")
    add("--steps", type=int, default=6000, help="optimiser steps of `teach` (default 6000)")
    add("--batch", type=int, default=32, help="texts in a step (default 32)")
    add("--seed", type=int, default=0, help="seed of everything random (default 0)")
    add("--split", default="val", choices=("val", "test"), help="split that `measure` reads "
        "(default val)")  # fmt: skip
    add("--faces", type=int, default=0, help="faces that `measure` asks about (default 0: all)")
    return made


def main() -> None:
    """Parse the arguments and do the step."""
    given = parser().parse_args()
    from ferce.training.mini import package, recipe
    from ferce.training.mini.recipe import Recipe
    from ferce.training.mini.stage import Schedule

    schedules = {TALK: Schedule(given.steps, given.batch, seed=given.seed)}
    plan = Recipe(
        given.folder,
        tower=given.tower,
        start=given.start,
        schedules=schedules,
        report=progress.say,
    )
    if given.step == "teach":
        recipe.run(plan, TALK)
    elif given.step == "export":
        package.export_chat(plan, given.output, DATA)
    else:
        asked = package.Packaged(given.output, most=given.faces)
        for name, row in package.measure_chat(plan, asked, given.split).items():
            print(name, row)


if __name__ == "__main__":
    options.run("make_fastvlm_mini", main)
