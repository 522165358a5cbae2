"""Whole runs of tiny networks: they learn, resume exactly, export, and leave the test split be."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from accelerate.state import AcceleratorState
from patience import PROGRAM, until
from safetensors.torch import load_file
from tiny_clips import build_clip
from training_fixtures import plan, rendered, tile, tiles

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.core.types import Face
from ferce.data import DataSet
from ferce.data.record import Sample
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import ACTIVE
from ferce.images import load as load_image
from ferce.models import clip, timm_net
from ferce.models.calibration import softmax
from ferce.models.spec import parse
from ferce.training import checkpoint, examples
from ferce.training.classifier import fewshot, network, run
from ferce.training.classifier.network import open_network
from ferce.training.classifier.task import ClassifierTask
from ferce.training.progress import TrainingError
from ferce.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "train" / "train_classifier.py"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("aligned")


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order, and accelerate's process-wide state as in a new process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    AcceleratorState._reset_state(reset_partial_state=True)


def weights(folder):
    return load_file(folder / "model.safetensors")


def assert_equal(a, b):
    assert set(a) == set(b)
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_overfits_eight_rendered_faces(tmp_path, cache):
    chosen = plan(cache, size=64, epochs=9, batch=8, units=0.5)
    metrics = run.train(chosen, tmp_path, data=rendered(8))
    assert metrics["val"]["faces"] == 8
    assert metrics["val"]["accuracy"] == 1.0
    assert metrics["val"]["macro_f1"] == 1.0
    assert metrics["history"][-1]["loss"] < 0.5


def test_learns_tiles_and_shuffled_labels_score_at_chance(tmp_path, cache):
    chosen = plan(cache, epochs=8)
    learnt = run.train(chosen, tmp_path / "true", data=tiles())
    assert learnt["val"]["accuracy"] > 0.8
    chance = []
    for seed in (1, 2, 3):  # the three faces of a tile share their fate, so one order may be lucky
        order = np.random.default_rng(seed).permutation(14 * 6)
        shuffled = tiles(relabel=lambda key, order=order: COMPOUNDS[order[key] // 6])
        made = run.train(chosen, tmp_path / f"shuffled{seed}", data=shuffled)
        chance.append(made["val"]["accuracy"])
    assert np.mean(chance) < 0.25, chance  # 1/14


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


EVERYTHING = {
    "epochs": 2,
    "mixup": 0.3,
    "cutmix": 0.5,
    "ema": 0.9,
    "drop": 0.3,
    "augment": "full",
    "save_every": 2,
    "sampler": "weighted",
    "loss": "focal",
    "basic_epochs": 1,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    """A run with everything random switched on, never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(1)
    run.train(plan(cache, **EVERYTHING), folder, data=tiles(3, 1))
    AcceleratorState._reset_state(reset_partial_state=True)
    return folder


# Three steps an epoch: in the first stage, between the stages, in the second, before the last.
@pytest.mark.parametrize("stop", [2, 3, 5, 8])
def test_resumes_exactly(tmp_path, cache, monkeypatch, whole, stop):
    step, count = Trainer._step, 0

    def killing(self, *arguments):
        nonlocal count
        if count == stop:
            raise Killed
        count += 1
        return step(self, *arguments)

    chosen = plan(cache, **EVERYTHING)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", killing)
        with pytest.raises(Killed):
            run.train(chosen, tmp_path, data=tiles(3, 1))
    torch.rand(7)  # a new process has other random numbers
    run.train(chosen, tmp_path, resume=True, data=tiles(3, 1))
    assert_equal(weights(whole), weights(tmp_path))
    histories = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in json.loads(text)["history"]]
        for text in ((folder / "metrics.json").read_text() for folder in (whole, tmp_path))
    ]
    assert histories[0] == histories[1]


def test_a_kill_while_saving_leaves_the_last_checkpoint(tmp_path, cache, monkeypatch):
    chosen, data = plan(cache, epochs=2, save_every=2), tiles(3, 1)
    run.train(chosen, tmp_path / "whole", data=data)
    write, count = checkpoint.write_tensors, 0

    def killing(path, tensors):
        nonlocal count
        count += 1
        if count == 4:  # the second file of the second checkpoint
            path.write_bytes(b"half")
            raise Killed
        write(path, tensors)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_tensors", killing)
        with pytest.raises(Killed):
            run.train(chosen, tmp_path / "killed", data=data)
    saved = checkpoint.load(tmp_path / "killed" / "checkpoint")
    assert saved.state["position"]["step"] == 2
    run.train(chosen, tmp_path / "killed", resume=True, data=data)
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_checkpoints_hold_no_pickle(tmp_path, cache):
    run.train(plan(cache, epochs=1), tmp_path, data=tiles(2, 2))
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds == {".safetensors", ".json", ".png", ""}
    assert [p.name for p in tmp_path.rglob("*") if p.is_file() and not p.suffix] == ["latest"]


