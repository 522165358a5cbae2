"""Make the packaged classifier out of a trained network: fit its readers, calibrate, write.

python train/fit_readers.py --network runs/classifier --faces faces \
    --renders 'rendered:renders?without=faces/people.txt' --output ferce/weights/classifier

The network is a run folder of train/train_classifier.py. Its readers are fitted on the annotated
`val` faces and the posed `train` people of train/portraits.py, and on the `val` split of the
renders, none of which the network was trained on but the posed people. Test faces are not opened.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce import data
from ferce.evaluation.faces import default_cache
from ferce.models import hub
from ferce.training.progress import TrainingError, say

PACKAGED = ROOT / "ferce" / "weights" / "classifier"
FACES = ("annotated", "london")  # tables of train/portraits.py


def main() -> None:
    """Parse the arguments, fit, write."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--network", type=Path, required=True, help="run folder")
    made.add_argument("--faces", type=Path, required=True, help="folder of train/portraits.py")
    made.add_argument("--renders", required=True, help="spec of the rendered data")
    made.add_argument("--prior", type=Path, default=PACKAGED / "prior.safetensors")
    made.add_argument("--output", type=Path, default=PACKAGED)
    made.add_argument("--cache", type=Path, default=default_cache())
    made.add_argument(
        "--earlier", type=Path, nargs="*", default=(), help="metrics.json of the trainings before"
    )
    given = made.parse_args()
    try:
        check(given)
        fit(given)
    except (TrainingError, data.DataError, hub.CheckpointError) as error:
        sys.exit(f"fit_readers: {error}")


def check(given: argparse.Namespace) -> None:
    """Refuse files that are not there before anything is loaded."""
    if odd := [path for path in (given.prior, *given.earlier) if not path.is_file()]:
        raise TrainingError(f"There is no file {odd[0]}.")
    if hub.local(str(given.network)) is None:
        raise TrainingError(f"There is no run folder {given.network}.")
    for spec in (given.renders, *(f"manifest:{given.faces / name}.jsonl" for name in FACES)):
        data.require(spec)


def fit(given: argparse.Namespace) -> None:
    """Fit and write."""
    from ferce.training.embedded import packaging

    sources = packaging.Sources(
        given.network, given.prior, given.faces, given.renders, given.cache, tuple(given.earlier)
    )
    packaging.package(sources, given.output, say)


if __name__ == "__main__":
    main()
