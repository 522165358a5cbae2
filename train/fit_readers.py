"""Make the packaged classifier out of a trained network: fit its readers, calibrate, write.

python train/fit_readers.py --network runs/classifier --faces faces \
    --renders 'rendered:renders?without=faces/people.txt' --output ferce/weights/classifier

The network is a run folder of train/train_classifier.py. Its readers are fitted on the `val` faces
of train/portraits.py, train/openpeople.py and train/degrade.py, the posed `train` people, and the
`val` split of the renders, none of which the network was trained on but the posed people. Where two
networks learned from one half of the annotated people each (train/teach.py --half) and the network
is their mean, --halves names them: a reader then learns a face by the one that did not see it. Test
faces are not opened.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.backends.embedded import PACKAGED
from ferce.evaluation.faces import default_cache
from ferce.training import packaging
from ferce.training.progress import say


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
    made.add_argument(
        "--halves", type=Path, nargs=2, default=(), help="networks of --half 0 and of --half 1"
    )
    given = made.parse_args()
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
    main()
