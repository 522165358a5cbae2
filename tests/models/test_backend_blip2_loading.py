"""How BLIP-2 is loaded: precision, adapters, old and broken checkpoints, and never a pickle."""

import json
import shutil

import numpy as np
import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from tiny_models import face

from ferce.core.labels import COMPOUNDS
from ferce.explanation.heatmaps import cam
from ferce.models import load_classifier, load_voice
from ferce.models.hub import CheckpointError, fingerprint
from ferce.models.spec import Spec
from ferce.models.vlm import blip2, loading

FACES = [face(seed) for seed in range(3)]
CROPS = [one.crop for one in FACES]
LANGUAGES = ["opt", "t5"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("blip2")
    return {name: tiny_models.build_blip2(root / name, name) for name in LANGUAGES}


@pytest.fixture(scope="module")
def models(folders):
    return {name: blip2.load(Spec("blip2", str(path)), "cpu") for name, path in folders.items()}


@pytest.fixture(scope="module")
def adapter(folders, tmp_path_factory):
    where = tmp_path_factory.mktemp("adapter")
    return tiny_models.build_adapter(where, folders["opt"], "owner/base")


@pytest.mark.parametrize(("load", "kind"), [("8bit", "Linear8bitLt"), ("4bit", "Linear4bit")])
def test_quantised_models_hold_quantised_layers_and_work(folders, load, kind):
    model = blip2.load(Spec("blip2", str(folders["opt"]), options={"load": load}), "cpu")
    kinds = [type(module).__name__ for module in model.network.modules()]
    assert kinds.count(kind) > 20
    found, again = model.scores(FACES).classes, model.scores(FACES).classes
    assert np.array_equal(found, again)
    assert np.abs(found[0] - found[1]).max() > 1e-3
    view = model.view()
    maps = cam.compute(view, view.inputs(FACES), cam.target(view, "sadly angry"), "hires-cam")
    assert maps.shape == (3, 4, 4)
    assert maps.any()


def test_8bit_stays_close_to_full_precision(folders, models):
    model = blip2.load(Spec("blip2", str(folders["opt"]), options={"load": "8bit"}), "cpu")
    exact = models["opt"].log_likelihoods(CROPS, COMPOUNDS)
    error = np.abs(model.log_likelihoods(CROPS, COMPOUNDS) - exact).mean()
    assert error < 0.5 * exact.std()


def test_bf16(folders, models):
    model = blip2.load(Spec("blip2", str(folders["opt"]), options={"load": "bf16"}), "cpu")
    assert model.network.language_projection.weight.dtype == torch.bfloat16
    exact = models["opt"].log_likelihoods(CROPS, COMPOUNDS)
    assert np.abs(model.log_likelihoods(CROPS, COMPOUNDS) - exact).mean() < 0.2 * exact.std()


def test_unknown_options_are_refused(folders):
    with pytest.raises(ValueError, match=r"Unknown option 'laod'\. Known options: load"):
        blip2.load(Spec("blip2", str(folders["opt"]), options={"laod": "8bit"}), "cpu")
    with pytest.raises(ValueError, match="load must be one of"):
        blip2.load(Spec("blip2", str(folders["opt"]), options={"load": "int8"}), "cpu")


# Adapters.


def with_adapter(folders, adapter, **options):
    spec = Spec("blip2", str(folders["opt"]), None, str(adapter), {"base": "any", **options})
    return blip2.load(spec, "cpu")


def test_an_adapter_changes_the_output_and_unloading_restores_it(folders, adapter, models):
    plain = models["opt"].scores(FACES).classes
    adapted = with_adapter(folders, adapter)
    assert np.abs(adapted.scores(FACES).classes - plain).max() > 1e-3
    assert (
        np.abs(
            adapted.log_likelihoods(CROPS, COMPOUNDS) - adapted.whole_passes(CROPS, COMPOUNDS)
        ).max()
        < 1e-4
    )
    adapted.unload_adapter()
    assert np.abs(adapted.scores(FACES).classes - plain).max() < 1e-6
    assert not any("lora" in name for name, _ in adapted.network.named_modules())


WIDE = {
    "biases": {"bias": "all"},
    "biases of its layers": {"bias": "lora_only"},
    "projection": {"modules_to_save": ["language_projection"]},
    "whole embeddings": {"modules_to_save": ["embed_tokens", "lm_head"]},
    "some words": {"trainable_token_indices": [5, 6]},
    "embeddings": {"save": True},
    "more words": {"save": True, "words": 3},
    "dora": {"use_dora": True},
}


@pytest.mark.parametrize("name", WIDE)
def test_an_adapter_of_more_than_layers_loads_as_plain_peft_does(folders, models, tmp_path, name):
    from peft import PeftModel
    from transformers import Blip2ForConditionalGeneration

    folder = tiny_models.build_wide_adapter(tmp_path / "wide", folders["opt"], **WIDE[name])
    network = Blip2ForConditionalGeneration.from_pretrained(folders["opt"])
    words = network.get_input_embeddings().num_embeddings
    if "words" in WIDE[name]:
        network.resize_token_embeddings(words + WIDE[name]["words"])
    ours = with_adapter(folders, folder)
    inputs = ours.encode(CROPS[:1], [ours.question("Is the mouth open?")])
    with tiny_models.peft_wraps(), torch.no_grad():
        wrapped = PeftModel.from_pretrained(network, folder).eval()
        plain, found = wrapped(**inputs).logits, ours.network(**inputs).logits
        unchanged = models["opt"].network(**inputs).logits
    assert torch.allclose(found, plain, atol=1e-4)
    assert (found[..., :words] - unchanged).abs().max() > 1e-2
    ours.unload_adapter()
    own, base = ours.network.state_dict(), models["opt"].network.state_dict()
    assert own.keys() == base.keys()
    assert all(torch.equal(own[key], base[key]) for key in base)
    assert not any(p.requires_grad for p in ours.network.parameters())
    with torch.no_grad():
        assert torch.equal(ours.network(**inputs).logits, unchanged)


def test_an_adapter_of_other_sizes_is_refused(folders, tmp_path):
    folder = tiny_models.build_wide_adapter(tmp_path / "wide", folders["opt"])
    weights = load_file(folder / "adapter_model.safetensors")
    save_file({k: v[:2] for k, v in weights.items()}, folder / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match="does not fit the network: size mismatch") as error:
        with_adapter(folders, folder)
    assert "\n" not in str(error.value)


def test_an_adapter_works_on_8bit_weights(folders, adapter):
    quantised = blip2.load(Spec("blip2", str(folders["opt"]), options={"load": "8bit"}), "cpu")
    adapted = with_adapter(folders, adapter, load="8bit")
    kinds = {type(module).__name__ for module in adapted.network.modules()}
    assert "Linear8bitLt" in kinds
    assert np.abs(adapted.scores(FACES).classes - quantised.scores(FACES).classes).max() > 1e-3


def test_an_adapter_of_another_base_is_refused(folders, adapter):
    spec = Spec("blip2", str(folders["opt"]), None, str(adapter))
    with pytest.raises(CheckpointError, match=r"belongs to the base owner/base.*\?base=any"):
        blip2.load(spec, "cpu")


def test_a_fingerprint_ties_an_adapter_to_its_weights(folders, adapter, tmp_path):

    copy = shutil.copytree(adapter, tmp_path / "tied")
    (copy / "ferce.json").write_text(json.dumps({"base_fingerprint": fingerprint(folders["opt"])}))
    assert (
        len(blip2.load(Spec("blip2", str(folders["opt"]), None, str(copy)), "cpu").scores(FACES))
        == 3
    )
    with pytest.raises(CheckpointError, match="belongs to the base"):
        blip2.load(Spec("blip2", str(folders["t5"]), None, str(copy)), "cpu")


def test_an_adapter_that_fits_only_in_part_is_refused(folders, adapter, tmp_path):

    copy = shutil.copytree(adapter, tmp_path / "part")
    weights = load_file(copy / "adapter_model.safetensors")
    weights.pop(next(iter(weights)))
    save_file(weights, copy / "adapter_model.safetensors")
    with (
        pytest.raises(CheckpointError, match="does not fit"),
        pytest.warns(UserWarning, match="missing"),
    ):
        with_adapter(folders, copy)


def test_a_checkpoint_that_lacks_weights_is_refused(folders, tmp_path):

    copy = shutil.copytree(folders["opt"], tmp_path / "part")
    weights = load_file(copy / "model.safetensors")
    gone = next(key for key in weights if "qformer" in key)
    weights.pop(gone)
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="lacks 1 weights of Blip2ForConditionalGeneration"):
        blip2.load(Spec("blip2", str(copy)), "cpu")


