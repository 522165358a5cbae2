import numpy as np
import pytest
from data_fixtures import drawing
from hypothesis import given, settings
from hypothesis import strategies as st

from ferce.core.types import REGIONS
from ferce.data.augment import NOTHING, STEPS, Recipe, augment, only
from ferce.data.occlude import OCCLUDERS, layout
from ferce.data.record import UnitLabel
from ferce.faces.geometry import warp

CROP = drawing(1, 96)
UNITS = (UnitLabel(10, 0.6, 0.9, 0.1), UnitLabel(4), UnitLabel(24, part="top"))


def test_nothing_changes_nothing():
    view = augment(CROP, UNITS, 0, NOTHING)
    assert (view.pixels == CROP).all()
    assert view.pixels is not CROP
    assert view.units == UNITS
    assert view.steps == ()
    assert (view.matrix == np.eye(2, 3)).all()


def test_flip_mirrors_pixels_and_sides():
    view = augment(CROP, UNITS, 0, only("flip"))
    assert (view.pixels == CROP[:, ::-1]).all()
    assert view.units[0] == UnitLabel(10, 0.6, 0.1, 0.9)
    assert view.units[0].side == "right"
    assert view.units[1:] == UNITS[1:]
    assert augment(CROP, None, 0, only("flip")).units is None
    # the matrix says the same as the pixels
    assert (warp(CROP, view.matrix, 96) == view.pixels).all()


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_flipping_the_flipped_gives_the_picture_back(seed):
    once = augment(CROP, UNITS, seed, only("flip"))
    twice = augment(once.pixels, once.units, seed + 1, only("flip"))
    assert (twice.pixels == CROP).all()
    assert twice.units == UNITS


@given(st.integers(0, 10_000), st.sampled_from([32, 64, 97]))
@settings(deadline=None, max_examples=40)
def test_views_are_valid_repeatable_and_leave_the_crop_alone(seed, size):
    crop = drawing(seed, size)
    before = crop.copy()
    recipe = Recipe(patch=0.5, glasses=0.4, sunglasses=0.3, mask=0.3, blur=0.5, jpeg=0.5, grey=0.4)
    one, two = (augment(crop, UNITS, (seed, 3), recipe) for _ in range(2))
    assert (crop == before).all()
    assert one.pixels.shape == (size, size, 3)
    assert one.pixels.dtype == np.uint8
    assert (one.pixels == two.pixels).all()
    assert (one.steps, one.hidden) == (two.steps, two.hidden)
    assert one.hidden <= set(REGIONS)


def test_seeds_matter():
    views = [augment(CROP, None, (0, i)) for i in range(12)]
    assert len({view.pixels.tobytes() for view in views}) == 12


def test_one_step_more_changes_no_other():
    recipe = Recipe(**dict.fromkeys(STEPS, 0.0) | {"jitter": 1.0})
    also = Recipe(**dict.fromkeys(STEPS, 0.0) | {"jitter": 1.0, "grey": 1.0})
    assert (augment(CROP, None, 5, recipe).matrix == augment(CROP, None, 5, also).matrix).all()


@pytest.mark.parametrize("step", STEPS)
def test_every_step_shows(step):
    view = augment(CROP, UNITS, 3, only(step))
    assert view.steps == (step,)
    assert (view.pixels != CROP).any()


def test_jitter_stays_within_its_bounds():
    recipe = Recipe(**dict.fromkeys(STEPS, 0.0) | {"jitter": 1.0}, turn=10, zoom=0.1, shift=0.05)
    for seed in range(50):
        matrix = augment(CROP, None, seed, recipe).matrix
        scale = np.sqrt(np.linalg.det(matrix[:, :2]))
        assert 0.9 <= scale <= 1.1
        assert abs(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) <= 10
        moved = matrix[:, :2] @ (48, 48) + matrix[:, 2] - 48
        assert np.abs(moved).max() <= 0.05 * 96 + 1e-9


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("glasses", set()), ("sunglasses", {"eyes"}), ("mask", {"nose", "mouth", "chin"})],
)
def test_what_occluders_hide(name, hidden):
    out, said = OCCLUDERS[name](CROP, layout(96), np.random.default_rng(0))
    assert said == hidden
    changed = (out != CROP).any(2)
    for region in hidden - {"chin"}:
        x0, y0, x1, y1 = (round(v) for v in layout(96).box(region))
        assert changed[y0:y1, x0:x1].mean() > 0.5, region
    x0, y0, x1, y1 = (round(v) for v in layout(96).box("mouth"))
    if name != "mask":
        assert not changed[y0:y1, x0:x1].any()


def test_patches_hide_what_they_cover():
    face = layout(96)
    seen = set()
    for seed in range(80):
        out, said = OCCLUDERS["patch"](CROP, face, np.random.default_rng(seed))
        seen |= said
        changed = (out != CROP).any(2)
        for region in said:
            x0, y0, x1, y1 = (int(v) for v in face.box(region))
            assert changed[y0:y1, x0:x1].mean() > 0.5
    assert seen == set(REGIONS)


def test_occluders_follow_the_landmarks(smiling):
    points = smiling.landmarks_in_crop
    view = augment(smiling.crop, None, 1, only("sunglasses"), points)
    x0, y0, x1, y1 = (round(v) for v in layout(smiling.size, points).box("eyes"))
    eyes = view.pixels[y0:y1, x0:x1].mean()
    assert eyes < 0.75 * smiling.crop[y0:y1, x0:x1].mean()


def test_the_average_face_lies_near_a_real_one(smiling):
    real, mean = layout(smiling.size, smiling.landmarks_in_crop), layout(smiling.size)
    away = [np.linalg.norm(real.at(n) - mean.at(n)) / smiling.size for n in real.points]
    assert max(away) < 0.12


def test_refusals():
    with pytest.raises(ValueError, match="probability"):
        Recipe(flip=1.2)
    with pytest.raises(ValueError, match="Unknown step 'flop'; the steps are flip"):
        only("flop")
    with pytest.raises(ValueError, match=r"\(S, S, 3\)"):
        augment(CROP[:50], None, 0)
