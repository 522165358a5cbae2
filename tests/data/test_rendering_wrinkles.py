import numpy as np
import pytest
from rendering_fixtures import tiny_kit

from ferce.data.rendering.wrinkles import (
    FOLDS,
    LEFT,
    PIXELS,
    TOP,
    height_map,
    sample_map,
    shading_map,
)

KIT = tiny_kit()
LAMP = (0.0, 0.4, 0.9)
MIDDLE = round(-LEFT * PIXELS)  # the column of the face's middle


@pytest.mark.parametrize("unit", sorted(FOLDS))
def test_left_unit_folds_the_left_half_only(unit):
    heights = height_map(KIT, {unit: (1.0, 0.0)}, seed=4)
    seam = round(1.2 * PIXELS)  # folds at the middle may reach across it by their width
    assert heights[:, MIDDLE:].min() < -0.1, "the subject's left is the picture's right"
    assert np.abs(heights[:, : MIDDLE - seam]).max() < 1e-3


def row_of(unit):
    """Mean height on the face (cm) of the deepest folds of a unit."""
    heights = height_map(KIT, {unit: (1.0, 1.0)}, seed=4)
    rows = np.nonzero(heights < 0.5 * heights.min())[0]
    return TOP - rows.mean() / PIXELS


@pytest.mark.parametrize(
    ("unit", "low", "high"),
    [
        (1, 6.3, 10.0),  # forehead
        (2, 6.3, 10.5),
        (4, 4.0, 7.5),  # between the brows
        (6, 1.5, 4.5),  # beside and under the eyes
        (9, 1.8, 4.6),  # root of the nose
        (12, -4.5, 0.5),  # nasolabial fold
        (17, -7.5, -4.5),  # chin
    ],
)
def test_folds_lie_where_the_unit_pulls(unit, low, high):
    assert low < row_of(unit) < high


def test_stronger_units_fold_deeper_and_none_folds_nothing():
    depth = [height_map(KIT, {4: (v, v)}, 1).min() for v in (0.0, 0.4, 0.9)]
    assert depth[0] == 0
    assert depth[2] < depth[1] < -0.05


def test_same_person_same_folds():
    once = height_map(KIT, {1: (0.7, 0.7)}, 8)
    np.testing.assert_array_equal(once, height_map(KIT, {1: (0.7, 0.7)}, 8))
    assert not np.array_equal(once, height_map(KIT, {1: (0.7, 0.7)}, 9))


def test_flat_skin_is_not_shaded():
    shade = shading_map(np.zeros((40, 40), np.float32), LAMP)
    np.testing.assert_allclose(shade, 1)


def test_a_horizontal_valley_is_dark_above_and_bright_below_under_a_lamp_from_above():
    rows = np.arange(60, dtype=np.float32)
    valley = -np.exp(-0.5 * ((rows - 30) / 4) ** 2)
    shade = shading_map(np.repeat(valley[:, None], 20, 1), (0.0, 1.0, 0.3))[:, 10]
    assert shade[26] < shade[34], "its upper wall looks down, its lower wall up to the lamp"
    assert shade[30] < 1


def test_map_is_read_at_mean_head_places():
    values = np.ones((552, 432), np.float32)
    values[100, 200] = 0.5
    place = np.array([[[LEFT + 200.5 / PIXELS, TOP - 100.5 / PIXELS]]], np.float32)
    assert sample_map(values, place)[0, 0] == pytest.approx(0.5, abs=0.02)
    assert sample_map(values, place + 100)[0, 0] == 1
