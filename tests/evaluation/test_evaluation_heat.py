"""Heat map scores: maps whose quality is known, against a network whose evidence is known."""

from types import SimpleNamespace

import numpy as np
import pytest
from network_fixtures import SIDE, Network, spot, spots, taught, tiny_vit

from ferce.core.labels import COMPOUNDS, OUTCOMES
from ferce.evaluation import Plan, heat, metrics
from ferce.evaluation.heat_scores import Network as Opened
from ferce.evaluation.heat_scores import areas, random_map
from ferce.evaluation.pictures import Scored
from ferce.evaluation.plan import Table
from ferce.explanation import heatmaps
from ferce.explanation.heatmaps import checks

FACE = spot(0, 16, 32)
RED = COMPOUNDS[0]


def right_map():
    heat_map = np.zeros((SIDE, SIDE), np.float32)
    heat_map[16:32, 32:48] = 1
    return heat_map


def test_deletion_and_insertion_rank_a_right_map_over_a_random_and_a_wrong_one():
    wrong = 1 - right_map()
    noise = random_map(SIDE, np.random.default_rng(0))
    good, random, bad = areas(spots(), FACE, [right_map(), noise, wrong], RED)
    assert good.deletion < random.deletion < bad.deletion
    assert good.insertion > random.insertion > bad.insertion


def test_the_pointing_game_asks_for_the_regions_of_the_label():
    """Happily surprised shows in the brows (AU1, 2) and the mouth (AU12, 25), a quarter each."""
    rows = np.arange(8)[:, None].repeat(8, 1)
    regions = {name: rows // 2 == k for k, name in enumerate(("brows", "eyes", "mouth", "chin"))}
    face = SimpleNamespace(regions=regions)

    def play(values):
        return heat.pointing(face, SimpleNamespace(label="happily surprised", values=values))

    mouth, eyes = regions["mouth"].astype(float), regions["eyes"].astype(float)
    assert play(mouth) == {"pointing": 1, "pointing_chance": 0.5}
    assert play(eyes)["pointing"] == 0
    assert play(mouth + eyes)["pointing"] == 0.5
    eyes[2, 3] += 0.01  # a pixel that rounding made the hottest does not decide
    assert play(1.02 * mouth + 0.9 * eyes)["pointing"] == 1


def test_curves_depend_on_the_order_only():
    graded = right_map() + np.linspace(0, 0.5, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    one, other = areas(spots(), FACE, [graded, graded**3], RED)
    assert one == other


def test_road_prefers_the_right_map():
    view = spots(60.0).view()
    good = checks.road(view, FACE, right_map(), RED)
    bad = checks.road(view, FACE, 1 - right_map(), RED)
    assert good > 0 > bad
    assert good == checks.road(view, FACE, right_map(), RED)  # same seed, same noise


def test_a_map_that_reads_the_weights_changes_with_them():
    classifier: Network = taught(tiny_vit)
    before = classifier.scores([FACE]).classes
    other = checks.randomised(classifier)
    heatmap = heatmaps.explain(classifier, FACE, RED)
    like = checks.likeness(heatmap, FACE, other)
    assert like is None or abs(like) < 0.8
    assert np.array_equal(before, classifier.scores([FACE]).classes), "the original was changed"
    assert other.name.endswith("with random weights")


def test_what_is_not_open_is_said():
    class Closed:
        name = "test:closed"

    opened = Opened.of(Closed(), 0)
    assert "test:closed opens none" in opened.notes[0]
    assert opened.scores(FACE, None, None) == {}


def test_figures_beside_controls(tmp_path):
    table = Table(tmp_path / heat.FILE, heat.COLUMNS)
    for k in range(6):
        row = {"name": str(k), "label": RED, "method": "grad-cam", "empty": 0}
        row |= {"deletion": 0.1, "deletion_random": 0.3 + k / 100}
        row |= {"claims": 2, "supported": 1, "contradicted": 1, "claims_used": 2}
        row |= {"claims_not_used": 0, "claims_cannot_be_told": 0}
        row["faithfulness"] = '[{"auroc": 0.9}, {"other texts": {"auroc": 0.5}}]'
        table.append([row])
    found = heat.figures(table, Opened(), Plan(draws=20))
    assert found["deletion"]["over_control"]["value"] == pytest.approx(-0.225)
    assert "insertion" not in found  # never measured, so not told
    assert found["claims"]["contradicted"]["value"] == 0.5
    assert found["faithfulness"]["auroc"]["control other texts"]["value"] == pytest.approx(0.5)


def test_faces_are_drawn_again_the_same():
    row = dict.fromkeys(
        ("decided", "free_text", "reason", "problem", "neutral", "mass", "calibrated"), ""
    ) | dict.fromkeys((*heat_quality(), "attributes", "subject"), "")
    row |= {f"p:{name}": "0" for name in COMPOUNDS} | {f"o:{name}": "0" for name in OUTCOMES}
    row |= {"outcome_mass": "", "label": RED, "status": "read"}
    scored = Scored.of(row | {"name": str(i)} for i in range(9))
    assert heat.chosen(scored, 4, 0) == heat.chosen(scored, 4, 0)
    assert len(heat.chosen(scored, 4, 0)) == 4
    assert len(heat.chosen(scored, 99, 0)) == 9


def heat_quality():
    return ("size", "sharpness", "yaw", "pitch", "roll")


def test_intervals_of_what_was_never_measured_are_none():
    nothing = metrics.mean(np.array([np.nan]), metrics.Resampling(np.array(["a"]), 10))
    assert nothing == {"value": None, "interval": None, "n": 0}
    assert (
        metrics.share(np.zeros(2), np.zeros(2), metrics.Resampling(np.arange(2), 10))["value"]
        is None
    )
