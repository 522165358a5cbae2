"""Make the small BLIP-2 that ships with ferce, stage by stage.

python train/make_blip2_mini.py pack --renders rendered:RENDERS --faces manifest:taught.jsonl \
    --annotated manifest:annotated.jsonl --cache ALIGNED
python train/make_blip2_mini.py tower --teacher runs/classifier --steps 12000
python train/make_blip2_mini.py speech --steps 4000 --batch 32
python train/make_blip2_mini.py bridge --steps 4000
python train/make_blip2_mini.py whole --steps 4000 --batch 32
python train/make_blip2_mini.py export --output ferce/weights/blip2-mini
python train/make_blip2_mini.py measure --output ferce/weights/blip2-mini --split test --most 600

The adapter comes from the script that trains the large ones:
python train/finetune_blip2.py --base ferce/weights/blip2-mini --data rendered:RENDERS --lr 3e-3 \
    --output ferce/weights/blip2-mini-lora

python train/make_blip2_mini.py squeeze --output CARRIED writes the packed faces (40 MB for 24,000)
as CARRIED/albums, which is a --folder for a machine with a GPU (--device cuda --batch 256).

Every stage writes FOLDER/STAGE.safetensors every few minutes; the same command goes on from there,
also with another number of steps. Tower and speech need nothing of each other and may run at the
same time. RENDERS comes from train/render_faces.py, taught.jsonl from train/teach.py.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce import data
from ferce.training import progress
from ferce.training.mini.stages import ALBUMS, LEAST, STAGES
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from ferce.training.mini.recipe import Recipe


def parser() -> argparse.ArgumentParser:
    """The steps, and what they may be told."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("step", choices=(*STAGES, *OTHERS), help="what to do")
    made.add_argument("--folder", type=Path, default=Path("runs/blip2-mini"), help="checkpoints")
    made.add_argument("--output", type=Path, default=Path("ferce/weights/blip2-mini"))
    made.add_argument("--cache", type=Path, default=Path("~/.cache/ferce/aligned").expanduser())
    for name in ALBUMS:
        made.add_argument(f"--{name}", default="", help=f"pack: data set of {name}")
    made.add_argument("--teacher", default="", help="tower: timm folder or safetensors")
    made.add_argument("--steps", type=int, default=0, help="of the stage; 0: its default")
    made.add_argument("--batch", type=int, default=0, help="of the stage; 0: its default")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--least", type=float, default=LEAST, help="read-out a tower must reach")
    made.add_argument("--device", default="cpu")
    made.add_argument("--threads", type=int, default=0, help="of the CPU; 0: all")
    made.add_argument("--split", default="val", choices=("val", "test"))
    made.add_argument("--most", type=int, default=0, help="measure: so many faces; 0: all")
    made.add_argument("--adapter", type=Path, help="measure: on top of the network")
    made.add_argument("--stage", default="whole", choices=("bridge", "whole"), help="to export")
    return made


def recipe_of(told: argparse.Namespace) -> "Recipe":
    """The recipe that the arguments mean."""
    from ferce.training.mini.recipe import Recipe

    plain = Recipe(told.folder)
    given = {"steps": told.steps, "batch": told.batch}
    paces = {
        stage: replace(plain.pace(stage), seed=told.seed, **{k: v for k, v in given.items() if v})
        for stage in STAGES
    }
    return Recipe(told.folder, told.teacher, paces, told.device, told.least, progress.say)


def pack(_: "Recipe", told: argparse.Namespace) -> None:
    """Pack the data sets that were given."""
    from ferce.training.mini import recipe

    recipe.pack(told.folder, packed(told), told.cache, progress.say)


def packed(told: argparse.Namespace) -> dict[str, str]:
    """Album -> data set, of those given."""
    return {name: vars(told)[name] for name in ALBUMS if vars(told)[name]}


def squeeze(_: "Recipe", told: argparse.Namespace) -> None:
    """Write the packed faces in little space."""
    from ferce.training.mini import album

    for name in ALBUMS:
        album.squeeze(told.folder / "albums" / name, told.output / "albums" / name)


def export(plan: "Recipe", told: argparse.Namespace) -> None:
    """Write the network as it ships."""
    from ferce.training.mini import recipe

    recipe.export(plan, told.output, told.stage)


def measure(plan: "Recipe", told: argparse.Namespace) -> None:
    """Ask the network as it ships."""
    from ferce.training.mini import recipe

    asked = recipe.Asked(told.output, told.adapter, told.most)
    for name, row in recipe.measured(plan, asked, told.split).items():
        print(name, row)


def sight(plan: "Recipe", told: argparse.Namespace) -> None:
    """What the tower alone tells of the cues."""
    from ferce.training.mini import recipe

    for name, score in recipe.sight(plan, told.split).items():
        print(name, score.told())


OTHERS = {"pack": pack, "squeeze": squeeze, "export": export, "measure": measure, "sight": sight}


def main() -> None:
    """Parse the arguments and do the step."""
    told = parser().parse_args()
    try:
        for spec in packed(told).values():
            data.require(spec)
        do(told)
    except (TrainingError, data.DataError) as error:
        sys.exit(f"make_blip2_mini: {error}")


def do(told: argparse.Namespace) -> None:
    """Do the step."""
    from ferce.training.mini import recipe

    if told.threads:
        import torch

        torch.set_num_threads(told.threads)
    if told.step in STAGES:
        recipe.run(recipe_of(told), told.step)
    else:
        OTHERS[told.step](recipe_of(told), told)


if __name__ == "__main__":
    main()
