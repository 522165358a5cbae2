"""Runs of fine-tuning on tiny BLIP-2s: one loss with and without the cache, across kills."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from language_fixtures import COLOURS, data_of
from patience import PROGRAM
from safetensors.torch import load_file
from tiny_models import face

from ferce.core.labels import COMPOUNDS
from ferce.evaluation.metrics_file import Measurements
from ferce.models import prompts
from ferce.models.calibration import softmax
from ferce.models.spec import Spec
from ferce.models.vlm import blip2
from ferce.training import checkpoint
from ferce.training.language import adapters, bench, features, throughput
from ferce.training.language import run as language
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.task import LanguageTask
from ferce.training.language.validation import shuffled
from ferce.training.optimiser import adamw
from ferce.training.progress import TrainingError
from ferce.training.trainer import Trainer

pytestmark = [
    pytest.mark.filterwarnings(w)
    for w in (
        # the library's image processor wraps read-only arrays
        "ignore:The given NumPy array is not writable:UserWarning",
        # bitsandbytes' quantised layers on a CPU
        "ignore:MatMul8bitLt:UserWarning",
    )
]
ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "train/finetune_blip2.py")


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    return {name: tiny_models.build_blip2(root / name, name) for name in ("opt", "t5")}


@pytest.fixture
def plan(bases, tmp_path):
    return LanguagePlan(
        base=str(bases["opt"]),
        data="coloured",
        detect="no",
        cache=str(tmp_path / "aligned"),
        feature_cache=str(tmp_path / "features"),
        epochs=1,
        batch=8,
        views=2,
        augment="flip",
        lr=3e-3,
        rank=4,
        rouge_faces=0,
        device="cpu",
    )


def run(plan, folder, data=None, **more):
    return language.tune(plan, folder, data=data or data_of(), **more)


def losses_of(plan, folder, monkeypatch, report=lambda _: None):
    """Loss of each step."""
    seen = []
    note = Trainer._note

    def noted(self, losses):
        seen.append(losses["loss"])
        note(self, losses)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_note", noted)
        run(plan, folder, report=report)
    return np.array(seen)


# What is left behind.


# peft 0.21 reads a name that transformers 5.23 deprecates.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_plain_peft_loads_the_adapter(plan, bases, tmp_path):
    from peft import PeftModel
    from transformers import AutoProcessor, Blip2ForConditionalGeneration

    out = tmp_path / "run"
    told = run(replace(plan, base_id="owner/base", rouge_faces=2, max_steps=4), out)
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "owner/base"
    assert None not in config.values()  # which an older peft might not know
    ours = json.loads((out / "ferce.json").read_text())
    assert ours["base"] == "owner/base"
    assert {"base_fingerprint", "base_revision", "data"} <= set(ours)
    names = {path.name for path in out.iterdir()}
    assert {
        "adapter_model.safetensors",
        "processor_config.json",
        "metrics.json",
        "run.json",
    } <= names
    assert not [p for p in out.rglob("*") if p.suffix in (".bin", ".pt", ".pkl", ".pth")]
    assert str(bases["opt"]) not in "".join(p.read_text() for p in out.glob("*config.json"))
    assert told == json.loads((out / "metrics.json").read_text())
    assert {"val", "val_loss", "val_rouge_l"} <= set(told["val"])
    card = Measurements.load(out, "val")  # complains of whatever a card would miss
    assert card.faces == card.confusion.sum() == 12
    assert card.figures["macro_f1"].value == pytest.approx(told["val"]["val"])
    assert card.figures["rouge_l"].value == told["val"]["val_rouge_l"]

    plain = Blip2ForConditionalGeneration.from_pretrained(bases["opt"])
    inputs = AutoProcessor.from_pretrained(out)(
        images=face(0).crop, text="Question: Why? Answer:", return_tensors="pt"
    )
    with torch.no_grad():
        before = plain(**inputs).logits
        after = PeftModel.from_pretrained(plain, out).eval()(**inputs).logits
    assert (before - after).abs().max() > 1e-4
    ours = blip2.load(Spec("blip2", str(bases["opt"]), None, str(out)), "cpu")  # by fingerprint
    with torch.no_grad():
        assert torch.allclose(ours.network(**inputs).logits, after, atol=1e-5)
    kept = json.loads((out / "ferce.json").read_text())["calibration"]
    scores = ours.scores([face(0)])
    assert scores.calibrated
    assert scores.mass == kept["mass"]
    raw = ours.log_likelihoods([face(0).crop], COMPOUNDS) / kept["temperature"]
    assert scores.classes == pytest.approx(softmax(raw))


def test_base_id_must_not_be_a_path(plan, bases, tmp_path):
    with pytest.raises(TrainingError, match="base_id must be a Hub id"):
        run(replace(plan, base_id=str(bases["opt"])), tmp_path / "run")


# The cache.


@pytest.mark.parametrize("scope", ["language", "language,projection"])
def test_the_same_losses_without_the_cache(plan, tmp_path, monkeypatch, scope):
    told = replace(plan, epochs=2, scope=scope)
    with_cache = losses_of(told, tmp_path / "a", monkeypatch)
    without = losses_of(replace(told, cached=False), tmp_path / "b", monkeypatch)
    assert len(with_cache) > 10
    assert np.abs(with_cache - without).max() < 1e-4


def test_features_are_kept_by_content(plan, tmp_path, monkeypatch):
    made = []
    write = features._write
    monkeypatch.setattr(features, "_write", lambda *a: (made.append(a[0]), write(*a)))
    short = replace(plan, max_steps=1)
    run(short, tmp_path / "a")
    assert len(made) == 2  # train and val
    run(short, tmp_path / "b")
    assert len(made) == 2
    run(replace(short, seed=1), tmp_path / "c")
    assert len(made) == 3  # other variations; the val faces are as they are
    run(replace(short, features="bf16"), tmp_path / "d")
    assert len(made) == 5
    assert features.Features([made[-1]]).rows([0, 1]).dtype == torch.bfloat16


def test_nothing_is_remembered_where_sight_learns(plan, tmp_path):
    told = run(replace(plan, scope="language,qformer,projection", max_steps=2), tmp_path / "run")
    assert not told["remembered"]
    assert told["trainable"]["qformer"] > 0
    assert told["trainable"]["projection"] > 0
    assert told["trainable"]["vision"] == 0
    weights = load_file(tmp_path / "run/adapter_model.safetensors")
    moved = [
        k for k, v in weights.items() if "lora_B" in k and "qformer" in k and v.abs().sum() > 0
    ]
    assert moved


# Going on.


class KilledError(Exception):
    pass


@pytest.mark.parametrize("dropout", [0.1])
def test_a_killed_run_goes_on_exactly(plan, tmp_path, monkeypatch, dropout):
    told = replace(plan, epochs=2, save_every=2, dropout=dropout)
    run(told, tmp_path / "whole")
    note = Trainer._note

    def die(self, losses):
        note(self, losses)
        if self.at.step == 13:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_note", die)
        with pytest.raises(KilledError):
            run(told, tmp_path / "broken")
    with pytest.raises(TrainingError, match="resume it, or give another"):
        run(told, tmp_path / "broken")
    with pytest.raises(TrainingError, match="rank = 4, not 8"):
        run(replace(told, rank=8), tmp_path / "broken", resume=True)
    run(told, tmp_path / "broken", resume=True)
    one, two = (
        load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "broken")
    )
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_two_stages(plan, tmp_path):
    told = run(replace(plan, basic_epochs=1, max_steps=3, explanation=0.0), tmp_path / "run")
    assert len(told["history"]) == 1
    assert (tmp_path / "run/checkpoint/basic-best.safetensors").is_file()


def test_nan_stops_the_run_and_names_the_batch(plan, tmp_path, monkeypatch):
    loss = LanguageTask.loss
    monkeypatch.setattr(
        LanguageTask, "loss", lambda self, rows: {"loss": loss(self, rows)["loss"] * math.nan}
    )
    with pytest.raises(TrainingError, match=r"became nan at step 0.*train/\d+ \((label|vqa|expl)"):
        run(plan, tmp_path / "run")


# It learns, and only what is there.


@pytest.fixture
def eager(plan):
    return replace(plan, epochs=6, explanation=0.0, vqa=0.0, views=1, rank=8, lr=5e-3,
                   scope="language,projection", dropout=0.0)  # fmt: skip


def test_true_labels_are_learned_and_shuffled_ones_score_at_chance(eager, tmp_path):
    data = data_of(64, 32)
    learned = run(eager, tmp_path / "true", data)["val"]["val"]
    shuffled_plan = replace(eager, shuffle_labels=True)
    chance = [
        run(replace(shuffled_plan, seed=seed), tmp_path / f"{seed}", data)["history"][-1]["val"]
        for seed in range(2)
    ]
    assert learned > 0.8
    assert np.mean(chance) < 0.3  # a fair guess among the 8 labels that occur gives 1 / 8


# peft 0.21 reads a name that transformers 5.23 deprecates.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("language", ["opt", "t5"])
def test_loaded_plainly_it_stops_where_its_base_does(eager, bases, tmp_path, language):
    from peft import PeftModel
    from transformers import AutoProcessor, Blip2ForConditionalGeneration, GenerationConfig

    out = tmp_path / "run"
    run(replace(eager, base=str(bases[language]), epochs=36), out, data_of(64, 32))
    base = Blip2ForConditionalGeneration.from_pretrained(bases[language])
    end = base.language_model.generation_config.eos_token_id
    assert GenerationConfig.from_pretrained(out).eos_token_id == end
    processor = AutoProcessor.from_pretrained(out)
    asked = prompts.formatted(language, prompts.CLASSIFY)
    crop = np.full((40, 40, 3), COLOURS[0], np.uint8)
    inputs = processor(images=crop, text=asked, return_tensors="pt")
    said = PeftModel.from_pretrained(base, out).eval().generate(**inputs, max_new_tokens=30)[0]
    assert said[-1] == end
    text = processor.decode(said, skip_special_tokens=True).removeprefix(asked).strip()
    # So small a T5 may leave out a label's first letters; it stops where a label does.
    assert text.split()[-1] in {name.split()[-1] for name in COMPOUNDS}


def test_shuffling_keeps_how_often_each_label_occurs():
    truths = [*COMPOUNDS, None] * 3
    made = shuffled(truths, 0)
    assert sorted(map(str, made)) == sorted(map(str, truths))
    assert [t is None for t in made] == [t is None for t in truths]
    assert made != truths


# Bases, precisions, scopes.


@pytest.mark.parametrize("load_in", ["8bit", "4bit", "bf16"])
def test_other_precisions(plan, tmp_path, load_in):
    told = run(replace(plan, load_in=load_in, max_steps=2), tmp_path / "run")
    assert math.isfinite(told["val"]["val_loss"])
    weights = load_file(tmp_path / "run/adapter_model.safetensors")
    assert any(v.abs().sum() > 0 for k, v in weights.items() if "lora_B" in k)


def test_flan_t5(plan, bases, tmp_path):
    told = run(replace(plan, base=str(bases["t5"]), max_steps=6, rouge_faces=1), tmp_path / "run")
    assert told["history"][0]["loss"] > 0
    loaded = blip2.load(Spec("blip2", str(bases["t5"]), None, str(tmp_path / "run")), "cpu")
    assert loaded.scores([face(0)]).classes.shape == (1, 14)


# bitsandbytes says that there is nothing to page out to on a CPU
@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU:UserWarning")
@pytest.mark.parametrize("name", ["paged8bit", "adamw8bit"])
def test_8bit_optimisers(plan, tmp_path, name):
    told = run(replace(plan, optimiser=name, max_steps=2), tmp_path / "run")
    assert math.isfinite(told["val"]["val_loss"])


def test_8bit_states_go_into_a_checkpoint_and_back():
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(64, 128)) for _ in range(2)]
    with torch.no_grad():
        weights[1].copy_(weights[0])
    made = [adamw([w], "adamw8bit", 1e-2, 0.0) for w in weights]
    grads = [torch.randn(64, 128) for _ in range(4)]

    def step(which, grad):
        weights[which].grad = grad.clone()
        made[which].step()

    for grad in grads[:2]:
        step(0, grad)
    tensors, rest = checkpoint.optimiser_state(made[0])
    with torch.no_grad():
        weights[1].copy_(weights[0])
    checkpoint.restore_optimiser(made[1], tensors, json.loads(json.dumps(rest)))
    for grad in grads[2:]:
        step(0, grad)
        step(1, grad)
    assert torch.equal(weights[0], weights[1])


@pytest.mark.parametrize("load_in", ["fp32", "8bit"])
def test_checkpointing_gives_the_same_losses(plan, tmp_path, monkeypatch, load_in):
    short = replace(plan, load_in=load_in, max_steps=4, dropout=0.0)
    plain = losses_of(short, tmp_path / "a", monkeypatch)
    saving = losses_of(replace(short, checkpointing=True), tmp_path / "b", monkeypatch)
    assert np.abs(plain - saving).max() < 1e-5


def test_scopes_name_the_layers_they_say(bases):
    network = blip2.load(Spec("blip2", str(bases["opt"])), "cpu").network
    for scope, part in (
        ("language", "language_model"), ("qformer", "qformer"), ("vision", "vision_model"),
        ("projection", "language_projection"),
    ):  # fmt: skip
        wanted = adapters.pattern(scope)
        found = [n for n, _ in network.named_modules() if re.fullmatch(wanted, n)]
        assert found
        assert all(name.startswith(part) for name in found)
    assert adapters.pattern("re:.*q_proj") == ".*q_proj"
    with pytest.raises(TrainingError, match=r"Unknown scope 'lm'; known: language, qformer"):
        adapters.pattern("lm")
    with pytest.raises(TrainingError, match="no regular expression"):
        adapters.pattern("re:(")
    with pytest.raises(TrainingError, match="No layer of the network fits"):
        adapters.attach(network, LanguagePlan(scope="re:nothing"))
    for block in ("self_attn", "layers", "final_layer_norm"):
        with pytest.raises(TrainingError, match=rf"fits '.*{block}'?.*LoRA adapts single") as error:
            adapters.attach(network, LanguagePlan(scope=rf"re:.*decoder.*\.{block}"))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("load_in", "int8", "load_in must be one of"),
        ("track", "mlflow", "Unknown tracker 'mlflow'"),
        ("rank", 0, "rank must be at least 1"),
        ("dropout", 1.0, "dropout must lie in 0..1"),
        ("template", "units", "would be copied"),
    ],
)
def test_plans_refuse_what_cannot_be(field, value, said):
    with pytest.raises(TrainingError, match=said):
        LanguagePlan(**{field: value})


def test_a_tracker_that_is_not_installed(plan, tmp_path, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match="pip install wandb"):
        run(replace(plan, track="wandb"), tmp_path / "run")


WANDB = """
config, points = {}, []
class Run:
    def log(self, values, step):
        points.append((step, values))
    def finish(self):
        points.append("finished")
