import os
from pathlib import Path

import numpy as np
import pytest
from rendering_fixtures import arrays, tiny_kit, write_checkout

from ferce.data.rendering.kit import _kit, load_kit, save_cache
from ferce.data.rendering.regions import EYE, SKIN, TEETH, paint_regions


def test_checkout_is_read_as_its_own_cache(tmp_path):
    write_checkout(tmp_path / "kit" / "FaceXModel")
    kit = load_kit(tmp_path / "kit")
    again = load_kit(save_cache(tmp_path / "kit", tmp_path / "kit.npz"))
    for one in (kit, again):
        assert one.triangles.tolist() == [[0, 1, 2], [0, 2, 3]]  # a quad, fan-split
        assert one.expression_names == ("jawOpen", "cheekRaiser_L")
        assert one.identity.shape == (2, 4, 3)
        np.testing.assert_allclose(one.offset({"jawOpen": 0.5})[:, 1], -0.25, atol=1e-3)
        head = one.head(np.array([0, 1], np.float32))  # the second identity: 20 % larger
        np.testing.assert_allclose(head, one.vertices * 1.2, atol=1e-3)


@pytest.mark.parametrize("where", ["", "no.npz"])
def test_a_place_without_a_kit_is_refused(tmp_path, where):
    with pytest.raises(FileNotFoundError, match="ICT"):
        load_kit(tmp_path / where)


def test_unknown_shape_names_the_known_ones():
    with pytest.raises(KeyError, match="jawOpen"):
        tiny_kit().offset({"earWiggle": 1})


def test_shape_without_a_side_moves_both():
    kit = tiny_kit()
    both = kit.offset({"mouthSmile": 1.0})
    np.testing.assert_allclose(both, kit.offset({"mouthSmile_L": 1, "mouthSmile_R": 1}), atol=1e-6)
    assert np.abs(both[kit.vertices[:, 0] > 0]).max() > 0.5
    assert np.abs(kit.offset({"mouthSmile_L": 1.0})[kit.vertices[:, 0] < 0]).max() == 0


def test_wrong_shape_says_what_was_expected():
    broken = arrays()
    broken["identity_deltas"] = broken["identity_deltas"][:, :5]
    with pytest.raises(ValueError, match="identity: expected"):
        _kit(broken)


def test_regions_lie_where_the_landmarks_say():
    kit = tiny_kit()
    regions = paint_regions(kit)
    assert (regions.material[kit.part("teeth")] == TEETH).all()
    assert (regions.material[kit.part("sclera")] == EYE).all()
    assert (regions.material[kit.part("face")] == SKIN).all()
    lips = kit.vertices[regions.lips > 0.5]
    assert np.abs(lips[:, 0]).max() < 2.8
    assert np.abs(lips[:, 1] + 3.5).max() < 1.3
    assert kit.vertices[regions.brows > 0.9, 1].min() > 5
    assert regions.tooth.max() == 3, "four separate teeth"


def test_rim_is_the_outer_edge():
    kit = tiny_kit()
    rim = kit.vertices[paint_regions(kit).rim]
    edge = (np.abs(rim[:, 0]) == 8) | (np.abs(rim[:, 1]) >= 10.5)
    assert edge.all()


def test_partner_is_the_mirror_vertex():
    kit = tiny_kit()
    other = kit.vertices[paint_regions(kit).partner[: kit.narrow]]
    np.testing.assert_allclose(other, kit.vertices[: kit.narrow] * (-1, 1, 1), atol=1e-4)


@pytest.mark.skipif("FERCE_ICT_KIT" not in os.environ, reason="set FERCE_ICT_KIT to the real kit")
def test_real_kit_is_complete():
    kit = load_kit(Path(os.environ["FERCE_ICT_KIT"]))
    regions = paint_regions(kit)
    assert kit.vertices.shape == (26719, 3)
    assert regions.tooth.max() >= 27
    assert 100 < len(regions.rim) < 200
