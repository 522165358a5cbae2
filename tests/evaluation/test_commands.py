"""The subcommands of `train/benchmark.py`: named once, described, and run."""

import json
import sys

import pytest

from train import benchmark as script

NAMES = [command.name for command in script.COMMANDS]


def test_every_subcommand_is_described_where_help_is_asked_for():
    assert len(NAMES) == len(set(NAMES))
    words = script.parser().format_help()
    for name in NAMES:
        assert f"\n{name} " in words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["start", "--against", "nowhere"], "no checkout of ferce"),
        (["clip", "--against", "nowhere"], "no checkout of ferce"),
        (["speed", "--against", "nowhere"], "no checkout of ferce"),
    ],
)
def test_what_is_no_checkout_is_refused(words, message, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *words])
    with pytest.raises(SystemExit, match=message):
        script.main()


def test_a_clip_is_measured_and_its_figures_written(tmp_path, monkeypatch, capsys):
    target = tmp_path / "clip.json"
    words = ["clip", "--seconds", "0.4", "--repeats", "1", "--json", str(target)]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *words])
    script.main()
    assert "whole document" in capsys.readouterr().out
    (costs,) = json.loads(target.read_text()).values()
    assert len(costs) == 3
