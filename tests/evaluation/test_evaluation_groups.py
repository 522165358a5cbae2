"""Figures of groups of people, from a table of a few faces."""

import json

import pytest
from evaluation_fixtures import row

from ferce.evaluation import slices
from ferce.evaluation.result import grouped


def of(name, sex, age, shown, seen, decided=""):
    told = row(name, [[12, None]] if shown else [], seen, "happy" if shown else "neutral")
    return told | {"decided": decided, "attributes": json.dumps({"sex": sex, "age": age})}


def people():
    rows = []
    for i in range(10):
        rows.append(of(f"f{i}", "female", "25", True, [[12, 0.9]]))
        rows.append(of(f"m{i}", "male", "61", i < 5, [[12, 0.9], [4, 0.8]], "neutral"))
        rows.append(of(f"n{i}", "female", "25", False, [[12, 0.0]], "neutral" if i < 7 else "sad"))
    return [*rows, of("one", "other", "17", True, [])]


def test_each_group_has_its_own_figures():
    told = slices.by_people(people())
    assert told["sex"]["female"] == {
        "faces": 20,
        "unit_f1": 1.0,
        "neutral_recall": pytest.approx(0.7),
        "brow_alarms": 0.0,
    }
    assert told["sex"]["male"]["unit_f1"] == pytest.approx(2 * 5 / 15)
    assert told["sex"]["male"]["brow_alarms"] == 1.0
    assert "other" not in told["sex"]  # one face tells nothing
    assert list(told["age"]) == ["20 to 29", "60 and above"]


def test_where_no_group_is_told_there_is_none():
    rows = [one | {"attributes": "{}"} for one in people()]
    assert slices.by_people(rows) == {}
    assert slices.by_people([]) == {}


def test_groups_stand_in_the_table():
    told = list(grouped(slices.by_people(people())))
    assert "| sex male, 10 faces: F1 of action units | 0.667 |  |  |" in told
    assert len(told) == 12
