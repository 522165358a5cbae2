"""Real faces to train a network on: annotated ones, and what readers say of the others.

python train/teach.py --faces faces --output faces/taught.jsonl [--half 0]

Reads the tables of train/portraits.py and train/openpeople.py. Readers of the packaged classifier's
evidence are fitted on the `val` faces of annotated.jsonl and the `train` people of london.jsonl.
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

from ferce.backends.embedded import PACKAGED, open_folder
from ferce.backends.fusion import Matrix
from ferce.calibration import softmax
from ferce.evaluation.faces import default_cache
from ferce.training import evidence, readers
from ferce.training.examples import UNIT_NUMBERS
from ferce.training.halves import half

STRENGTH = 0.03  # chosen by cross-validation on the annotated `val` faces
POSED = 0.3  # weight of a posed face in a fit
FEWEST, TRUSTED, SURE = 6, 0.5, 0.7  # positives to learn a unit from; reliability; probability
COMMON, OFTEN = 60, 10  # faces of a label from which it is not repeated; most repeats


def main() -> None:
    """Fit, say, write."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--faces", type=Path, required=True, help="folder of train/portraits.py")
    made.add_argument("--output", type=Path, required=True)
    made.add_argument("--cache", type=Path, default=default_cache())
    made.add_argument("--half", type=int, choices=(0, 1), help="leave the other half out")
    given = made.parse_args()
    see = open_folder(PACKAGED, "embedded").evidence

    def read(name: str, split: str) -> evidence.Seen:
        spec = f"manifest:{given.faces / name}.jsonl"
        return evidence.gather(spec, see, given.cache, [split])

    seen, posed, others = read("annotated", "val"), read("london", "train"), read("others", "train")
    x = np.concatenate([seen.x, posed.x, others.x])
    mean, scale = x.mean(0), x.std(0) + 1e-6
    real = evidence.table(seen, (seen.x - mean) / scale)
    london = evidence.table(posed, (posed.x - mean) / scale, POSED)
    told = _told((others.x - mean) / scale, real, london)
    known = {sample.name: label for sample, label in zip(others.samples, told, strict=True)}
    rows = [*_taught(given.faces, known), *_repeated(list(_annotated(given.faces, given.half)))]
    lines = [json.dumps(row | {"split": "train"}) for row in rows]
    given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{given.output}: {len(lines)} faces, {len(known)} of them pseudo-labelled")


def _told(x: Matrix, real: readers.Table, posed: readers.Table) -> list[dict[str, Any]]:
    """What is said of each face with standardised evidence `x`."""
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


def _rows(faces: Path, name: str, split: str) -> Iterator[dict[str, Any]]:
    for line in (faces / f"{name}.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["split"] == split:
            yield row


def _taught(faces: Path, known: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The training rows of London as they are, and the others with what was said of them."""
    yield from _rows(faces, "london", "train")
    for row in _rows(faces, "others", "train"):
        if row["file_name"] in known:
            yield row | known[row["file_name"]]


def _annotated(faces: Path, which: int | None) -> Iterator[dict[str, Any]]:
    """Faces with what was seen in them, or captioned; of one half, or all."""
    for name in ("annotated", "openpeople"):
        for row in _rows(faces, name, "val"):
            if row.get("shares", row["label"]) and which in (None, half(row["subject"])):
                yield row


def _repeated(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each row once, those of rare labels more often."""

    def leading(row: dict[str, Any]) -> str:
        shares = row.get("shares") or {row["label"]: 1.0}
        return max(shares, key=lambda label: shares[label])

    seen = Counter(map(leading, rows))
    for row in rows:
        often = round((COMMON / seen[leading(row)]) ** 0.5)
        yield from [row] * min(max(often, 1), OFTEN)


if __name__ == "__main__":
    main()
