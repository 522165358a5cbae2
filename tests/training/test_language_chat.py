"""Fine-tuning of chat models: their own losses, pictures drawn anew, runs that plain peft loads."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import tiny_chats
import tiny_models
import torch
from language_fixtures import COLOURS, data_of
from PIL import Image
from safetensors.torch import load_file
from tiny_models import face

from ferce.core.labels import COMPOUNDS
from ferce.models import prompts
from ferce.models.spec import Spec
from ferce.models.vlm import blip2, chat
from ferce.training.language import adapters, export, learner
from ferce.training.language import run as language
from ferce.training.language.conversation import Example, ShownLater
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.rows import IGNORED
from ferce.training.progress import TrainingError
from ferce.training.trainer import Trainer

pytestmark = pytest.mark.filterwarnings(
    # the library's image processor wraps read-only arrays
    "ignore:The given NumPy array is not writable:UserWarning",
)
FAMILIES = ("llava", "qwen", "internvl", "idefics3", "fastvlm")
EXAMPLES = [
    Example(0, "label", prompts.CLASSIFY, "happily surprised"),
    Example(1, "vqa", "Is the mouth open?", "yes, the lips are parted."),
    Example(2, "explanation", prompts.HOUSE, "The brows are raised and drawn together."),
]


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    root = tmp_path_factory.mktemp("chats")
    return {name: getattr(tiny_chats, f"build_{name}")(root / name) for name in FAMILIES}


@pytest.fixture(scope="module", params=FAMILIES)
def tuned(request, bases):
    return learner.learner_of(learner.load(bases[request.param], "cpu", {}), 40)


@pytest.fixture
def plan(bases, tmp_path):
    return LanguagePlan(
        base=str(bases["qwen"]),
        detect="no",
        cache=str(tmp_path / "aligned"),
        epochs=1,
        max_steps=3,
        batch=4,
        augment="flip",
        lr=3e-3,
        rank=4,
        rouge_faces=0,
        device="cpu",
    )


def run(plan, folder, **more):
    return language.tune(plan, folder, data=data_of(8, 4), **more)


def batch_of(tuned, examples):
    rows = [tuned.tokeniser.row(example) for example in examples]
    pictures = tuned.pictures([face(example.number).crop for example in examples])
    return tuned.tokeniser.batch(rows, "cpu") | pictures


def test_the_loss_is_the_library_s(tuned):
    """Rows of different lengths together, beside the library's own loss of each alone."""
    with torch.no_grad():
        together = tuned.loss_model.eval()(batch_of(tuned, EXAMPLES))
        alone = [float(tuned.network(**batch_of(tuned, [one])).loss) for one in EXAMPLES]
    assert together.tolist() == pytest.approx(alone, abs=2e-5)


def test_training_reads_what_scoring_reads(tuned):
    row = tuned.tokeniser.row(EXAMPLES[0])
    asked = tuned.question(prompts.CLASSIFY)
    read = tuned.encode([face(0).crop], [asked])["input_ids"][0].tolist()
    assert list(row.ids[: len(read)]) == read
    said = [label for label in row.labels if label != IGNORED]
    assert tuned.processor.tokenizer.decode(said[:-1]).strip() == "happily surprised"
    assert set(row.labels[: len(read)]) == {IGNORED}


def test_scopes_are_parts_of_the_network(tuned):
    scopes = adapters.scopes_of(tuned.network)
    names = {name for name, _ in tuned.network.named_modules()}
    found = {
        part: {name for name in names if re.fullmatch(scopes.get(part, "none"), name)}
        for part in ("language", "projection", "vision")
    }
    assert all("language" in name or "text_model" in name for name in found["language"])
    assert all("vis" in name for name in found["vision"])
    assert all(re.search("merger|projector|connector", name) for name in found["projection"])
    assert found["language"]
    assert found["projection"]
    assert "qformer" not in scopes
    with pytest.raises(TrainingError, match="Unknown scope 'qformer'; known: language, projection"):
        adapters.attach(tuned.network, LanguagePlan(scope="qformer"))
    assert not any("lm_head" in name for part in found.values() for name in part)


def test_faces_of_another_size_are_refused(tuned):
    with pytest.raises(TrainingError, match=r"one of 60 px and one of 40 px\. Give --detect"):
        tuned.pictures([face(0).crop, face(1, 60).crop])


@pytest.mark.parametrize("family", ["qwen", "idefics3"])
def test_a_run_leaves_an_adapter(plan, bases, tmp_path, family):
    out = tmp_path / "run"
    made = run(replace(plan, base=str(bases[family]), scope="language,projection"), out)
    assert made["kind"] == "chat"
    assert json.loads((out / "ferce.json").read_text())["kind"] == "chat"  # for publishing
    assert not made["remembered"]
    assert made["trainable"]["vision"] == 0
    assert min(made["trainable"]["language"], made["trainable"]["projection"]) > 0
    loaded = chat.load(Spec("chat", str(bases[family]), None, str(out)), "cpu")
    before = chat.load(Spec("chat", str(bases[family])), "cpu")
    crops = [face(0).crop]
    change = loaded.log_likelihoods(crops, COMPOUNDS) - before.log_likelihoods(crops, COMPOUNDS)
    assert np.abs(change).max() > 1e-4