def test_resume_asks_for_the_same_plan(tmp_path, cache):
    chosen = plan(cache, epochs=1)
    run.train(chosen, tmp_path, data=tiles(2, 2))
    with pytest.raises(TrainingError, match="holds the checkpoint of a run"):
        run.train(chosen, tmp_path, data=tiles(2, 2))
    with pytest.raises(TrainingError, match=r"has lr = 0\.003, not 1\.0"):
        run.train(replace(chosen, lr=1.0), tmp_path, True, tiles(2, 2))


@dataclass(frozen=True)
class Sealed:
    """A picture that must not be opened."""

    def read_bytes(self):
        raise AssertionError("a picture of the test split was opened")


def test_the_test_split_is_not_opened(tmp_path, cache):
    sealed = [Sample(f"t{i}", Sealed(), COMPOUNDS[i], (), f"p{i}", "test") for i in range(14)]
    metrics = run.train(plan(cache, epochs=1), tmp_path, data=tiles(2, 2, more=sealed))
    assert set(metrics["data"]) == {"spec", "fingerprint", "train", "val", "unusable"}
    assert sum(metrics["data"]["train"].values()) == 28


def test_export_reads_the_same_in_timm_and_ferce(tmp_path, cache):
    data = tiles(2, 2)
    chosen = plan(cache, epochs=1, network="test_vit", size=64)
    metrics = run.train(chosen, tmp_path, data=data)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["label_names"] == list(COMPOUNDS)
    assert config["pretrained_cfg"]["input_size"] == [3, 64, 64]
    faces = [Face(crop=load_image(s.image.read_bytes())) for s in data.samples("val")]
    read = timm_net.load(parse(f"timm:{tmp_path}"), "cpu")
    scores = read.scores(faces)
    plain = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    with torch.inference_mode():
        logits = plain(read.preprocessing(faces)).double().numpy()
    calibration = json.loads((tmp_path / "ferce.json").read_text())["calibration"]
    np.testing.assert_allclose(
        scores.classes, softmax(logits, calibration["temperature"]), atol=1e-6
    )
    assert scores.mass == calibration["mass"]
    truth = np.array([COMPOUNDS.index(s.label) for s in data.samples("val")])
    assert (scores.classes.argmax(1) == truth).mean() == metrics["val"]["accuracy"]
    heads = load_file(tmp_path / "units.safetensors")
    assert heads["weight"].shape == (len(UNIT_NUMBERS), plain.head_hidden_size)
    aucs = metrics["val"]["unit_auc"]
    with torch.inference_mode():
        features = plain.forward_head(plain.forward_features(read.preprocessing(faces)), True)
    logits = (features @ heads["weight"].T + heads["bias"]).numpy()
    for row, seen in zip(logits, scores.units, strict=True):
        for number, logit in zip(UNIT_NUMBERS, row, strict=True):
            assert (seen[number].intensity >= ACTIVE) == (logit >= 0)
            expected = max(2 * (aucs[f"AU{number}"] or 0.5) - 1, 0)
            assert seen[number].confidence == pytest.approx(expected)


def test_accumulated_passes_make_the_step_of_one_large_pass(tmp_path, cache):
    chosen = plan(cache, network="test_vit", epochs=1, size=32)
    run.train(replace(chosen, batch=16), tmp_path / "one", data=tiles(4, 2))
    cut = replace(chosen, batch=4, accumulate=4)
    run.train(cut, tmp_path / "four", data=tiles(4, 2))
    one, four = weights(tmp_path / "one"), weights(tmp_path / "four")
    for name in one:
        torch.testing.assert_close(one[name], four[name], atol=2e-4, rtol=1e-3)


def test_nan_stops_the_run_and_names_the_faces(tmp_path, cache, monkeypatch):
    nan = {"loss": torch.tensor(float("nan"))}
    monkeypatch.setattr(ClassifierTask, "loss", lambda self, batch: nan)
    with pytest.raises(TrainingError, match=r"became nan at step 0 .* faces .*train-\d+-\d"):
        run.train(plan(cache), tmp_path, data=tiles(2, 2))


