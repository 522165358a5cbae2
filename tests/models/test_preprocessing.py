"""Resizing without torch against torchvision's, level by level."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode, functional

from ferce.models.preprocessing import resized


@pytest.mark.parametrize(
    "size", [(224, 224), (112, 112), (90, 90), (31, 47), (300, 517), (900, 640)]
)
def test_every_level_is_torchvisions(size):
    dice = np.random.default_rng(size[0])
    noise = dice.integers(0, 256, (*size, 3), np.uint8)
    steps = np.kron(dice.integers(0, 2, (8, 8, 3)) * 255, np.ones((120, 120, 1))).astype(np.uint8)
    for picture in (noise, np.ascontiguousarray(steps[: size[0], : size[1]])):
        known = functional.resize(
            torch.from_numpy(picture).permute(2, 0, 1),
            [112, 112],
            interpolation=InterpolationMode.BICUBIC,
            antialias=True,
        )
        assert np.array_equal(resized(picture, 112, 112), known.permute(1, 2, 0).numpy())


def test_a_picture_of_that_size_stays_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    assert np.array_equal(resized(picture, 40, 60), picture)