def init(project):
    config["project"] = project
    return Run()
"""


def test_a_tracker_gets_every_step_and_epoch(plan, tmp_path, monkeypatch):
    from accelerate import tracking

    place = tmp_path / "packages"
    place.mkdir()
    (place / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr(tracking, "_available_trackers", [tracking.LoggerType.WANDB])
    told = run(replace(plan, track="wandb", max_steps=3), tmp_path / "run")
    wandb = sys.modules.pop("wandb")
    assert wandb.config["project"] == "ferce-blip2"
    assert wandb.config["rank"] == plan.rank
    *points, last = wandb.points
    assert last == "finished"
    assert [(step, set(values)) for step, values in points[:3]] == [
        (n, {"loss"}) for n in (1, 2, 3)
    ]
    step, values = points[3]
    assert step == 3
    assert values["val_loss"] == told["history"][0]["val_loss"]
    assert values["epoch_loss"] == pytest.approx(np.mean([v["loss"] for _, v in points[:3]]))
    assert "loss" not in values


def test_cutting_a_step_changes_nothing(plan, tmp_path, monkeypatch):
    short = replace(plan, max_steps=5, dropout=0.0)
    whole = losses_of(replace(short, tokens=10_000), tmp_path / "a", monkeypatch)
    parts = losses_of(replace(short, tokens=60), tmp_path / "b", monkeypatch)
    assert np.abs(whole - parts).max() < 1e-4


def test_batches_that_accumulate_are_one_step(plan, tmp_path, monkeypatch):
    """Passes of one text each, whose losses are those of a batch of eight."""
    short = replace(plan, max_steps=5, dropout=0.0, tokens=10_000)
    sizes = []
    loss = LanguageTask.loss

    def sized(self, batch):
        sizes.append(len(batch.rows))
        return loss(self, batch)

    monkeypatch.setattr(LanguageTask, "loss", sized)
    whole = losses_of(replace(short, batch=8), tmp_path / "a", monkeypatch)
    assert max(sizes) == 8
    sizes.clear()
    said = []
    parts = losses_of(
        replace(short, batch=1, accumulate=8), tmp_path / "b", monkeypatch, said.append
    )
    assert set(sizes) == {1}
    assert np.abs(whole - parts).max() < 1e-4
    assert re.search(
        r"reads [78] texts; forward passes of each process: [78], processes: 1; .* 1 texts x \d+",
        " ".join(said),
    )


def test_throughput_compares_both_sides(plan, bases, monkeypatch):
    """In this process and for three steps: that it runs, not how fast."""
    told = replace(plan, data="demo", detect="auto", batch=4, views=1)
    speeds = {side: bench.measure(side, told, 3) for side in throughput.SIDES}
    made = throughput.Comparison(**speeds)
    assert speeds["plain"].padding > speeds["ours"].padding
    assert min(speeds["ours"].samples, speeds["plain"].samples, made.faster) > 0
    assert made.apart < throughput.SAME
    assert "| ratio |" in made.table()


# The script.


@pytest.mark.parametrize("how", [[SCRIPT], ["-m", "train.finetune_blip2"]])
def test_the_script_is_found_either_way(how):
    done = subprocess.run(
        [sys.executable, *how, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "accelerate launch train/finetune_blip2.py" in done.stdout
    assert "--load-in" in done.stdout


def launch(command, tmp_path):
    options = ["--max-steps", "2", "--views", "1", "--rouge-faces", "1",
               "--feature-cache", str(tmp_path / "features"), "--cache", str(tmp_path / "aligned"),
               "--output", str(tmp_path / "run"), "--device", "cpu"]  # fmt: skip
    done = subprocess.run(
        [*command, SCRIPT, *options], capture_output=True, text=True, cwd=ROOT, timeout=PROGRAM
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run/adapter_model.safetensors").is_file()
    return json.loads((tmp_path / "run/metrics.json").read_text())


@pytest.mark.slow
def test_accelerate_launch_with_no_base(tmp_path):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1",
               "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
               "--cpu"]  # fmt: skip
    assert launch(command, tmp_path)["machine"]["processes"] == 1


@pytest.mark.slow
def test_two_processes(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    assert launch(command, tmp_path)["machine"]["processes"] == 2
