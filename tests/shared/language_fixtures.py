"""Faces whose colour tells their label, aligned and in a data set, for tests of fine-tuning."""

import dataclasses
import io

import numpy as np
from PIL import Image

from ferce.data import align
from ferce.data.record import Blob, DataSet, Sample, UnitLabel

LABELS = (
    "happily surprised", "sadly angry", "fearfully disgusted", "happily sad",
    "angrily surprised", "sadly fearful", "disgustedly surprised", "happily disgusted",
)  # fmt: skip
COLOURS = tuple((r, g, b) for r in (40, 215) for g in (40, 215) for b in (40, 215))
CODED = (
    (UnitLabel(1, 0.9), UnitLabel(2, 0.9), UnitLabel(12, 0.8), UnitLabel(25, 0.8)),
    (UnitLabel(4, 0.9), UnitLabel(15, 0.8)),
    (UnitLabel(9, 0.9), UnitLabel(10, 0.8), UnitLabel(25, 0.6)),
    (UnitLabel(6, 0.6), UnitLabel(12, 0.8), UnitLabel(15, 0.5)),
)


def picture(seed, colour=(128, 128, 128), size=40):
    """PNG of one colour with some noise."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(rng.normal(colour, 12, (size, size, 3)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Blob(file.getvalue())


def coloured(seed, label, units=(), split="train"):
    """A sample; one of `LABELS` shows in its colour."""
    colour = COLOURS[LABELS.index(label)] if label in LABELS else (128, 128, 128)
    return Sample(f"{split}/{seed}", picture(seed, colour), label, units, f"s{seed}", split)


def data_of(train=24, val=12):
    """Faces of `LABELS` by turns."""
    plan = [("train", i) for i in range(train)] + [("val", 1000 + i) for i in range(val)]
    rows = [coloured(i, LABELS[i % 8], CODED[i % 4], split) for split, i in plan]
    return DataSet("coloured", lambda: iter(rows))


def items_of(samples, cache):
    """The samples aligned, as crops that others aligned."""
    settings = align.Settings(detect=False)
    rows = [dataclasses.replace(sample) for sample in samples]
    return list(align.align(rows, cache, settings))
