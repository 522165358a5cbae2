"""Real faces to train a network on: annotated ones, and what readers say of the others.

python train/teach.py --faces faces --output faces/taught.jsonl [--half 0]

Reads the tables of train/portraits.py. Readers of the packaged classifier's evidence are fitted on
the `val` faces of annotated.jsonl and the `train` people of london.jsonl.
Of each face in others.jsonl they say the shares of the seven emotions, in the mix of the annotated
faces, and the action units that are surely there or surely not. The annotated `val` faces join as
they are, the rarer their label the more often; with --half only one half of them, so that readers
can be fitted on what a network trained on the other half says. Test faces are not opened.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce import data
from ferce.evaluation.plan import default_cache
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.models.calibration import softmax
from ferce.models.embedded import PACKAGED, open_folder
from ferce.models.fusion import Matrix
from ferce.training import options
from ferce.training.embedded import evidence, readers
from ferce.training.embedded.evidence import half

STRENGTH = 0.03  # chosen by cross-validation on the annotated `val` faces
POSED = 0.3  # weight of a posed face in a fit
FEWEST, TRUSTED, SURE = 6, 0.5, 0.7  # positives to learn a unit from; reliability; probability
COMMON, OFTEN = 60, 10  # faces of a label from which it is not repeated; most repeats


def main() -> None:
    """Parse the arguments and look whether the tables are there."""
    made = options.parser(__doc__)
    add = made.add_argument
    add("--faces", type=Path, required=True, help="folder that train/portraits.py wrote")
    add("--output", type=Path, required=True, help="manifest to write, a .jsonl file")
    add("--cache", type=Path, default=default_cache(), help="folder of aligned faces "
        "(default ~/.cache/ferce/aligned)")  # fmt: skip
    add("--half", type=int, choices=(0, 1), help="half of the annotated people that joins "
        "(default: both)")  # fmt: skip
    given = made.parse_args()
    for name in ("annotated", "london", "openpeople", "others"):
        data.require(f"manifest:{given.faces / name}.jsonl")
    teach(given)


def teach(given: argparse.Namespace) -> None:
    """Fit, say, write."""
    see = open_folder(PACKAGED, "embedded").evidence

    def read(name: str, split: str) -> evidence.Seen:
        spec = f"manifest:{given.faces / name}.jsonl"
        return evidence.gather(spec, see, given.cache, [split])

    seen, posed, others = read("annotated", "val"), read("london", "train"), read("others", "train")
    x = np.concatenate([seen.x, posed.x, others.x])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    real = evidence.table(seen, (seen.x - mean) / scale)
    london = evidence.table(posed, (posed.x - mean) / scale, POSED)
    labels = _labelled((others.x - mean) / scale, real, london)
    known = {sample.name: label for sample, label in zip(others.samples, labels, strict=True)}
    rows = [*_taught(given.faces, known), *_repeated(list(_annotated(given.faces, given.half)))]
    lines = [json.dumps(row | {"split": "train"}) for row in rows]
    given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{given.output}: {len(lines)} faces, {len(known)} of them pseudo-labelled")


def _labelled(x: Matrix, real: readers.Table, posed: readers.Table) -> list[dict[str, Any]]:
    """Tell shares and units of each face with standardised evidence `x`."""
    both = readers.joined(real, posed)
    mix = np.log(real.shares.sum(0) / real.shares.sum())  # the reader is fitted to an even mix
    shares = softmax(readers.fit_labels(both, readers.EMOTIONS, STRENGTH)(x) + mix)
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
    """Predict the (N,) probability that a unit is there; 0.5 where that cannot be learnt."""
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


def _rows(faces: Path, name: str, split: str) -> Iterator[dict[str, Any]]:
    for line in (faces / f"{name}.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["split"] == split:
            yield row


def _taught(faces: Path, known: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """List the training rows of London as they are, and the others with what was said of them."""
    yield from _rows(faces, "london", "train")
    for row in _rows(faces, "others", "train"):
        if row["file_name"] in known:
            yield row | known[row["file_name"]]


def _annotated(faces: Path, which: int | None) -> Iterator[dict[str, Any]]:
    """List faces with what was seen in them, or captioned; of one half, or all."""
    for name in ("annotated", "openpeople"):
        for row in _rows(faces, name, "val"):
            if row.get("shares", row["label"]) and which in (None, half(row["subject"])):
                yield row


def _repeated(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Repeat rows of rare labels; each stands at least once."""

    def leading(row: dict[str, Any]) -> str:
        shares: dict[str, float] = row.get("shares") or {row["label"]: 1.0}
        return max(shares, key=lambda label: shares[label])

    seen = Counter(map(leading, rows))
    for row in rows:
        often = round((COMMON / seen[leading(row)]) ** 0.5)
        yield from [row] * min(max(often, 1), OFTEN)


if __name__ == "__main__":
    options.run("teach", main)
