"""What may leave a run folder, and what is refused, without any Hub."""

import json
import pickle
import shutil

import numpy as np
import pytest
import tiny_models
import torch
from hypothesis import given
from hypothesis import strategies as st
from publish_fixtures import ROOT, adapter_run, measurements, timm_run, write
from safetensors.numpy import save_file

from ferce.models import prompts
from ferce.publishing import staging
from ferce.publishing.publish import Publication, PublishError, prepare
from ferce.publishing.upload import require_same
from ferce.training import checkpoint

OPEN = Publication("owner/model", licence="apache-2.0")
BASE = "owner/base"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return timm_run(tmp_path_factory.mktemp("timm"))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_models.build_blip2(tmp_path_factory.mktemp("base"), "opt")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, base):
    return adapter_run(tmp_path_factory.mktemp("adapter"), base, BASE)


@pytest.fixture
def copied(network, tmp_path):
    return shutil.copytree(network, tmp_path / "run")


def test_a_network_is_published_with_its_card(network, tmp_path):
    before = {p.name: p.read_bytes() for p in network.iterdir()}
    card = prepare(network, tmp_path / "out", OPEN)
    found = {p.name for p in (tmp_path / "out").iterdir()}
    assert found == {"README.md", "config.json", "model.safetensors", "ferce.json", "metrics.json",
                     "confusion.png"}  # fmt: skip
    assert (tmp_path / "out" / "README.md").read_text() == card
    assert {p.name: p.read_bytes() for p in network.iterdir()} == before


def test_all_parts_of_what_was_measured_go_along(tmp_path):
    packaged = ROOT / "ferce" / "weights" / "classifier"
    card = prepare(packaged, tmp_path / "out", OPEN)
    assert {p.name for p in packaged.iterdir()} - {"notes.md"} <= {
        p.name for p in (tmp_path / "out").iterdir()
    }
    assert 'load_classifier("embedded:owner/model")' in card
    assert "with 21 outputs" in card
    require_same(packaged, tmp_path / "out")
    (tmp_path / "out" / "fusion.safetensors").unlink()  # then it is the network alone
    with pytest.raises(PublishError, match="is not the run that was measured"):
        require_same(packaged, tmp_path / "out")
    (tmp_path / "out" / "model.safetensors").unlink()
    with pytest.raises(PublishError, match=r"does not load again: .* must hold its weights"):
        require_same(packaged, tmp_path / "out")


def test_a_network_says_the_licence_of_its_weights(copied, tmp_path):
    write(copied / "metrics.json", measurements("rafce:/x"))
    prepare(copied, tmp_path / "out", Publication("owner/model"))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["pretrained_cfg"]["license"] == "research-only"


def test_the_card_names_the_settings_of_the_training(adapter, tmp_path):
    run = shutil.copytree(adapter, tmp_path / "run")
    settings = {"precision": "8bit", "rank": 8, "alpha": 16.0, "learning_rate": 2e-4, "epochs": 3}
    tiny_models.rewrite_json(run / "ferce.json", training=settings)
    card = prepare(run, tmp_path / "out", OPEN)
    assert "precision 8bit, LoRA rank 8, LoRA alpha 16, peak learning rate 0.0002, 3 epochs" in card


def test_only_named_files_go_along(copied, tmp_path):
    """Neither logs nor what a run keeps to go on: checkpoints, the best epoch, a mini base."""
    from accelerate import Accelerator

    weights = {"weight": torch.zeros(2)}
    state = {"plan": {"data": "rafce:/home/somebody/RAF-CE"}}
    held = checkpoint.Snapshot({"model": weights, "optimiser": weights}, state)
    checkpoint.save(copied / checkpoint.FOLDER, "compound-3-1", held, Accelerator(cpu=True))
    checkpoint.write_tensors(copied / checkpoint.FOLDER / "compound-best.safetensors", weights)
    for name in ("base", "trackers"):
        shutil.copytree(copied / checkpoint.FOLDER, copied / name)
    (copied / "checkpoint" / "optimiser.pt").write_bytes(b"stays at home")
    (copied / "samples.jsonl").write_text("")
    (copied / "log.txt").write_text("epoch 1")
    before = {path.name for path in copied.iterdir() if path.suffix in (".json", ".safetensors")}
    prepare(copied, tmp_path / "out", OPEN)
    found = sorted((tmp_path / "out").rglob("*"))
    assert {path.name for path in found} == before | {"README.md", "confusion.png"}
    assert all(path.is_file() for path in found)
    assert not any(b"somebody" in path.read_bytes() for path in found)


def test_an_adapter_trained_from_a_local_copy_names_the_hub(adapter, base, tmp_path):
    run = shutil.copytree(adapter, tmp_path / "run")
    tiny_models.rewrite_json(run / "adapter_config.json", base_model_name_or_path=str(base))
    tiny_models.rewrite_json(run / "ferce.json", base=str(base))
    with pytest.raises(PublishError, match=r"as its base; say its Hub id with --base owner/name"):
        prepare(run, tmp_path / "refused", OPEN)
    named = Publication("owner/model", licence="mit", base=BASE)
    card = prepare(run, tmp_path / "out", named)
    assert "base_model: owner/base" in card
    texts = [p.read_text() for p in (tmp_path / "out").glob("*.json")]
    assert not any(str(tmp_path) in text or str(base) in text for text in texts)
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == BASE
    assert str(base) in (run / "adapter_config.json").read_text()  # the run stays as it is


def test_an_adapter_asks_as_its_language_model_wants(adapter, tmp_path):
    card = prepare(adapter, tmp_path / "out", OPEN)
    assert f'question = "{prompts.formatted("opt", prompts.CLASSIFY)}"' in card
    assert 'load_classifier("blip2:owner/base+owner/model")' in card


