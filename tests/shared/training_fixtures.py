"""Faces that a tiny network learns in seconds, and plans to learn them."""

import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from ferce.core.labels import COMPOUNDS
from ferce.data import load_data
from ferce.data.record import Blob, DataSet, Sample, UnitLabel
from ferce.training.classifier.plan import Plan


def tile(number: int, seed: int, size: int = 32) -> bytes:
    """A PNG whose two colours tell the number 0 to 15, with noise of the seed."""
    rng = np.random.default_rng((number, seed))
    high, low = divmod(number, 4)
    pixels = np.zeros((size, size, 3))
    pixels[: size // 2, :, 0] = 30 + 65 * high
    pixels[size // 2 :, :, 2] = 30 + 65 * low
    noisy = np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "PNG")
    return buffer.getvalue()


def tiles(
    train: int = 6,
    val: int = 3,
    relabel: Callable[[int], str] | None = None,
    more: Sequence[Sample] = (),
) -> DataSet:
    """A data set of tiles: so many of each compound; `relabel` names the label of a train tile."""
    rows = []
    for split, count in (("train", train), ("val", val)):
        for number, seed in itertools.product(range(len(COMPOUNDS)), range(count)):
            key = number * count + seed
            label = COMPOUNDS[number]
            if relabel and split == "train":
                label = relabel(key)
            blob = Blob(tile(number, seed + 100 * (split == "val")))
            units = None if seed % 3 == 0 else (UnitLabel(12),) if number % 2 else ()
            name = f"{split}-{number}-{seed}"
            rows.append(Sample(name, blob, label, units, f"{split}{key}", split))
    rows.extend(more)
    return DataSet("tiles", lambda: iter(rows))


def rendered(count: int = 8, times: int = 8) -> DataSet:
    """So many rendered faces of different compounds, the same in train (so many times) and val."""
    first = {}
    for sample in load_data("demo").samples("train"):
        if sample.label in COMPOUNDS:
            first.setdefault(sample.label, sample)
    faces = list(first.values())[:count]
    rows = [replace(s, split=split) for split in times * ("train",) + ("val",) for s in faces]
    return DataSet("eight", lambda: iter(rows))


def plan(cache, **changes) -> Plan:
    """A plan that computes the same every time and takes a second."""
    base = Plan(
        detect="no",
        cache=str(cache),
        network="test_resnet",
        size=32,
        epochs=2,
        batch=16,
        lr=3e-3,
        warmup=0.1,
        smoothing=0.0,
        ema=0.0,
        drop=0.0,
        augment="none",
        patience=0,
        device="cpu",
    )
    return replace(base, **changes)