def test_an_old_repository_without_placeholder_settings_still_sees(folders, models, tmp_path):

    copy = shutil.copytree(folders["opt"], tmp_path / "old")
    tiny_models.rewrite_json(copy / "processor_config.json", num_query_tokens=None)
    tiny_models.rewrite_json(copy / "config.json", image_token_index=None)
    model = blip2.load(Spec("blip2", str(copy)), "cpu")
    assert np.allclose(model.scores(FACES).classes, models["opt"].scores(FACES).classes)


def test_a_processor_of_another_model_is_refused(folders, tmp_path):

    copy = shutil.copytree(folders["opt"], tmp_path / "mixed")
    tiny_models.rewrite_json(copy / "config.json", image_token_index=3)
    with pytest.raises(CheckpointError, match="are of different models"):
        blip2.load(Spec("blip2", str(copy)), "cpu")


def test_loading_touches_no_pickle(folders, adapter, monkeypatch):
    tiny_models.forbid_pickle(monkeypatch)
    assert len(with_adapter(folders, adapter).scores(FACES)) == 3


def test_one_spec_loads_classifier_and_voice(folders, adapter):

    spec = f"blip2:{folders['opt']}+{adapter}?load=8bit&base=any"
    classifier, voice = load_classifier(spec, "cpu"), load_voice(spec, "cpu")
    assert classifier.name == voice.name == spec
    assert classifier.scores(FACES).classes.shape == (3, 14)


def test_the_adapter_names_the_revision_of_its_base(adapter, monkeypatch):
    asked = []

    def resolve(where, revision=None):
        asked.append((where, revision))
        return adapter

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "resolve", resolve)
    monkeypatch.setattr(loading, "_load_network", stop)
    tiny_models.rewrite_json(adapter / "adapter_config.json", revision="v2")
    for base in ("owner/base", "owner/other"):
        spec = Spec("blip2", base, "main", "owner/adapter", {"base": "any"})
        with pytest.raises(KeyboardInterrupt):
            loading.load_checkpoint(None, spec, "cpu")
    tiny_models.rewrite_json(adapter / "adapter_config.json", revision=None)
    assert asked == [
        ("owner/adapter", "main"), ("owner/base", "v2"),
        ("owner/adapter", "main"), ("owner/other", None),
    ]  # fmt: skip
