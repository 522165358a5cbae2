"""Make the packaged classifier out of a trained network: fit its readers, calibrate, write.

python train/fit_readers.py --network runs/classifier --faces faces \
    --renders 'rendered:renders?without=faces/people.txt' --output ferce/weights/classifier

The network is a run folder of train/train_classifier.py. Its readers are fitted on the annotated
`val` faces and the posed `train` people of train/portraits.py, and on the `val` split of the
renders, none of which the network was trained on but the posed people. Test faces are not opened.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.evaluation.faces import default_cache
from ferce.models.embedded import PACKAGED
from ferce.training import options
from ferce.training.embedded import packaging
from ferce.training.progress import say


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
    given = made.parse_args()
    sources = packaging.Sources(
        given.network, given.prior, given.faces, given.renders, given.cache, tuple(given.earlier)
    )
    packaging.package(sources, given.output, say)


if __name__ == "__main__":
    options.run("fit_readers", main)
