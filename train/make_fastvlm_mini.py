"""Make the small FastVLM that ships with ferce: the packaged network, and a language model on it.

python train/make_blip2_mini.py pack --folder FOLDER --renders rendered:RENDERS \
    --faces manifest:taught.jsonl --annotated manifest:annotated.jsonl --cache ALIGNED
python train/make_fastvlm_mini.py teach --folder FOLDER --steps 6000
python train/make_fastvlm_mini.py export --folder FOLDER
python train/make_fastvlm_mini.py measure --folder FOLDER --split test

`teach` writes FOLDER/talk.safetensors every few minutes; the same command goes on from there, also
with another number of steps. RENDERS comes from train/render_faces.py, taught.jsonl from
train/teach.py, and the tower is that of train/train_classifier.py, which stays as it is.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.training import progress
from ferce.training.progress import TrainingError

STEPS = ("teach", "export", "measure")


def parser() -> argparse.ArgumentParser:
    """The steps, and what they may be told."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("step", choices=STEPS, help="what to do")
    made.add_argument("--folder", type=Path, default=Path("runs/fastvlm-mini"), help="checkpoints")
    made.add_argument("--tower", type=Path, default=Path("ferce/weights/classifier"))
    made.add_argument("--output", type=Path, default=Path("ferce/weights/fastvlm-mini"))
    made.add_argument("--steps", type=int, default=6000, help="of teaching")
    made.add_argument("--batch", type=int, default=32, help="rows a step")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--split", default="val", choices=("val", "test"))
    made.add_argument("--faces", type=int, default=0, help="measure: at most so many; 0: all")
    return made


def main() -> None:
    """Parse the arguments and do the step."""
    told = parser().parse_args()
    from ferce.training.mini import talk_recipe
    from ferce.training.mini.course import Pace

    pace = Pace(told.steps, told.batch, seed=told.seed)
    plan = talk_recipe.Recipe(told.folder, told.tower, pace, progress.say)
    try:
        if told.step == "teach":
            talk_recipe.teach(plan)
        elif told.step == "export":
            talk_recipe.export(plan, told.output)
        else:
            for name, row in talk_recipe.measure(plan, told.output, told.split, told.faces).items():
                print(name, row)
    except TrainingError as error:
        sys.exit(f"make_fastvlm_mini: {error}")


if __name__ == "__main__":
    main()
