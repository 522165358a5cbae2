"""Hiding a part of a face changes that part and nothing else."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_fixtures import face, masks

from ferce.faces.perturb import face_mask, hide_masks, random_mask, region_mask


def hide(one, mask):
    return hide_masks(one, [mask])[0]


def test_pixels_far_from_the_region_stay_and_those_inside_lose_their_contrast():
    before = face()
    after = hide(before, region_mask(before, ["mouth"]))
    mouth = before.regions["mouth"]
    far = np.zeros_like(mouth)
    far[:50] = True
    assert (after.crop[far] == before.crop[far]).all()
    assert after.crop[mouth].std() < 0.2 * before.crop[mouth].std()


def test_units_of_the_hidden_region_become_unknown_and_others_stay():
    before = face({12: 0.9, 1: 0.8})
    after = hide(before, region_mask(before, ["mouth"]))
    assert after.units[12].confidence == 0
    assert after.units[12].intensity == 0.9
    assert after.units[1] == face({1: 0.8}).units[1]


@pytest.mark.parametrize(("share", "kept"), [(0.25, 0.5), (0.5, 0.0), (0.75, 0.0)])
def test_confidence_falls_with_the_covered_share(share, kept):
    mask = masks()["mouth"].copy()
    columns = np.flatnonzero(mask.any(0))
    mask[:, columns[int(share * len(columns)) :]] = False
    assert hide(face(), mask).units[12].confidence == pytest.approx(0.6 * kept)


def test_hiding_nothing_changes_nothing():
    before = face({12: 0.5})
    after = hide(before, region_mask(before, []))
    assert (after.crop == before.crop).all()
    assert after.units == before.units


def test_many_masks_equal_one_by_one():
    before = face()
    made = list(masks().values())
    for one, mask in zip(hide_masks(before, made), made, strict=True):
        assert (one.crop == hide(before, mask).crop).all()


@pytest.mark.parametrize("place", [(0, 0), (40, 50), (84, 84)], ids=str)
def test_only_the_part_around_a_mask_is_touched(place):
    rng = np.random.default_rng(0)
    before = face().replace(crop=rng.integers(0, 256, (96, 96, 3), dtype=np.uint8))
    mask = np.zeros((96, 96), np.bool_)
    y, x = place
    mask[y : y + 12, x : x + 12] = rng.random((12, 12)) > 0.5
    changed = (hide(before, mask).crop != before.crop).any(2)
    ring = cv2.dilate(mask.astype(np.uint8), np.ones((11, 11), np.uint8)) > 0
    assert changed[mask].mean() > 0.9
    assert not changed[~ring].any()
    soft = ring & ~mask
    assert changed[soft].any(), "the edge is soft on all sides, also at the border of the crop"


def test_a_flat_picture_stays_as_it_is():
    flat = face().replace(crop=np.full((96, 96, 3), 120, np.uint8))
    assert (hide(flat, region_mask(flat, ["eyes", "mouth"])).crop == 120).all()


def test_errors_name_what_is_there():
    with pytest.raises(ValueError, match=r"no mask of region 'ear'. It has: brows, eyes"):
        region_mask(face(), ["ear"])
    with pytest.raises(ValueError, match="none"):
        region_mask(face().replace(regions={}), ["eyes"])
    with pytest.raises(ValueError, match=r"mask must be \(96, 96\)"):
        hide(face(), np.ones((4, 4), np.bool_))


@settings(max_examples=30, deadline=None)
@given(area=st.integers(0, 96 * 96), seed=st.integers(0, 99))
def test_random_regions_have_the_area_asked_for_and_stay_inside(area, seed):
    inside = ~masks()["mouth"]
    mask = random_mask(inside, area, np.random.default_rng(seed))
    assert mask.sum() == min(area, inside.sum())
    assert not (mask & ~inside).any()


def test_random_regions_are_blotches_and_differ():
    rng = np.random.default_rng(0)
    inside = np.ones((96, 96), np.bool_)
    first, second = (random_mask(inside, 1500, rng) for _ in range(2))
    border = np.abs(np.diff(first.astype(int), axis=0)).sum()
    assert border < 600
    assert (first != second).any()


def test_the_outline_of_a_face_holds_its_landmarks():
    points = np.zeros((478, 3), np.float32)
    angle = np.linspace(0, 2 * np.pi, 478)
    points[:, 0], points[:, 1] = 48 + 30 * np.cos(angle), 48 + 40 * np.sin(angle)
    inside = face_mask(face().replace(landmarks=points))
    assert inside.sum() == pytest.approx(np.pi * 30 * 40, rel=0.05)
    assert face_mask(face()).all()
