"""A data set on disk whose right answers are known, and classifiers that compute them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from ferce.core.labels import COMPOUNDS
from ferce.core.types import Scores

SIDE = 64


class Grey:
    """Reads the class from the grey of the crop: 10 k + 5 is class k; counts what it is asked."""

    name = "test:grey"

    def __init__(self, wrong: int = 0) -> None:
        self.wrong, self.asked = wrong, 0

    def scores(self, faces) -> Scores:
        self.asked += len(faces)
        p = np.full((len(faces), len(COMPOUNDS)), 0.1 / 13)
        for row, face in zip(p, faces, strict=True):
            k = int(face.crop.mean() // 10)
            row[(k + self.wrong) % len(COMPOUNDS)] = 0.9
        return Scores(p)


class Words(Grey):
    """Answers in its own words, too, and every third time with nothing that is a label."""

    def named(self, faces):
        top = self.scores(faces).classes.argmax(1)
        return ["unparsed" if k % 3 == 0 else COMPOUNDS[k] for k in top]


def write_data(folder: Path, per_class: int = 3, extra: bool = True) -> str:
    """A manifest with `per_class` pictures a class and, if `extra`, one missing and one broken."""
    rows = []
    for k, label in enumerate(COMPOUNDS):
        for j in range(per_class):
            rows.append(_row(folder, f"{k:02d}-{j}.png", label, 10 * k + 5, j))
    rows.append(_row(folder, "neutral.png", "neutral", 5, 0))
    rows.append(_row(folder, "happy.png", "happy", 5, 0))
    if extra:
        rows.append(_told("missing.png", COMPOUNDS[0], 0))
        (folder / "broken.png").write_bytes(b"no picture")
        rows.append(_told("broken.png", COMPOUNDS[1], 0))
    table = folder / "table.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"manifest:{table}"


def _row(folder: Path, name: str, label: str, grey: int, j: int) -> dict:
    Image.fromarray(np.full((SIDE, SIDE, 3), grey, np.uint8)).save(folder / name)
    return _told(name, label, j)


def _told(name: str, label: str, j: int) -> dict:
    return {
        "file_name": name,
        "label": label,
        "person": f"person {j}",
        "split": "test",
        "sex": "female" if j else "male",
    }


def row(name, coded, seen, label="", asked=None, status="read", **attributes):
    """A row of `images.csv` with coded and measured action units."""
    return {
        "name": name,
        "label": label,
        "subject": "",
        "status": status,
        "units": json.dumps(coded),
        "coded": json.dumps(asked),
        "seen": json.dumps(seen),
        "decided": label,
        "attributes": json.dumps(attributes),
    }
