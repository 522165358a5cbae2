"""Visitors by the number: percentiles, what counts as an error, and the default app itself."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from ferce.evaluation import crowd

PHOTO = Path(__file__).parents[2] / "ferce" / "data" / "demo" / "examples" / "smile.jpg"


def test_the_table_says_what_was_met():
    took = {"read": [1.0] * 95 + [3.0] * 5, "ask": [2.0]}
    memory = [500.0, 500.0, 505.0, 900.0, 510.0, 510.0]
    made = crowd.Crowd(2, 10.0, took, {"ask: no": 1}, {0: 50, 1: 51}, memory, (2.0, 4.0))
    told = made.table()
    assert "| read | 100 | 1.00 | 1.10 |" in told
    assert "| ask | 1 | 2.00 | 2.00 |" in told
    assert "101 answers, 10.10 a second, 50 to 51 a client; 1 errors" in told
    assert "500 MB in the first third, 510 MB in the last (+2.0%); load 2.0, then 4.0" in told
    assert told.endswith("error: ask: no (1)")


def test_an_error_anywhere_in_an_answer_counts():
    assert crowd._problem({"photo": "a", "faces": []}) == ""
    assert crowd._problem({"photo": "a", "error": "no"}) == "no"
    assert crowd._problem({"models": [{"faces": []}, {"error": "no"}]}) == "no"
    assert crowd._problem("text") == "no answer but str"


@pytest.mark.slow
def test_a_small_crowd_meets_no_error():
    alone, many = crowd.measure(PHOTO, clients=5, seconds=5.0)
    assert alone.errors == many.errors == {}
    assert json.loads(json.dumps(asdict(many)))["clients"] == 5
    assert min(many.each.values()) >= 1
    assert set(many.took) == set(crowd.ASK)


@pytest.mark.slow
def test_readings_in_a_row_hold_their_memory():
    _, memory = crowd.in_a_row(PHOTO, 200, warm=100)
    assert memory[-1] < 1.05 * memory[0]
