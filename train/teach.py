"""Pseudo-labels of real faces: what readers of the prior and the measured face say of them.

python train/teach.py --faces faces --output faces/taught.jsonl

Reads the tables of train/portraits.py: readers are fitted on the `val` faces of annotated.jsonl and
the `train` people of london.jsonl, and say of each face in others.jsonl the shares of the seven
emotions and the action units that are surely there or surely not. The test faces are not opened.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce import data
from ferce.core.types import Face
from ferce.evaluation.faces import default_cache
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.models import landmark_features
from ferce.models.calibration import softmax
from ferce.models.embedded import PACKAGED
from ferce.models.fusion import Matrix
from ferce.models.prior import Prior
from ferce.training import options
from ferce.training.embedded import evidence, readers

STRENGTH = 0.03  # chosen by cross-validation on the annotated `val` faces
POSED = 0.3  # weight of a posed face in a fit
FEWEST, TRUSTED, SURE = 6, 0.5, 0.7  # positives to learn a unit from; reliability; probability


def main() -> None:
    """Parse the arguments and look whether the tables are there."""
    made = options.parser(__doc__)
    add = made.add_argument
    add("--faces", type=Path, required=True, help="folder that train/portraits.py wrote")
    add("--output", type=Path, required=True, help="manifest to write, a .jsonl file")
    add("--cache", type=Path, default=default_cache(), help="folder of aligned faces "
        "(default ~/.cache/ferce/aligned)")  # fmt: skip
    given = made.parse_args()
    for name in ("annotated", "london", "others"):
        data.require(f"manifest:{given.faces / name}.jsonl")
    teach(given)


def teach(given: argparse.Namespace) -> None:
    """Fit, say, write."""
    prior = Prior(PACKAGED / "prior.safetensors")

    def see(faces: Sequence[Face]) -> Matrix:
        return np.hstack([prior(faces), landmark_features.shape(faces)])

    def read(name: str, split: str) -> evidence.Seen:
        spec = f"manifest:{given.faces / name}.jsonl"
        return evidence.gather(spec, see, given.cache, [split])

    seen, posed, others = read("annotated", "val"), read("london", "train"), read("others", "train")
    x = np.concatenate([seen.x, posed.x, others.x])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    real = evidence.table(seen, (seen.x - mean) / scale)
    london = evidence.table(posed, (posed.x - mean) / scale, POSED)
    taught = _taught((others.x - mean) / scale, real, london)
    known = {sample.name: label for sample, label in zip(others.samples, taught, strict=True)}
    _write(given.output, given.faces, known)


def _taught(x: Matrix, real: readers.Table, posed: readers.Table) -> list[dict[str, Any]]:
    """Tell shares and units of each face with standardised evidence `x`."""
    both = readers.joined(real, posed)
    shares = softmax(readers.fit_labels(both, readers.EMOTIONS, STRENGTH)(x))
    units = {n: _unit(x, real, posed, k) for k, n in enumerate(UNIT_NUMBERS)}
    return [
        {
            "shares": {e: round(float(p), 3) for e, p in zip(readers.EMOTIONS, row, strict=True)},
            "action_units": [{"unit": n} for n, p in units.items() if p[i] >= SURE],
            "coded_units": [n for n, p in units.items() if not 1 - SURE < p[i] < SURE],
        }
        for i, row in enumerate(shares)
    ]


def _unit(x: Matrix, real: readers.Table, posed: readers.Table, place: int) -> Matrix:
    """(N,) probability that a unit is there; 0.5 where that cannot be learnt."""
    if np.nansum(real.units[:, place]) < FEWEST:
        return np.full(len(x), 0.5)
    held_out = readers.held_out_unit(real, posed, place, STRENGTH)
    truth = real.units[:, place]
    if readers.reliability(held_out, truth) < TRUSTED:
        return np.full(len(x), 0.5)
    weight, bias = readers.fit_unit(readers.joined(real, posed), place, STRENGTH)
    resting = posed.x[posed.shares[:, 0] == 1] @ weight + bias
    scores = x @ weight + bias - readers.threshold(held_out, truth, resting)
    return np.asarray(1 / (1 + np.exp(-scores)))


def _write(path: Path, faces: Path, known: dict[str, dict[str, Any]]) -> None:
    """The training rows of London as they are, and the others with what was said of them."""
    lines = []
    for name in ("london", "others"):
        for line in (faces / f"{name}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            if row["split"] == "train" and (name == "london" or row["file_name"] in known):
                lines.append(json.dumps(row | known.get(row["file_name"], {})))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path}: {len(lines)} faces, {len(known)} of them pseudo-labelled")


if __name__ == "__main__":
    options.run("teach", main)
