"""How a side of the comparison is spoken to in its own process."""

import json
import sys
from dataclasses import asdict, replace

import pytest

from ferce.training.language import throughput
from ferce.training.language.bench import Speed
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.throughput import ANSWER, Comparison

SPEED = Speed(10.0, 5.0, 1e6, 0.5, 3, 0.1, "cpu", [2.0, 1.0], 1.5)
CHILD = f"""
import sys
print("a library says something")
print({ANSWER!r}, flush=True)
taken = []
for line in iter(sys.stdin.readline, "\\n"):
    taken.append(int(line))
    print({ANSWER!r}, flush=True)
assert taken == [1, 1, 1], taken
print({ANSWER!r} + sys.argv[1])
"""


def test_sides_take_their_steps_by_turns(monkeypatch):
    start = throughput._Apart.__init__

    def scripted(self, *given):
        start(self, *given)
        self.command = [sys.executable, "-c", CHILD, json.dumps(asdict(SPEED))]

    monkeypatch.setattr(throughput._Apart, "__init__", scripted)
    made = throughput._by_turns(throughput.SIDES, LanguagePlan(), 3, 3)
    assert made == {"ours": SPEED, "plain": SPEED}


def test_a_side_that_fails_says_why(monkeypatch):
    start = throughput._Apart.__init__

    def broken(self, *given):
        start(self, *given)
        self.command = [sys.executable, "-c", "raise SystemExit('no room')"]

    monkeypatch.setattr(throughput._Apart, "__init__", broken)
    with pytest.raises(RuntimeError, match="'ours' failed: no room"):
        throughput._by_turns(["ours"], LanguagePlan(), 3, 3)


def test_how_far_losses_are_apart():
    other = replace(SPEED, losses=[2.0, 0.8], samples=4.0)
    made = Comparison(SPEED, other)
    assert made.apart == pytest.approx(0.25)
    assert made.faster == 2.5
    assert "within 2.5e-01" in made.table()
