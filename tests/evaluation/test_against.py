"""Two checkouts side by side; both sides are this one here."""

import pytest

from ferce.evaluation import against
from ferce.evaluation.against import Cost, Pair, Plan

SMILE = against.ROOT / "ferce/data/demo/examples/smile.jpg"


def test_every_step_is_measured_on_both_sides():
    plan = Plan(SMILE, [SMILE], "prototypes", "measured", repeats=1, turns=1)
    pairs = against.compare(plan, against.ROOT)
    assert [pair.step for pair in pairs] == [
        "one photo, cold process",
        "prediction only, warm",
        "whole reading, warm",
        "1 photos, whole readings",
    ]
    assert all(cost.wall > 0 < cost.processor for p in pairs for cost in (p.here, p.there))


def test_ratios_are_here_over_there():
    row = Pair("a step", Cost(1.0, 3.0), Cost(4.0, 4.0)).row()
    assert row == "| a step | 1.000 | 4.000 | 0.250 | 3.000 | 4.000 | 0.750 |"
    assert len(against.table([]).splitlines()) == 2


def test_a_checkout_that_is_none_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} could not be measured"):
        against.compare(Plan(SMILE, (), "prototypes", "measured", 1, 1), tmp_path)
