"""Average the weights of trainings that went on from one another (Wortsman et al. 2022).

python train/average.py first second --shares 0.4 0.6 --output averaged

The runs are folders of train/train_classifier.py with --units. They lie in one basin, where the
mean of the weights is often better than each (model soups, arXiv:2203.05482), and costs nothing
when a face is read.
Choose the shares by what train/fit_readers.py says of the `val` split; test faces are not opened.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from torch import Tensor

from ferce.models import timm_net
from ferce.models.hub import read_json
from ferce.training import options
from ferce.training.checkpoint import write_json
from ferce.training.progress import TrainingError

FILES = (timm_net.WEIGHTS, timm_net.UNIT_WEIGHTS)
PAPERS = ("config.json", "ferce.json", "metrics.json")


def average(runs: Sequence[Path], shares: Sequence[float], output: Path) -> Path:
    """Write the mean of run folders of `train/train_classifier.py`; the last one's papers go along.

    Args:
        runs: at least two, of one network.
        shares: how much each counts; they must be positive and sum to 1.
        output: a run folder with "averaged" in its metrics.json.

    Raises:
        TrainingError: shares that do not fit, a file that is missing, or networks that differ.
    """
    _check(runs, shares)
    output.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        _write([run / name for run in runs], shares, output / name)
    for name in PAPERS:
        shutil.copy(runs[-1] / name, output / name)
    averaged = {
        "shares": list(shares),
        "plans": [read_json(run / "metrics.json")["plan"] for run in runs],
    }
    write_json(
        output / "metrics.json", {**read_json(output / "metrics.json"), "averaged": averaged}
    )
    return output


def _check(runs: Sequence[Path], shares: Sequence[float]) -> None:
    if len(runs) < 2 or len(runs) != len(shares):
        raise TrainingError(
            f"Averaging needs two runs or more with a share each; got {len(runs)} runs and "
            f"{len(shares)} shares."
        )
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise TrainingError(f"Shares must be positive and sum to 1; got {list(shares)}.")
    for run in runs:
        for name in (*FILES, *PAPERS):
            if not (run / name).is_file():
                raise TrainingError(f"{run} has no {name}; it must be a run folder with --units.")


def _write(paths: Sequence[Path], shares: Sequence[float], output: Path) -> None:
    from safetensors.torch import load_file, save_file

    parts = [load_file(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if _shapes(part) != _shapes(parts[0]):
            raise TrainingError(f"{path} holds another network than {paths[0]}.")
    mixed = {name: _mixed([part[name] for part in parts], shares) for name in parts[0]}
    save_file(mixed, output, metadata={"format": "pt"})


def _mixed(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Compute the weighted mean; counters, which are no weights, are the last one's."""
    last = tensors[-1]
    if not last.is_floating_point():
        return last
    total = sum(share * tensor.double() for share, tensor in zip(shares, tensors, strict=True))
    return total.to(last.dtype).contiguous()


def _shapes(part: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in part.items()}


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
    print(f"written to {average(given.runs, given.shares, given.output)}")


if __name__ == "__main__":
    options.run("average", main)
