"""Samples and aligned faces for the tests of the small BLIP-2."""

from pathlib import Path

import numpy as np

from ferce.core.types import Face
from ferce.data import npz
from ferce.data.align import Aligned
from ferce.data.record import Sample, UnitLabel


def units(strengths, side=None):
    """Unit -> strength as coded units, all on one side if asked."""
    if side is None:
        return tuple(UnitLabel(u, s, s, s) for u, s in strengths.items())
    return tuple(
        UnitLabel(u, s, s if side == "left" else 0.0, s if side == "right" else 0.0)
        for u, s in strengths.items()
    )


def sample(number, coded, split="train", occluder=""):
    """A sample without a picture."""
    attributes = {"occluder": occluder} if occluder else {}
    return Sample(
        f"face {number}",
        Path(),
        units=coded,
        subject=f"p{number}",
        split=split,
        attributes=attributes,
    )


def aligned(samples, folder, side=48):
    """Each sample with a grey picture on disk, of grey 5 k for face k."""
    made = []
    for number, one in enumerate(samples):
        path = folder / f"{number}.npz"
        npz.save_face(path, Face(crop=np.full((side, side, 3), 5 * number, np.uint8)))
        made.append(Aligned(one, path))
    return made
