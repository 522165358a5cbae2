r"""Make the packaged classifier out of a trained network: fit its readers, calibrate, write.

python train/fit_readers.py --network runs/classifier --faces faces \
    --renders 'rendered:renders?without=faces/people.txt' --output ferce/weights/classifier

The network is a run folder of train/train_classifier.py. Its readers are fitted on the `val` faces
of train/portraits.py, the posed `train` people, and the `val` split of the renders, none of which
the network was trained on but the posed people. Where two networks learned from one half of the
annotated people each (train/teach.py --half) and the network is their mean, --halves names them: a
reader then learns a face by the one that did not see it. Test faces are not opened.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce import data
from ferce.evaluation.plan import default_cache
from ferce.models import hub
from ferce.training import options
from ferce.training.progress import TrainingError, say

PACKAGED = ROOT / "ferce" / "weights" / "classifier"
FACES = ("annotated", "london", "openpeople", "degraded")  # tables of real faces


def main() -> None:
    """Parse the arguments, fit, write."""
    made = options.parser(__doc__)
    add = made.add_argument
    add("--network", type=Path, required=True, help="run folder of the trained network")
    add("--faces", type=Path, required=True, help="folder that train/portraits.py wrote")
    add("--renders", required=True, help="spec of the rendered data set")
    add("--prior", type=Path, default=PACKAGED / "prior.safetensors", help="weights of the prior "
        "(default: the packaged ones)")  # fmt: skip
    add("--output", type=Path, default=PACKAGED, help="folder of the classifier (default: the "
        "packaged one, which is replaced)")  # fmt: skip
    add("--cache", type=Path, default=default_cache(), help="folder of aligned faces "
        "(default ~/.cache/ferce/aligned)")  # fmt: skip
    add("--earlier", type=Path, nargs="*", default=(), help="metrics.json of the trainings that "
        "the network went on from, the first one first (default: none)")  # fmt: skip
    add("--halves", type=Path, nargs=2, default=(), help="run folders of the networks of teach.py "
        "--half 0 and --half 1, of which --network is the mean (default: none)")  # fmt: skip
    given = made.parse_args()
    check(given)
    fit(given)


def check(given: argparse.Namespace) -> None:
    """Refuse files that are not there before anything is loaded."""
    if odd := [path for path in (given.prior, *given.earlier) if not path.is_file()]:
        raise TrainingError(f"There is no file {odd[0]}.")
    for run in (given.network, *given.halves):
        if hub.local(str(run)) is None:
            raise TrainingError(f"There is no run folder {run}.")
    for spec in (given.renders, *(f"manifest:{given.faces / name}.jsonl" for name in FACES)):
        data.require(spec)


def fit(given: argparse.Namespace) -> None:
    """Fit and write."""
    from ferce.training.embedded import packaging

    sources = packaging.Sources(
        given.network,
        given.prior,
        given.faces,
        given.renders,
        given.cache,
        tuple(given.earlier),
        tuple(given.halves),
    )
    packaging.package(sources, given.output, say)


if __name__ == "__main__":
    options.run("fit_readers", main)
