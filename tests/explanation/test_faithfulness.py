"""Faithfulness on maps and classifiers whose answer is known, and the landmark maps beside it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from text_fixtures import Looker, face, masks, prediction

from ferce.core.labels import COMPOUNDS
from ferce.core.parts import Heatmap
from ferce.explanation.faithfulness import auroc, centre_map, hot_regions, measure, named_regions
from ferce.explanation.text import parse
from ferce.explanation.unit_maps import match, unit_map
from ferce.facs.prototypes import PROTOTYPES

LABEL = "happily surprised"
SMILE = parse("The mouth smiles.")


def heatmap(region=None, values=None):
    if values is None:
        values = np.zeros((96, 96), np.float32)
        values[masks()[region]] = 1.0
    return Heatmap(values, LABEL, "made")


def tiled():
    """A face whose six regions do not overlap."""
    return face({12: 0.8})


@pytest.mark.parametrize(
    ("scores", "truth", "value"),
    [
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75),  # scikit-learn's own example
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([5, 5, 5, 5], [0, 1, 0, 1], 0.5),
        ([0, 0, 1], [1, 0, 1], 0.75),
    ],
)
def test_auroc_known_answers(scores, truth, value):
    assert auroc(np.array(scores), np.array(truth, bool)) == pytest.approx(value)


def test_auroc_is_undefined_with_one_class():
    assert auroc(np.ones(3), np.ones(3, bool)) is None
    assert auroc(np.ones(3), np.zeros(3, bool)) is None


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(float, 20, elements=st.integers(0, 5).map(float)),
    hnp.arrays(bool, 20),
)
def test_auroc_is_the_share_of_pairs_in_order(scores, truth):
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    expected = float(np.mean(pairs)) if pairs else None
    assert auroc(scores, truth) == (None if expected is None else pytest.approx(expected))


def test_a_text_that_names_where_the_heat_is():
    measures = measure(tiled(), prediction(LABEL), heatmap("mouth"), SMILE).measures
    area = masks()["mouth"].mean()
    assert measures["auroc"] == 1.0
    assert measures["lift"] == pytest.approx(1 / area)
    assert (measures["pointing"], measures["precision"], measures["recall"], measures["f1"]) == (
        1,
        1,
        1,
        1,
    )
    assert measures["coverage"] == pytest.approx(area)


def test_a_text_that_names_another_place():
    measures = measure(tiled(), prediction(LABEL), heatmap("brows"), SMILE).measures
    assert measures["auroc"] < 0.5
    assert (measures["lift"], measures["pointing"], measures["precision"], measures["recall"]) == (
        0,
        0,
        0,
        0,
    )
    assert measures["f1"] == 0


def test_naming_everything_has_no_better_auroc_than_area_allows():
    everything = parse(
        "Raised brows, wide eyes, a wrinkled nose, raised cheeks, a smile and a raised chin."
    )
    noise = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    measures = measure(tiled(), prediction(LABEL), heatmap(values=noise), everything).measures
    assert measures["auroc"] == pytest.approx(0.5, abs=0.03)
    assert measures["lift"] == pytest.approx(1.0, abs=0.05)


def test_controls_stand_beside_each_number_and_lose():
    report = measure(tiled(), prediction(LABEL), heatmap("mouth"), SMILE, Looker("mouth"))
    assert set(report.controls) == {"other texts", "mean face", "random regions", "other labels"}
    for control in ("other texts", "random regions"):
        for name in ("auroc", "lift", "pointing", "comprehensiveness", "sufficiency"):
            assert report.controls[control][name] < report.measures[name]
    assert report.controls["random regions"]["auroc"] == pytest.approx(0.5, abs=0.1)


def test_hiding_what_the_network_looks_at_costs_and_keeping_it_suffices():
    looker = Looker("mouth")
    measures = measure(tiled(), prediction(LABEL), None, SMILE, looker).measures
    assert measures["comprehensiveness"] > 0.5
    assert measures["sufficiency"] > 0.6
    assert looker.calls == 1
    brows = parse("The brows are raised.")
    other = measure(tiled(), prediction(LABEL), None, brows, Looker("mouth")).measures
    assert other["comprehensiveness"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("text", "heat"),
    [
        ("", heatmap("mouth")),  # nothing named
        ("There is no smile.", heatmap("mouth")),  # a denied claim names nothing
        ("The mouth smiles.", heatmap(values=np.zeros((96, 96), np.float32))),  # no heat
        ("The mouth smiles.", None),
    ],
)
def test_what_is_undefined_is_none_and_not_zero(text, heat):
    measures = measure(tiled(), prediction(LABEL), heat, parse(text)).measures
    for name in ("auroc", "lift", "pointing", "precision"):
        assert measures[name] is None
    assert measures["comprehensiveness"] is None


def test_a_face_without_regions_measures_nothing_but_does_not_fail():
    bare = face(regions={})
    measures = measure(bare, prediction(LABEL), heatmap("mouth"), SMILE, Looker("mouth")).measures
    assert measures["auroc"] is None
    assert measures["coverage"] == 0


def test_measuring_is_repeatable():
    args = (tiled(), prediction(LABEL), heatmap("mouth"), SMILE)
    assert measure(*args, Looker("mouth"), 3) == measure(*args, Looker("mouth"), 3)


def test_a_constant_map_has_no_preference():
    measures = measure(
        tiled(), prediction(LABEL), heatmap(values=np.ones((96, 96), np.float32)), SMILE
    ).measures
    assert measures["auroc"] == 0.5
    assert measures["lift"] == pytest.approx(1.0)
    assert measures["recall"] is None  # no region is hotter than the face


def test_named_and_hot_regions():
    cues = parse("The brows are raised, the mouth smiles and the eyes are not wide.")
    assert named_regions(cues, tiled()) == ("brows", "mouth")
    inside = np.ones((96, 96), bool)
    assert hot_regions(tiled(), heatmap("chin").values, inside) == {"chin"}


def test_the_mean_face_is_hot_in_the_middle():
    drawn = centre_map(np.ones((96, 96), bool))
    assert drawn[48, 48] > drawn[10, 10] > 0
    assert drawn.max() <= 1


def landmarks():
    """A flat face of the MediaPipe mesh's rough layout: brows high, eyes, then mouth and jaw."""
    points = np.full((478, 3), 48, np.float32)
    places = {
        (20, 26): (107, 66, 105, 69, 63, 70, 71, 68, 54),
        (76, 26): (336, 296, 334, 299, 293, 300, 301, 298, 284),
        (32, 38): (33, 133, 159, 145, 223, 222, 221, 189, 56),
        (64, 38): (362, 263, 386, 374, 443, 442, 441, 413, 286),
        (36, 74): (61, 50, 101, 205, 187, 207, 212, 202, 210, 169, 150),
        (60, 74): (291, 280, 330, 425, 411, 427, 432, 422, 430, 394, 379),
        (48, 74): (40, 37, 0, 267, 270, 321, 314, 17, 84, 91),
        (48, 88): (58, 172, 136, 132, 215, 138, 288, 397, 365, 361, 435, 367),
    }
    for (x, y), ids in places.items():
        points[list(ids), :2] = (x, y)
    return points


