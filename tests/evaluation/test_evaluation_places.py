"""Where heat maps lie: on the face, and with the brows where these alone move."""

import json

import numpy as np
from app_fixtures import face

from ferce.core.parts import Heatmap
from ferce.evaluation import heat_scores
from ferce.explanation.heatmaps import region_shares


def heat(one, region):
    values = one.regions[region].astype(np.float32)
    return Heatmap(values, "happily sad", "occlusion", None, region_shares(values, one.regions))


def test_maps_that_follow_what_moves_pass():
    one = face(10)
    told = [(one, heat(one, "brows"), "brows"), (one, heat(one, "mouth"), "mouth")]
    measured = heat_scores.measure_places(told)
    assert measured == heat_scores.Places(2, 0, 1.0, 1.0, 0.0)
    assert measured.passed
    swapped = heat_scores.measure_places(
        [(f, h, {"brows": "mouth"}.get(m, "brows")) for f, h, m in told]
    )
    assert not swapped.passed
    assert "100% where only the mouth does" in swapped.words


def test_what_moves_alone_is_named():
    assert heat_scores.moving([1, 4, 25]) == "brows"
    assert heat_scores.moving([12]) == "mouth"
    assert heat_scores.moving([4, 12]) is None
    assert heat_scores.moving([]) is None


def test_figures_are_kept_beside_others(tmp_path):
    (tmp_path / "metrics.json").write_text('{"test": {}}')
    row = heat_scores.Places(40, 0, 0.53, 0.04, 0.01)
    heat_scores.record_places(tmp_path, {"grad-cam": row})
    assert heat_scores.load_places(tmp_path) == {"grad-cam": row}
    assert json.loads((tmp_path / "metrics.json").read_text())["test"] == {}
