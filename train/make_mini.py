r"""Make the small models that ship with ferce, BLIP-2 stage by stage and FastVLM in one.

python train/make_mini.py blip2 pack --renders rendered:RENDERS --faces manifest:taught.jsonl \
    --annotated manifest:annotated.jsonl --cache ALIGNED
python train/make_mini.py blip2 tower --teacher runs/classifier --steps 12000
python train/make_mini.py blip2 speech --steps 4000 --batch 32
python train/make_mini.py blip2 bridge --steps 4000
python train/make_mini.py blip2 whole --steps 4000 --batch 32
python train/make_mini.py blip2 export --output ferce/weights/blip2-mini
python train/make_mini.py blip2 measure --output ferce/weights/blip2-mini --split test --most 600

The adapter comes from the script that trains the large ones:
python train/finetune_blip2.py --base ferce/weights/blip2-mini --data rendered:RENDERS --lr 3e-3 \
    --output ferce/weights/blip2-mini-lora

python train/make_mini.py blip2 squeeze --output CARRIED writes the packed faces (40 MB for 24,000)
as CARRIED/albums, which is a --folder for a machine with a GPU (--device cuda --batch 256).

FastVLM is the packaged network, and a language model on it; its faces are packed likewise:
python train/make_mini.py fastvlm teach --folder FOLDER --steps 6000
python train/make_mini.py fastvlm export --folder FOLDER
python train/make_mini.py fastvlm measure --folder FOLDER --split test

Every stage writes checkpoints to FOLDER/STAGE every few minutes; the same command goes on from it,
also with another number of steps. Tower and speech need nothing of each other and may run at the
same time. RENDERS comes from train/render_faces.py, taught.jsonl from train/teach.py, and FastVLM's
tower from train/train_classifier.py, which stays as it is. The graphs of train/export_graphs.py
hold no weights, so that only another layout needs others.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce import data
from ferce.evaluation.plan import default_cache
from ferce.training import options, progress
from ferce.training.mini import ALBUMS, LEAST, STAGES, TALK

if TYPE_CHECKING:
    from ferce.training.mini.recipe import Recipe

CHAT_STEPS = ("teach", "export", "measure")
CHAT_DATA = "rendered:renders + manifest:taught.jsonl"


def parser() -> argparse.ArgumentParser:
    """Build the command line: a command a model."""
    made = options.parser(__doc__)
    models = made.add_subparsers(dest="model", required=True)
    add_blip2(models.add_parser("blip2", help="the small BLIP-2, stage by stage"))
    add_fastvlm(models.add_parser("fastvlm", help="the small FastVLM on the packaged network"))
    return made


def add_blip2(made: argparse.ArgumentParser) -> None:
    """Add the steps of the small BLIP-2 and their options."""
    made.set_defaults(run=make_blip2)
    made.add_argument("step", choices=(*STAGES, *OTHERS), help="stage to train, or what else to do")
    add = made.add_argument
    folder, output = Path("runs/blip2-mini"), Path("ferce/weights/blip2-mini")
    add("--folder", type=Path, default=folder, help=f"albums and checkpoints (default {folder})")
    add("--output", type=Path, default=output, help=f"folder of the package (default {output})")
    add("--cache", type=Path, default=default_cache(), help="folder of aligned faces for `pack` "
        "(default ~/.cache/ferce/aligned)")  # fmt: skip
    for name in ALBUMS:
        add(f"--{name}", default="", help=f"spec of the data set that `pack` packs as {name}")
    add("--teacher", default="", help="timm folder or safetensors that `tower` learns from "
        "(default: ImageNet weights)")  # fmt: skip
    add("--steps", type=int, default=0, help="optimiser steps of the stage (default: its own)")
    add("--batch", type=int, default=0, help="faces or texts in a step (default: the stage's own)")
    add("--seed", type=int, default=0, help="seed of everything random (default 0)")
    add("--least", type=float, default=LEAST, help="balanced accuracy 0..1 that the tower must "
        f"reach before `bridge` (default {LEAST})")  # fmt: skip
    add("--device", default="cpu", help="device to train on, cpu or cuda (default cpu)")
    add("--threads", type=int, default=0, help="threads of the CPU (default 0: all)")
    add("--split", default="val", choices=("val", "test"), help="split that `measure` and `sight` "
        "read (default val)")  # fmt: skip
    add("--most", type=int, default=0, help="faces that `measure` asks about (default 0: all)")
    add("--adapter", type=Path, help="LoRA adapter that `measure` puts on top (default: none)")
    add("--stage", default="whole", choices=("bridge", "whole"), help="stage that `export` writes "
        "(default whole)")  # fmt: skip


def add_fastvlm(made: argparse.ArgumentParser) -> None:
    """Add the steps of the small FastVLM and their options."""
    made.set_defaults(run=make_fastvlm)
    made.add_argument("step", choices=CHAT_STEPS, help="what to do")
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


def recipe_of(given: argparse.Namespace) -> "Recipe":
    """Build the recipe that the arguments mean."""
    from ferce.training.mini.recipe import Recipe

    plain = Recipe(given.folder)
    sizes = {"steps": given.steps, "batch": given.batch}
    sizes = {name: value for name, value in sizes.items() if value}
    schedules = {
        stage: replace(plain.schedule(stage), seed=given.seed, **sizes) for stage in STAGES
    }
    return replace(
        plain,
        teacher=given.teacher,
        schedules=schedules,
        device=given.device,
        least=given.least,
        report=progress.say,
    )


def pack(_: "Recipe", given: argparse.Namespace) -> None:
    """Pack the data sets that were given."""
    from ferce.training.mini import recipe

    recipe.pack(given.folder, packed(given), given.cache, progress.say)


def packed(given: argparse.Namespace) -> dict[str, str]:
    """Map each album to its data set, of those given."""
    return {name: vars(given)[name] for name in ALBUMS if vars(given)[name]}


def squeeze(_: "Recipe", given: argparse.Namespace) -> None:
    """Write the packed faces in little space."""
    from ferce.training.mini import album

    for name in ALBUMS:
        album.squeeze(given.folder / "albums" / name, given.output / "albums" / name)


def export(plan: "Recipe", given: argparse.Namespace) -> None:
    """Write the network as it ships."""
    from ferce.training.mini import package

    package.export(plan, given.output, given.stage)


def measure(plan: "Recipe", given: argparse.Namespace) -> None:
    """Ask the network as it ships."""
    from ferce.training.mini import package

    asked = package.Packaged(given.output, given.adapter, given.most)
    for name, row in package.measure(plan, asked, given.split).items():
        print(name, row)


def sight(plan: "Recipe", given: argparse.Namespace) -> None:
    """Measure the read-out of the tower alone."""
    from ferce.training.mini import recipe

    for name, score in recipe.read_out(plan, given.split).items():
        print(name, score)


OTHERS = {"pack": pack, "squeeze": squeeze, "export": export, "measure": measure, "sight": sight}


def make_blip2(given: argparse.Namespace) -> None:
    """Train a stage of the small BLIP-2, or do another step."""
    for spec in packed(given).values():
        data.require(spec)
    from ferce.training.mini import recipe

    if given.threads:
        import torch

        torch.set_num_threads(given.threads)
    if given.step in STAGES:
        recipe.run(recipe_of(given), given.step)
    else:
        OTHERS[given.step](recipe_of(given), given)


def make_fastvlm(given: argparse.Namespace) -> None:
    """Teach the small FastVLM, export or measure it."""
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
        package.export_chat(plan, given.output, CHAT_DATA)
    else:
        asked = package.Packaged(given.output, most=given.faces)
        for name, row in package.measure_chat(plan, asked, given.split).items():
            print(name, row)


def main() -> None:
    """Parse the arguments and do the step."""
    given = parser().parse_args()
    given.run(given)


if __name__ == "__main__":
    options.run("make_mini", main)