def test_stops_early_on_val_only(tmp_path, cache, monkeypatch):
    scores = iter([0.5, 0.6, 0.6, 0.4, 0.9])
    monkeypatch.setattr("ferce.training.classifier.validation.score", lambda outputs: next(scores))
    metrics = run.train(plan(cache, epochs=9, patience=2), tmp_path, data=tiles(2, 2))
    assert len(metrics["history"]) == 4
    assert metrics["best_epoch"] == 1


def test_frozen_layers_stay_until_they_are_freed(tmp_path, cache):
    chosen = plan(cache, epochs=1, freeze="backbone", seed=5)
    run.train(chosen, tmp_path / "frozen", data=tiles(2, 2))
    run.train(replace(chosen, lr=1e-9), tmp_path / "start", data=tiles(2, 2))
    freed = replace(chosen, epochs=2, unfreeze=1)
    run.train(freed, tmp_path / "freed", data=tiles(2, 2))
    start, frozen = weights(tmp_path / "start"), weights(tmp_path / "frozen")
    changed = [n for n in start if not torch.allclose(start[n], frozen[n], atol=1e-7)]
    assert set(changed) == {"fc.weight", "fc.bias"}
    last = checkpoint.load(tmp_path / "freed" / "checkpoint").tensors["model"]
    assert not torch.allclose(last["network.conv1.0.weight"], start["conv1.0.weight"], atol=1e-7)


def test_starts_from_an_earlier_run(tmp_path, cache):
    run.train(plan(cache, epochs=1), tmp_path, data=tiles(2, 2))
    names = (*COMPOUNDS, "neutral")
    opened = open_network(plan(cache, network=str(tmp_path)), names)
    own, before = opened.net.network.state_dict(), weights(tmp_path)
    for name in before:
        rows = own[name][:14] if name.startswith("fc.") else own[name]
        assert torch.equal(rows, before[name]), name
    assert opened.origin == f"folder {tmp_path.name}"


def test_unknown_networks_are_refused(tmp_path, cache):
    with pytest.raises(TrainingError, match="'resnet0' is neither a network of timm"):
        run.train(plan(cache, network="resnet0"), tmp_path, data=tiles(2, 2))


def test_options_that_save_memory_change_little(tmp_path, cache):
    chosen = plan(cache, epochs=1, network="test_vit")
    run.train(chosen, tmp_path / "plain", data=tiles(2, 2))
    run.train(replace(chosen, checkpointing=True), tmp_path / "less", data=tiles(2, 2))
    AcceleratorState._reset_state(reset_partial_state=True)
    run.train(replace(chosen, precision="bf16"), tmp_path / "half", data=tiles(2, 2))
    plain, less, half = (weights(tmp_path / n) for n in ("plain", "less", "half"))
    assert_equal(plain, less)
    assert all(torch.isfinite(v).all() for v in half.values())


def test_data_without_a_val_split_holds_out_people(tmp_path, cache):
    rows = [replace(s, split=None) for s in tiles(6, 6).samples()]
    found = examples.read("tiles", plan(cache, val_share=0.4), DataSet("t", lambda: iter(rows)))
    assert found.train
    assert found.val
    people = [{item.sample.subject for item in part} for part in (found.train, found.val)]
    assert not people[0] & people[1]


def test_neutral_and_single_emotions_become_outputs(tmp_path, cache):
    more = [
        Sample(f"{split}-{label}", s.image, label, None, f"{split}-{label}", split)
        for split in ("train", "val")
        for label, s in zip((*BASICS, "neutral"), tiles(1, 1).samples("train"), strict=False)
    ]
    metrics = run.train(plan(cache, epochs=1), tmp_path, data=tiles(2, 2, more=more))
    names = json.loads((tmp_path / "config.json").read_text())["label_names"]
    assert names == [*COMPOUNDS, "neutral", *BASICS]
    assert 0 <= metrics["val"]["neutral_auc"] <= 1
    scores = timm_net.load(parse(f"timm:{tmp_path}"), "cpu").scores(
        [Face(crop=np.zeros((32, 32, 3), np.uint8))]
    )
    assert scores.neutral is not None
    assert scores.outcomes.shape == (1, 21)
    assert 0 < scores.outcome_mass <= 1


@pytest.mark.parametrize("kind", ["prototypes", "linear"])
def test_few_shot_heads_on_frozen_features(tmp_path, cache, kind):
    chosen = plan(cache, few_shot=kind, shots=4, seed=1)
    metrics = fewshot.fit(chosen, tmp_path, data=tiles(5, 2))
    assert sum(metrics["data"]["train"].values()) == 14 * 4
    assert metrics["val"]["accuracy"] > 0.6
    read = timm_net.load(parse(f"timm:{tmp_path}"), "cpu")
    faces = [Face(crop=load_image(s.image.read_bytes())) for s in tiles(5, 2).samples("val")]
    truth = np.array([COMPOUNDS.index(s.label) for s in tiles(5, 2).samples("val")])
    assert (read.scores(faces).classes.argmax(1) == truth).mean() == metrics["val"]["accuracy"]


