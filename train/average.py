"""Average the weights of trainings that went on from one another.

python train/average.py first second --shares 0.4 0.6 --output averaged

The runs are folders of train/train_classifier.py with --units. Choose the shares by what
train/fit_readers.py says of the `val` split; test faces are not opened.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.training import options
from ferce.training.progress import TrainingError


def main() -> None:
    """Parse the arguments, average, say where it is."""
    made = options.parser(__doc__)
    made.add_argument("runs", type=Path, nargs="+", help="run folders, the last one leading")
    made.add_argument(
        "--shares", type=float, nargs="+", required=True, help="weight of each run; they sum to 1"
    )
    made.add_argument("--output", type=Path, required=True, help="folder of the averaged run")
    given = made.parse_args()
    if odd := [run for run in given.runs if not run.is_dir()]:
        raise TrainingError(f"There is no run folder {odd[0]}.")
    from ferce.training.classifier import soup

    print(f"written to {soup.average(given.runs, given.shares, given.output)}")


if __name__ == "__main__":
    options.run("average", main)
