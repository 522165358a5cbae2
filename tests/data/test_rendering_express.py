import numpy as np
import pytest
from rendering_fixtures import tiny_kit

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.data.rendering.express import (
    SHAPES,
    Activation,
    clashes,
    sample_label,
    sample_random,
    shape_weights,
)
from ferce.facs.prototypes import PROTOTYPES, UNITS


@pytest.mark.parametrize("label", [*COMPOUNDS, *BASICS])
def test_a_label_is_acted_with_all_its_core_units(label):
    for seed in range(20):
        acts = sample_label(label, np.random.default_rng(seed), (0.5, 1.0))
        units = [a.unit for a in acts]
        core = set(PROTOTYPES[label].core)
        assert core <= set(units)
        assert len(units) == len(set(units))
        assert all(a.intensity >= 0.4 for a in acts if a.unit in core)
        extra = [u for u in units if u not in core]
        assert not any(clashes(u, [v for v in units if v != u]) for u in extra)


def test_variants_come_at_their_frequency():
    drawn = [
        {a.unit for a in sample_label("happily surprised", np.random.default_rng(i), (0.5, 1))}
        for i in range(1500)
    ]
    share = np.mean([26 in units for units in drawn])
    assert share == pytest.approx(0.67, abs=0.04)


def test_random_sets_have_no_clash_and_some_single_sides():
    sets = [sample_random(np.random.default_rng(i)) for i in range(300)]
    for acts in sets:
        assert 1 <= len(acts) <= 5
        units = [a.unit for a in acts]
        assert not any(clashes(u, [v for v in units if v != u]) for u in units)
    alone = [a for acts in sets for a in acts if min(a.left, a.right) == 0]
    assert 0.05 < len(alone) / sum(map(len, sets)) < 0.3
    assert all(UNITS[a.unit].sided for a in alone)


def test_a_left_unit_moves_left_shapes_only():
    kit = tiny_kit()
    weights = shape_weights(kit, [Activation(12, 0.8, 0.0)])
    assert weights["mouthSmile_L"] > 0.5
    assert weights["mouthSmile_R"] == 0
    moved = np.abs(kit.offset(weights)).max(1)
    assert moved[kit.vertices[:, 0] > 0].max() > 0.5
    assert moved[kit.vertices[:, 0] < 0].max() == 0


def test_raised_upper_lip_takes_the_lower_along_unless_lips_part():
    kit = tiny_kit()
    shut = shape_weights(kit, [Activation(10, 0.9, 0.9)])
    parted = shape_weights(kit, [Activation(10, 0.9, 0.9), Activation(25, 0.5, 0.5)])
    assert shut["mouthShrugLower"] > 0.5
    assert "mouthShrugLower" not in parted


def test_every_rendered_unit_is_in_the_table():
    assert set(SHAPES) <= set(UNITS)


@pytest.mark.parametrize(("unit", "left"), [(3, 0.5), (12, 1.2), (12, -0.1)])
def test_impossible_activations_are_refused(unit, left):
    with pytest.raises(ValueError, match=r"known|expected"):
        Activation(unit, left, 0.5)
