"""The packaged classifier beside each of its parts alone, on real faces.

python train/compare_parts.py --data manifest:faces/annotated.jsonl --split test

The data have `shares` of outcomes, or labels: the tables of train/portraits.py, train/openpeople.py
and train/degrade.py. Printed are, for the whole, for readers of prior, network and measures alone,
and for the prior as it comes: how often the known outcome is the most probable, neutral faces
called neutral, how often the known emotion leads, and by how much the whole is better, with the
95 % interval over people.
"""

import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.core.labels import OUTCOMES
from ferce.evaluation import parts
from ferce.evaluation.faces import default_cache
from ferce.models.embedded import PACKAGED, open_folder
from ferce.models.fusion import Fusion
from ferce.models.mix import EVERYDAY
from ferce.training import options
from ferce.training.embedded import evidence
from ferce.training.examples import target


def main() -> None:
    """Read the faces, print the figures."""
    made = options.parser(__doc__)
    made.add_argument("--data", required=True, help="spec of the data set")
    made.add_argument("--split", default="test", help="to score (default test)")
    made.add_argument("--model", type=Path, default=PACKAGED, help="folder of the kind embedded")
    made.add_argument("--mix", default=EVERYDAY, help="everyday, even or raf-ce")
    made.add_argument("--cache", type=Path, default=default_cache(), help="of aligned faces")
    given = made.parse_args()
    model = open_folder(given.model, "embedded", mix=given.mix)
    seen = evidence.gather(given.data, model.evidence, given.cache, [given.split])
    known = parts.Known(
        np.stack([target(sample, OUTCOMES) for sample in seen.samples]).astype(float),
        np.array([sample.subject or sample.name for sample in seen.samples]),
    )
    found = parts.readings(seen.x, Fusion.load(given.model), model.mix)
    for name, told in parts.figures(found, known).items():
        print(f"{name}: {json.dumps(told)}")


if __name__ == "__main__":
    options.run("compare_parts", main, OSError)