def test_few_shot_cache_on_clip(tmp_path, cache):
    base = build_clip(tmp_path / "base")
    chosen = plan(cache, network=f"clip:{base}", few_shot="cache", shots=2)
    metrics = fewshot.fit(chosen, tmp_path / "head", data=tiles(3, 2))
    read = clip.load(parse(f"clip:{base}+{tmp_path / 'head'}"), "cpu")
    samples = list(tiles(3, 2).samples("val"))
    scores = read.scores([Face(crop=load_image(s.image.read_bytes())) for s in samples])
    truth = np.array([COMPOUNDS.index(s.label) for s in samples])
    assert (scores.classes.argmax(1) == truth).mean() == metrics["val"]["accuracy"]
    with pytest.raises(TrainingError, match="needs a CLIP model"):
        fewshot.fit(plan(cache, few_shot="cache"), tmp_path / "no", data=tiles(3, 2))


def test_the_packaged_weights_are_known_by_their_content(tmp_path, cache, monkeypatch):
    pytest.importorskip(network.LITE_PACKAGE)
    opened = open_network(plan(cache, network="auto", size=64), COMPOUNDS)
    assert opened.origin.startswith("ImageNet")
    monkeypatch.setattr(network, "LITE_SHA256", "0" * 64)
    with pytest.raises(TrainingError, match="is not the file"):
        network.lite_weights(opened.net.network)


def test_prototypes_are_nearest_means():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)), np.arange(40) % 3
    weight, bias = fewshot.prototypes(x, y, 4)
    means = np.stack([x[y == k].mean(0) for k in range(3)])
    nearest = ((x[:, None] - means) ** 2).sum(2).argmin(1)
    assert ((x @ weight.T + bias).argmax(1) == nearest).all()


def write_folder(root):
    """Tiles as label folders under split folders."""
    for split, count in (("train", 4), ("val", 2)):
        for number, label in enumerate(COMPOUNDS):
            place = root / split / label.replace(" ", "_")
            place.mkdir(parents=True)
            for seed in range(count):
                (place / f"{seed}.png").write_bytes(tile(number, seed + 50 * (split == "val")))
    return root


def command(data, output, cache, **changes):
    chosen = plan(cache, data=f"folder:{data}", **changes)
    words = [sys.executable, str(SCRIPT), "--output", str(output)]
    for name, value in vars(chosen).items():
        if isinstance(value, bool):
            continue
        words += [f"--{name.replace('_', '-')}={value}"]
    return words


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def test_the_script_runs_as_a_path_is_killed_and_resumes(tmp_path, cache):
    data = write_folder(tmp_path / "data")
    options = {"epochs": 2, "save_every": 4, "batch": 4, "ema": 0.9, "augment": "full"}
    words = command(data, tmp_path / "killed", cache, **options)
    with subprocess.Popen(words, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        latest = tmp_path / "killed" / "checkpoint" / "latest"
        until(lambda: latest.is_file() or process.poll() is not None, "checkpoint")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert latest.is_file()
    assert not (tmp_path / "killed" / "model.safetensors").is_file()
    chosen = plan(cache, data=f"folder:{data}", **options)
    run.train(chosen, tmp_path / "killed", resume=True)
    run.train(chosen, tmp_path / "whole")
    assert_equal(weights(tmp_path / "killed"), weights(tmp_path / "whole"))


@pytest.mark.slow
def test_two_processes_make_the_run_of_one(tmp_path, cache):
    data = write_folder(tmp_path / "data")
    options = {"epochs": 2, "network": "test_vit", "lr": 1e-3}
    words = command(data, tmp_path / "two", cache, batch=4, **options)[1:]
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
    ]
    subprocess.run(launch + words, cwd=ROOT, env=ENVIRONMENT, check=True, timeout=PROGRAM)
    run.train(plan(cache, data=f"folder:{data}", batch=8, **options), tmp_path / "one")
    two, one = (json.loads((tmp_path / n / "metrics.json").read_text()) for n in ("two", "one"))
    assert two["machine"]["processes"] == 2
    assert two["val"]["faces"] == one["val"]["faces"] == 28
    for a, b in zip(two["history"], one["history"], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
    first, second = weights(tmp_path / "two"), weights(tmp_path / "one")
    for name in first:
        torch.testing.assert_close(first[name], second[name], atol=2e-3, rtol=1e-2)
