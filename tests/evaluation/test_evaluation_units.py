"""Action units against what was coded: known figures from a table of a few faces."""

import json

import pytest
from evaluation_fixtures import row

from ferce.core.types import UnitEvidence
from ferce.data.record import Blob, Sample, UnitLabel
from ferce.evaluation import result, slices, units
from ferce.facs.action_units import UNIT_NUMBERS


def test_figures_are_those_of_the_table():
    there, absent = [[12, None]], []
    rows = [row(f"a{i}", there, [[12, 0.9]]) for i in range(8)]
    rows += [row(f"b{i}", there, [[12, 0.1]]) for i in range(2)]
    rows += [row(f"c{i}", absent, [[12, 0.5]], "neutral") for i in range(2)]
    rows += [row(f"d{i}", absent, [[12, 0.0], [4, 0.6]], "neutral") for i in range(6)]
    rows += [row("not coded", None, [[12, 0.9]]), row("not asked", [], [[12, 0.9]], asked=[4])]
    rows += [row("lost", there, [], status="lost")]
    told = units.figures(rows, draws=20, seed=0)
    assert list(told["each"]) == ["AU12"]
    assert told["each"]["AU12"]["faces"] == 10
    assert told["each"]["AU12"]["f1"] == pytest.approx(2 * 8 / (10 + 10))
    # 10 shown at .9 x 8 and .1 x 2, against .5 x 2 and 0 x 6
    assert told["each"]["AU12"]["auc"] == pytest.approx((8 * 8 + 2 * 6) / 80)
    assert told["macro_f1"]["value"] == pytest.approx(0.8)
    assert told["false_alarms_on_neutral"]["AU12"] == pytest.approx(2 / 8)
    assert told["false_alarms_on_neutral"]["AU4"] == pytest.approx(6 / 8)
    assert units.figures(rows[:5], draws=5, seed=0) == {}


def test_what_a_model_does_not_measure_is_not_scored():
    people = [[12, None], [9, None]]
    rows = [row(f"a{i}", people, [[12, 0.9]], age=20 + 30 * (i % 2)) for i in range(40)]
    rows += [row(f"b{i}", [], [[12, 0.1]], "neutral", age=20 + 30 * (i % 2)) for i in range(40)]
    told = units.figures(rows, draws=5, seed=0)
    assert told["not_measured"] == ["AU9"]
    assert list(told["each"]) == ["AU12"]
    assert told["macro_f1"]["value"] == 1
    assert told["yes_no"]["each"] == {"smile": 1}  # nothing of the nose, which AU9 would answer
    assert told["false_alarms_on_neutral"] == {"AU12": 0}
    groups = slices.by_people(rows)["age"].values()
    assert all(part["unit_f1"] == 1 for part in groups)
    assert not any("brow_alarms" in part for part in groups)
    text = "\n".join(result._units(told))
    assert "| action units that this model does not measure: AU9 | | | |" in text
    assert "| F1 of action units, mean of 1 | 1.000 |" in text
    blind = units.figures([{**line, "seen": ""} for line in rows], draws=5, seed=0)
    assert blind == {"not_measured": ["AU9", "AU12"]}
    assert list(result._units(blind)) == ["| action units: this model measures none | | | |"]


def test_a_faint_unit_is_absent_and_an_untrusted_one_not_measured():
    coded = row("x", [[12, 0.1], [4, 0.8]], [])
    table = units.Coded.of([coded])
    truth = dict(zip(UNIT_NUMBERS, table.truth[0], strict=True))
    assert (truth[12], truth[4], truth[1]) == (0, 1, 0)
    seen = {4: UnitEvidence(4, 0.75, 0.1), 12: UnitEvidence(12, 0.5, 0.9)}
    assert json.loads(units.measured(seen)) == [[12, 0.5]]
    sample = Sample("x", Blob(b""), units=(UnitLabel(4),), coded=frozenset({12, 4}))
    assert json.loads(units.coded(sample)) == [4, 12]


def test_cues_are_answered_from_the_measured_units():
    rows = [row(f"a{i}", [[12, None]], [[12, 0.9 if i < 6 else 0.0]]) for i in range(8)]
    rows += [row(f"b{i}", [], [[12, 0.1]]) for i in range(8)]
    told = units.yes_no(units.Coded.of(rows))
    assert told["each"] == {"smile": pytest.approx((6 / 8 + 1) / 2)}
    assert told["balanced"] == told["each"]["smile"]
    assert units.yes_no(units.Coded.of(rows[:2])) == {"balanced": None, "each": {}}
