"""Averaging the weights of trainings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ferce.training.progress import TrainingError
from train import average

ROOT = Path(__file__).resolve().parents[2]


def run_folder(folder: Path, value: float, counted: int, width: int = 2) -> Path:
    folder.mkdir()
    network = {"conv.weight": torch.full((width, 3), value), "bn.seen": torch.tensor(counted)}
    save_file(network, folder / "model.safetensors")
    save_file({"weight": torch.full((4,), -value)}, folder / "units.safetensors")
    for name in ("config.json", "ferce.json"):
        (folder / name).write_text(json.dumps({"of": folder.name}))
    (folder / "metrics.json").write_text(json.dumps({"plan": {"lr": value}, "val": {}}))
    return folder


@pytest.fixture
def runs(tmp_path):
    return [run_folder(tmp_path / "first", 1.0, 7), run_folder(tmp_path / "second", 2.0, 9)]


def test_every_weight_is_the_weighted_mean_and_counters_are_the_last(runs, tmp_path):
    output = average.average(runs, [0.25, 0.75], tmp_path / "mean")
    network = load_file(output / "model.safetensors")
    assert torch.equal(network["conv.weight"], torch.full((2, 3), 1.75))
    assert network["bn.seen"] == 9
    assert torch.equal(load_file(output / "units.safetensors")["weight"], torch.full((4,), -1.75))


def test_it_is_a_run_folder_that_tells_what_it_is_made_of(runs, tmp_path):
    output = average.average(runs, [0.25, 0.75], tmp_path / "mean")
    told = json.loads((output / "metrics.json").read_text())
    assert told["averaged"] == {"shares": [0.25, 0.75], "plans": [{"lr": 1.0}, {"lr": 2.0}]}
    assert json.loads((output / "config.json").read_text()) == {"of": "second"}


@pytest.mark.parametrize("shares", [[0.5], [0.5, 0.6], [-0.5, 1.5]])
def test_shares_that_do_not_fit_are_refused(runs, tmp_path, shares):
    with pytest.raises(TrainingError, match=r"[Ss]hares"):
        average.average(runs, shares, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_another_network_is_refused_by_name(runs, tmp_path):
    other = run_folder(tmp_path / "wide", 1.0, 1, width=5)
    with pytest.raises(TrainingError, match=r"wide.* holds another network"):
        average.average([runs[0], other], [0.5, 0.5], tmp_path / "mean")


def test_a_run_without_a_unit_head_is_refused(runs, tmp_path):
    (runs[0] / "units.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"first has no units\.safetensors"):
        average.average(runs, [0.5, 0.5], tmp_path / "mean")


def test_the_script_says_where_it_wrote_and_what_is_wrong(runs, tmp_path):
    def call(*shares):
        told = [*map(str, runs), "--shares", *shares, "--output", str(tmp_path / "mean")]
        command = [sys.executable, str(ROOT / "train" / "average.py"), *told]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert call("0.4", "0.6").stdout == f"written to {tmp_path / 'mean'}\n"
    refused = call("0.4", "0.4")
    assert refused.returncode == 1
    assert refused.stderr == "average: Shares must be positive and sum to 1; got [0.4, 0.4].\n"