@pytest.mark.slow
def test_every_epoch_draws_anew_in_workers_as_without(plan, tmp_path):
    """The pictures of three epochs differ; two processes make the very same run."""
    short = replace(plan, max_steps=0, epochs=2, augment="full", label=1.0, explanation=0.0)
    one = run(short, tmp_path / "a")
    two = run(replace(short, workers=2), tmp_path / "b")
    weights = [load_file(tmp_path / name / "adapter_model.safetensors") for name in ("a", "b")]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert [row["loss"] for row in one["history"]] == [row["loss"] for row in two["history"]]


class KilledError(Exception):
    pass


@pytest.mark.slow
def test_a_killed_run_with_everything_goes_on_exactly(plan, tmp_path, monkeypatch):
    chosen = replace(
        plan, max_steps=0, epochs=2, save_every=1, dropout=0.1, sampler="weighted",
        loss="logit-adjusted", workers=1, checkpointing=True,
    )  # fmt: skip
    run(chosen, tmp_path / "whole")
    note = Trainer._note

    def die(self, losses):
        note(self, losses)
        if self.at.step == 5:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_note", die)
        with pytest.raises(KilledError):
            run(chosen, tmp_path / "broken")
    run(chosen, tmp_path / "broken", resume=True)
    one, two = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("whole", "broken"))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_what_is_shown_is_drawn_when_asked_for(tmp_path):
    from language_fixtures import coloured, items_of

    from ferce.training.language.conversation import Gallery

    items = items_of([coloured(i, None) for i in range(3)], tmp_path)
    gallery = Gallery(items, 4, "flip", 5)
    shown = ShownLater(gallery)
    shown.draw([1, 6], 0)
    assert set(shown._known) == {1, 6}
    assert [shown[n] for n in range(len(shown))] == [gallery.picture(n)[1] for n in range(12)]


@pytest.mark.parametrize("flags", [{"dora": True}, {"rslora": True}])
def test_dora_and_rslora_are_peft_s(plan, bases, tmp_path, flags):
    out = tmp_path / "run"
    run(replace(plan, **flags), out)
    config = (out / "adapter_config.json").read_text()
    assert f'"use_{next(iter(flags))}": true' in config
    stored = load_file(out / "adapter_model.safetensors")
    assert any("magnitude" in key for key in stored) == ("dora" in flags)
    loaded = chat.load(Spec("chat", str(bases["qwen"]), None, str(out)), "cpu")
    assert np.isfinite(loaded.log_likelihoods([face(0).crop], COMPOUNDS)).all()


@pytest.mark.parametrize("family", ["qwen", "opt"])
def test_merged_it_scores_as_base_and_adapter(plan, bases, tmp_path, family):
    base = bases.get(family) or tiny_models.build_blip2(tmp_path / "opt", "opt")
    kind = blip2 if family == "opt" else chat
    chosen = replace(plan, base=str(base), feature_cache=str(tmp_path / "features"))
    run(chosen, tmp_path / "run")
    spec = export.merge(tmp_path / "run", tmp_path / "whole")
    name = spec.split(":")[0]
    assert spec == f"{name}:{tmp_path / 'whole'}"
    crops = [face(0).crop, face(1).crop]
    whole = kind.load(Spec(name, str(tmp_path / "whole")), "cpu")
    parts = kind.load(Spec(name, str(base), None, str(tmp_path / "run")), "cpu")
    known = parts.log_likelihoods(crops, COMPOUNDS)
    assert whole.log_likelihoods(crops, COMPOUNDS) == pytest.approx(known, abs=1e-4)
    assert whole.calibration == parts.calibration
    with pytest.raises(TrainingError, match="is there already"):
        export.merge(tmp_path / "run", tmp_path / "whole")
    with pytest.raises(TrainingError, match="holds no finished run"):
        export.merge(tmp_path / "nothing", tmp_path / "more")


# peft 0.21 reads a name that transformers 5.23 deprecates.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_loaded_plainly_it_stops_where_its_base_does(plan, bases, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

    out, base = tmp_path / "run", str(bases["llava"])
    eager = replace(plan, base=base, epochs=12, max_steps=0, batch=8, explanation=0.0, vqa=0.0,
                    lr=5e-3, rank=8, dropout=0.0)  # fmt: skip
    language.tune(eager, out, data=data_of(64, 8))
    network = AutoModelForImageTextToText.from_pretrained(base)
    end = network.generation_config.eos_token_id
    assert GenerationConfig.from_pretrained(out).eos_token_id == end
    processor = AutoProcessor.from_pretrained(out)
    inputs = processor.apply_chat_template(
        chat._turn(prompts.CLASSIFY, Image.new("RGB", (40, 40), COLOURS[0])),
        add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
    )  # fmt: skip
    said = PeftModel.from_pretrained(network, out).eval().generate(**inputs, max_new_tokens=30)[0]
    assert said[-1] == end
    answer = said[inputs["input_ids"].shape[1] :]
    assert processor.decode(answer, skip_special_tokens=True).strip() in COMPOUNDS