def test_unit_maps_lie_where_the_units_do_and_scale_with_the_face():
    made = face(landmarks=landmarks())
    smile = unit_map(made, {12: 1.0})
    y, x = np.unravel_index(int(smile.argmax()), smile.shape)
    assert abs(y - 74) <= 1
    assert min(abs(x - 36), abs(x - 60)) <= 1
    assert smile.max() == pytest.approx(1, abs=0.02)
    double = face(landmarks=landmarks(), to_crop=np.array([[0.5, 0, 0], [0, 0.5, 0]]))
    area = (unit_map(double, {12: 1.0}) > 0.5).sum() / (smile > 0.5).sum()
    assert area == pytest.approx(0.25, rel=0.25)


def label_map(face, label):
    """Heat that lies on a label's units: core units at 1, variants at their share."""
    row = PROTOTYPES[label]
    weights = dict.fromkeys(row.core, 1.0) | dict(row.variants)
    return Heatmap(unit_map(face, weights).astype(np.float32), label, "made")


def test_heat_drawn_from_a_label_aligns_best_with_that_label():
    made = face(landmarks=landmarks())
    for label in COMPOUNDS:
        measures = match(made, label_map(made, label))
        assert measures["cosine"] == pytest.approx(1.0, abs=1e-3)  # compared on a coarse grid
        assert measures["cosine"] > measures["cosine_others"]
        assert 0 <= measures["share_others"] <= 1


def test_alignment_is_undefined_without_landmarks_heat_or_units():
    assert set(match(face(), heatmap("mouth")).values()) == {None}
    made = face(landmarks=landmarks())
    assert set(match(made, heatmap(values=np.zeros((96, 96), np.float32))).values()) == {None}
    flat = Heatmap(np.ones((96, 96), np.float32), "neutral", "made")
    assert set(match(made, flat).values()) == {None}


def test_alignment_reaches_the_report():
    made = face({12: 0.8}, landmarks=landmarks())
    drawn = label_map(made, LABEL)
    report = measure(made, prediction(LABEL), drawn, SMILE)
    assert report.measures["au_cosine"] == pytest.approx(1.0, abs=1e-3)
    assert report.controls["other labels"]["au_cosine"] < 1
    assert all(v is None or math.isfinite(v) for v in report.measures.values())