def evil(run):
    with (run / "pytorch_model.bin").open("wb") as file:
        pickle.dump({}, file)


def disguised(run):
    (run / "units.safetensors").write_bytes(pickle.dumps({"a": 1}))


def leaking(run):
    line = {"prompt": "This is a happily surprised face.", "truth": "happily surprised",
            "predicted": "sadly angry"}  # fmt: skip
    (run / "samples.jsonl").write_text(json.dumps(line) + "\n")


def leaking_within(run):
    line = {"prompt": "Why is happiness and surprise here?", "label": "happily surprised"}
    tiny_models.rewrite_json(run / "metrics.json", samples=[{"faces": [line]}])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (evil, r"pytorch_model\.bin is a pickle or code"),
        (disguised, r"units\.safetensors is no sound safetensors file"),
        (lambda run: save_file({}, run / "units.safetensors"), "holds no tensor"),
        (lambda run: (run / "model.py").write_text("x"), "is a pickle or code"),
        (lambda run: (run / "loss.png").write_bytes(b"\x80\x04."), r"loss\.png is not a PNG"),
        (leaking, "samples.jsonl records a leak.*'happily surprised'"),
        (leaking_within, r"metrics\.json records a leak.*'happiness and surprise'"),
        (lambda run: (run / "metrics.json").unlink(), "A card needs measurements"),
        (lambda run: (run / "metrics.json").write_text("{"), "must hold JSON"),
        (lambda run: (run / "config.json").write_text("{}"), "holds neither"),
        (lambda run: (run / "model.safetensors").unlink(), "holds neither"),
        (lambda run: tiny_models.rewrite_json(run / "config.json", x="/home/me/x"),
         r"config\.json holds the path /home/me/x of this machine"),
        (lambda run: tiny_models.rewrite_json(run / "config.json", x="hf_" + "a" * 30),
         "looks like a token"),
        (lambda run: tiny_models.rewrite_json(run / "metrics.json", origin="folder basic"),
         "went on from folder basic; name the data sets"),
        (lambda run: tiny_models.rewrite_json(run / "metrics.json", plan={"shuffle_labels": True}),
         "shuffled labels as a control"),
        (lambda run: write(run / "metrics.json", measurements("rafce:/x")),
         "RAF-CE are for research only"),
        (lambda run: write(run / "metrics.json", measurements(plan={"basic_data": "rafdb:/x"})),
         "RAF-DB compound are for research only"),
    ],
)  # fmt: skip
def test_what_must_not_leave_is_refused(copied, tmp_path, spoil, reason):
    spoil(copied)
    with pytest.raises(PublishError, match=reason):
        prepare(copied, tmp_path / "out", OPEN)


def test_files_over_the_limits_are_refused(network, tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "FOLDER_LIMIT", 20_000)
    with pytest.raises(PublishError, match=r"The folder has .* bytes; the limit is 20,000"):
        prepare(network, tmp_path / "a", OPEN)
    monkeypatch.setattr(staging, "FILE_LIMIT", 10_000)
    with pytest.raises(PublishError, match=r"\.\w+ has .* bytes; the limit is 10,000"):
        prepare(network, tmp_path / "b", OPEN)


def test_predictions_of_the_true_label_are_no_leak(copied, tmp_path):
    line = {"prompt": "Why happily surprised?", "truth": "happily surprised",
            "predicted": "happily surprised"}  # fmt: skip
    (copied / "samples.jsonl").write_text(json.dumps(line) + "\n\n")
    prepare(copied, tmp_path / "out", OPEN)


def test_folders_of_others_are_not_written_into(network, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(PublishError, match="is not empty"):
        prepare(network, tmp_path, OPEN)
    with pytest.raises(PublishError, match="There is no run folder"):
        prepare(tmp_path / "nothing", tmp_path / "out", OPEN)


@pytest.mark.parametrize("name", ["model", "./a/b", "/a/b", "a/b/c", "~/a", "C:\\a\\b"])
def test_names_are_those_of_the_hub(name):
    with pytest.raises(PublishError, match="A name on the Hub is owner/name"):
        Publication(name)
    with pytest.raises(PublishError, match="A name on the Hub is owner/name"):
        Publication("owner/model", base=name)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("rafce:/home/me/RAF-CE?images=original", "rafce:RAF-CE?images=original"),
        ("/tmp/cache/", "cache"),
        ("~/faces", "faces"),
        (
            "evaluate.py --data=rafce:/a/RAF-CE --model blip2:/b/base+/c/run/ --output runs/x",
            "evaluate.py --data=rafce:RAF-CE --model blip2:base+run --output runs/x",
        ),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("g/kWh and / or", "g/kWh and / or"),
        ("C:\\data\\faces", "faces"),
        ("demo", "demo"),
        ("x86_64 CPU, 2 threads", "x86_64 CPU, 2 threads"),
        ("hub:owner/faces@v1", "hub:owner/faces@v1"),
        ("Salesforce/blip2-opt-2.7b", "Salesforce/blip2-opt-2.7b"),
    ],
)
def test_paths_are_cut_to_their_last_part(text, kept):
    assert staging.portable({"lost_names": [text], "b": {"samples": [text]}}) == {"b": {}}
    assert staging.portable({"a": [text, 1, None]}) == {"a": [kept, 1, None]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab/~:?.", max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(JSON)
def test_what_is_portable_stays_as_it_is(value):
    once = staging.portable(value)
    assert staging.portable(once) == once


def test_weights_are_read_without_pickle(copied, tmp_path, monkeypatch):
    tiny_models.forbid_pickle(monkeypatch)
    save_file({"w": np.zeros(3)}, copied / "units.safetensors")
    prepare(copied, tmp_path / "out", OPEN)
    assert (tmp_path / "out" / "units.safetensors").is_file()
