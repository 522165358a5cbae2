import io

import cv2
import numpy as np
import pytest
import report_fixtures as known
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferce.core.parts import Heatmap
from ferce.report import drawing
from ferce.report.drawing import ORANGE, colours, encode, fit


def flat(value=128, size=64):
    return np.full((size, size, 3), value, np.uint8)


def heat(values):
    return Heatmap(np.asarray(values, np.float32), "happily surprised", "known")


def luminance(rgb):
    """CIE L* of sRGB 0..255."""
    lab = cv2.cvtColor(np.float32(rgb)[None] / 255, cv2.COLOR_RGB2LAB)
    return lab[0, :, 0]


# ---- colours ----


def test_colours_grow_evenly_brighter():
    light = luminance(colours())
    assert (np.diff(light) > -0.3).all()
    assert light[0] < 1
    assert light[-1] > 95
    assert np.ptp(np.diff(light[16:])) < 1.0  # per step; perceptually uniform


def test_colours_stay_apart_without_red_or_green_cones():
    """Machado, Oliveira & Fernandes 2009 (10.1109/TVCG.2009.113), full protanopia, deuteranopia."""
    protan = [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    deutan = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    for matrix in (protan, deutan):
        seen = np.clip((colours() / 255) ** 2.2 @ np.transpose(matrix), 0, 1) ** (1 / 2.2) * 255
        assert (np.diff(luminance(seen)[::8]) > 0).all()


# ---- heat ----


def test_no_opacity_is_the_crop():
    crop = known.crop()
    drawn = drawing.draw_heatmap(crop, known.heatmap(), opacity=0, bar=False)
    assert (drawn == crop).all()


def test_full_opacity_shows_the_top_colour_at_the_maximum():
    values = np.zeros((64, 64))
    values[10, 20] = 0.02
    drawn = drawing.draw_heatmap(flat(), heat(values), opacity=1, bar=False)
    assert (drawn[10, 20] == colours()[-1]).all()
    assert np.ptp(drawn[40, 40]) == 0  # without heat the face is grey


@given(st.floats(1e-6, 1e6))
def test_the_picture_does_not_depend_on_the_unit_of_the_heat(scale):
    values = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    first = drawing.draw_heatmap(flat(), heat(values), bar=False)
    second = drawing.draw_heatmap(flat(), heat(values * scale), bar=False)
    assert np.abs(first.astype(int) - second).max() <= 1


def test_a_fixed_limit_makes_maps_comparable():
    values = np.zeros((64, 64))
    values[:32] = 0.5
    weak = drawing.draw_heatmap(flat(), heat(values), limit=1.0, bar=False)
    strong = drawing.draw_heatmap(flat(), heat(values * 2), limit=1.0, bar=False)
    assert luminance(weak[:1, 0])[0] < luminance(strong[:1, 0])[0]
    again = drawing.draw_heatmap(flat(), heat(values * 2), bar=False)
    assert (strong == again).all()


def test_the_map_is_resized_to_the_crop():
    values = np.zeros((7, 7))
    values[0, 6] = 1
    drawn = drawing.draw_heatmap(flat(200, 70), heat(values), bar=False).astype(int)
    colourful = np.ptp(drawn, axis=-1)
    assert colourful[5, 65] > 50
    assert colourful[40:, :40].max() == 0


def test_an_empty_map_is_drawn_as_empty():
    empty = drawing.draw_heatmap(known.crop(), known.heatmap(empty=True))
    full = drawing.draw_heatmap(known.crop(), known.heatmap())
    assert empty.shape == full.shape
    bar = empty[known.SIZE :].astype(int)
    assert np.ptp(bar, axis=-1).max() < 8  # words, no colours
    assert bar.min() < 60  # and there are words
    assert np.ptp(full[known.SIZE :].astype(int), axis=-1).max() > 50


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_opacity_out_of_range(opacity):
    with pytest.raises(ValueError, match=r"opacity must lie in 0\.\.1"):
        drawing.draw_heatmap(flat(), known.heatmap(), opacity)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_limit_out_of_range(limit):
    with pytest.raises(ValueError, match="limit must be above 0"):
        drawing.draw_heatmap(flat(), known.heatmap(), limit=limit)


# ---- regions ----


def test_outlines_run_along_the_masks():
    before, mask = flat(), np.zeros((64, 64), bool)
    mask[20:40, 30:50] = True
    drawn = drawing.draw_regions(before, {"nose": mask}, words={"nose": ""})
    assert (before == 128).all()  # the picture given is left alone
    assert (drawn[20, 35:45] == 255).all()
    assert (drawn[19, 35:45] < 40).all()  # dark around it
    assert (drawn[25:35, 35:45] == 128).all()
    assert (drawn[:10] == 128).all()


def test_the_strong_region_is_orange():
    drawn = drawing.draw_regions(known.crop(), known.masks(), strong="mouth")
    rows, columns = np.nonzero((drawn == ORANGE).all(-1))
    mouth = known.masks()["mouth"]
    assert rows.size > 50
    assert mouth[rows, columns].all()


def test_regions_that_are_empty_or_fill_the_picture():
    none, every = np.zeros((64, 64), bool), np.ones((64, 64), bool)
    assert (drawing.draw_regions(flat(), {"nose": none}) == 128).all()
    assert drawing.draw_regions(flat(), {"chin": every}).shape == (64, 64, 3)


# ---- bars, files ----


def bar_length(picture, row):
    """Coloured pixels in one row of the bars."""
    return int((np.ptp(picture[row].astype(int), axis=-1) > 60).sum())


def test_bars_are_as_long_as_the_probabilities():
    picture = drawing.draw_bars(known.prediction(share=0.5), width=600)
    step = round(1.7 * 22)
    rows = [8 + round((i + 0.5) * step) for i in range(12)]
    full = 600 - 8 - round(2.8 * 22) - (8 + 12 * 22)
    assert bar_length(picture, rows[0]) == pytest.approx(0.5 * full, abs=2)
    assert bar_length(picture, rows[1]) == pytest.approx(0.5 / 13 * full, abs=2)
    assert bar_length(picture, rows[5]) == 0  # the gap before the components
    happy = known.prediction(share=0.5).components["happy"]
    assert bar_length(picture, rows[6]) == pytest.approx(happy * full, abs=2)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_encoded_pictures_read_back(kind):
    image = Image.open(io.BytesIO(encode(known.crop(), kind)))
    assert image.format == kind
    error = np.abs(np.asarray(image.convert("RGB")).astype(int) - known.crop())
    assert error.max() == 0 if kind == "PNG" else error.mean() < 4


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 90))
def test_fit_brings_the_longer_side(height, width, side):
    picture = np.zeros((height, width, 3), np.uint8)
    assert max(fit(picture, side).shape[:2]) == side
    assert max(fit(picture, side, enlarge=False).shape[:2]) == min(side, max(height, width))
