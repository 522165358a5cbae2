"""Faces and readings with known contents, without a detector or a model."""

import numpy as np
from predictions import made

from ferce.core.labels import COMPOUNDS
from ferce.core.parts import Answer, Cue, Explanation, Faithfulness, Heatmap, Reading, Report
from ferce.core.types import Face, Quality, UnitEvidence
from ferce.facs.action_units import UNITS

SIZE = 224
TEXT = (
    "The expression resembles happily surprised: the mouth smiles, both brows are raised, "
    "the nose is not wrinkled and the chin is pushed up."
)


def crop(seed=0, size=SIZE):
    """A head-like picture: an ellipse with eyes and mouth on a shaded ground, plus grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    picture = np.stack([90 + 60 * y, 110 + 40 * x, 120 + 0 * x], -1)
    picture[((x - 0.5) / 0.36) ** 2 + ((y - 0.5) / 0.46) ** 2 < 1] = (205, 165, 140)
    for centre in (0.36, 0.64):
        picture[((x - centre) / 0.07) ** 2 + ((y - 0.42) / 0.03) ** 2 < 1] = (70, 50, 45)
    picture[((x - 0.5) / 0.15) ** 2 + ((y - 0.75) / 0.05) ** 2 < 1] = (150, 60, 60)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def masks(size=SIZE):
    """The six regions as boxes, cut where a face has them."""
    boxes = {
        "brows": [(0.2, 0.28, 0.45, 0.36), (0.55, 0.28, 0.8, 0.36)],
        "eyes": [(0.25, 0.37, 0.46, 0.47), (0.54, 0.37, 0.75, 0.47)],
        "nose": [(0.42, 0.45, 0.58, 0.63)],
        "cheeks": [(0.18, 0.5, 0.38, 0.68), (0.62, 0.5, 0.82, 0.68)],
        "mouth": [(0.33, 0.68, 0.67, 0.82)],
        "chin": [(0.38, 0.84, 0.62, 0.94)],
    }
    found = {}
    for name, parts in boxes.items():
        found[name] = np.zeros((size, size), bool)
        for x0, y0, x1, y1 in (np.round(np.array(part) * size).astype(int) for part in parts):
            found[name][y0:y1, x0:x1] = True
    return found


def units():
    """AU12 strong (left more), AU1, AU2 and AU25 there; AU6 and AU9 cannot be read."""
    seen = {1: (0.6, 0.4), 2: (0.7, 0.65), 12: (0.9, 0.95), 25: (0.8, 0.9), 15: (0.0, 0.5)}
    found = {n: UnitEvidence(n, *seen.get(n, (0.0, 0.0)), source="known") for n in UNITS}
    found[12] = UnitEvidence(12, 0.9, 0.95, left=0.95, right=0.85, source="known")
    return found


def face(seed=0, **changes):
    """A readable face of known units at (100, 80)-(300, 320) of a 640 x 480 photo."""
    return Face(
        crop=crop(seed),
        box=(100.0, 80.0, 300.0, 320.0),
        regions=masks(),
        units=units(),
        quality=Quality(240.0, 1.25, -3.0, 2.0, 0.5),
    ).replace(**changes)


def prediction(label="happily surprised", share=0.72, state="compound"):
    """`share` on one compound, the rest spread evenly."""
    top = label if label in COMPOUNDS else "happily surprised"
    values = {name: share if name == top else (1 - share) / 13 for name in COMPOUNDS}
    words = "Two emotions lead clearly."
    return made(state, label, values, (top, "happily fearful"), reason=words, model="known")


def heatmap(empty=False, label="happily surprised"):
    """Heat on the mouth (raw maximum 0.031) and a little on the brows."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    values = 0.031 * np.exp(-(((x - 0.5) / 0.14) ** 2) - ((y - 0.75) / 0.07) ** 2)
    values += 0.012 * np.exp(-(((x - 0.33) / 0.1) ** 2) - ((y - 0.32) / 0.04) ** 2)
    shares = {"brows": 0.2, "eyes": 0.05, "nose": 0.02, "cheeks": 0.1, "mouth": 0.55, "chin": 0.03}
    if empty:
        values, shares = values * 0, dict.fromkeys(shares, 0.0)
    return Heatmap(values.astype(np.float32), label, "occlusion", regions=shares)


def cue(words, unit, region, **changes):
    start = TEXT.index(words)
    return Cue(words, start, start + len(words), unit, region, **changes)


def explanation():
    """Four claims: one of each verdict, one not used."""
    return Explanation(
        TEXT,
        "known",
        (
            cue(
                "the mouth smiles", 12, "mouth", seen="supported", used="used", evidence="AU12 0.90"
            ),
            cue("both brows are raised", 2, "brows", seen="supported", used="not used"),
            cue("the nose is not wrinkled", 9, "nose", negated=True, seen="cannot be told"),
            cue("the chin is pushed up", 17, "chin", seen="contradicted", used="cannot be told"),
        ),
    )


def reading(seed=0, **changes):
    """Everything filled."""
    parts = {
        "face": face(seed),
        "prediction": prediction(),
        "heatmap": heatmap(),
        "answers": (Answer("Is the mouth open?", "Yes.", "known"),),
        "explanation": explanation(),
        "faithfulness": Faithfulness(
            {"auroc": 0.83, "lift": 2.4, "deletion": None},
            {"shuffled text": {"auroc": 0.52, "lift": 1.0, "deletion": None}},
        ),
    }
    return Reading(**{**parts, **changes})


def report(photo="photo.jpg", **changes):
    """One photo, one full reading."""
    parts = {"size": (640, 480), "seconds": 0.0625, "readings": (reading(),)}
    return Report(photo, **{**parts, **changes})


def failed(photo="broken.jpg", error="broken.jpg is empty; export or copy it again."):
    return Report(photo, error=error)


def bare(problem=None):
    """A reading in which every part that may be missing is missing."""
    return Reading(Face(crop=crop(), problem=problem))
