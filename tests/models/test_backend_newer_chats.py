"""Chat models of newer layouts: Gemma 3, Qwen3.5, LFM2-VL, and SmolVLM with what it needs."""

import logging
import re

import numpy as np
import pytest
import tiny_newer_chats
import torch
from tiny_models import face
from transformers.models.smolvlm import processing_smolvlm

from ferce.core.labels import COMPOUNDS
from ferce.explanation.heatmaps import cam
from ferce.models.hub import CheckpointError
from ferce.models.spec import Spec
from ferce.models.vlm import chat

FACES = [face(seed, 50) for seed in range(3)]
CROPS = [one.crop for one in FACES]
FAMILIES = {
    "gemma3": tiny_newer_chats.build_gemma3,
    "qwen3_5": tiny_newer_chats.build_qwen3_5,
    "lfm2": tiny_newer_chats.build_lfm2,
    "smolvlm": tiny_newer_chats.build_smolvlm,
}
SIDES = {"gemma3": 4, "qwen3_5": 12, "lfm2": 6, "smolvlm": 4}  # of the map


@pytest.fixture(scope="module")
def numbers():
    """Let SmolVLM's processor find a num2words, whether or not it is installed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(processing_smolvlm, "num2words", lambda number, **_: str(number))
        yield


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request):
    return request.param


@pytest.fixture(scope="module")
def folder(numbers, family, tmp_path_factory):
    return FAMILIES[family](tmp_path_factory.mktemp("chat") / family)


@pytest.fixture(scope="module")
def model(folder):
    return chat.load(Spec("chat", str(folder)), "cpu")


def test_the_shared_prefix_scores_as_plain_passes_do(model):
    found = model.log_likelihoods(CROPS, COMPOUNDS)
    assert np.abs(found - model.whole_passes(CROPS, COMPOUNDS)).max() < 1e-4
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_it_is_taught_the_end_at_which_it_stops(model):
    assert model.end == model.network.generation_config.eos_token_id


def test_maps_lie_on_the_visual_encoder(model, family):
    view = model.view()
    pixels = view.inputs(FACES)
    scores = view.module(pixels).detach().numpy()
    assert np.abs(scores - model.log_likelihoods(CROPS, COMPOUNDS)).max() < 1e-4
    maps = cam.compute(view, pixels, cam.target(view, "sadly angry"), "hires-cam")
    assert maps.shape == (3, SIDES[family], SIDES[family])
    assert maps.any((1, 2)).all()


def test_the_map_is_in_raster_order(model, family):
    """A change of one patch of the picture changes the first layer's input in that place alone."""
    view, seen = model.view(), []
    first = model.network.get_submodule(re.sub(r"\.\d+\.", ".0.", view.layer_name))
    pixels = view.inputs(FACES[:1])
    patch = pixels.shape[-1] // SIDES[family]
    with first.register_forward_hook(lambda _m, _i, made: seen.append(made)), torch.no_grad():
        view.module(pixels)
        pixels = pixels.clone()
        pixels[:, :, patch : 2 * patch, 3 * patch : 4 * patch] += 1  # row 1, column 3
        view.module(pixels)
    change = view.reshape(seen[1] - seen[0]).abs().sum(1)[0]
    assert divmod(int(change.argmax()), change.shape[1]) == (1, 3)
    assert int((change > 1e-5).sum()) == 1


def test_8bit_works_and_keeps_quiet(folder, family, caplog):
    with caplog.at_level(logging.WARNING):
        quantised = chat.load(Spec("chat", str(folder), options={"load": "8bit"}), "cpu")
        scores = quantised.scores(FACES).classes
        view = quantised.view()
        goal = cam.target(view, "sadly angry")
        maps = cam.compute(view, view.inputs(FACES), goal, "hires-cam")
    assert "Linear8bitLt" in {type(module).__name__ for module in quantised.network.modules()}
    assert np.abs(np.diff(scores, axis=0)).max() > 1e-3
    assert maps.any()
    assert not [r for r in caplog.records if r.name.startswith("bitsandbytes")]


def test_smolvlm_without_its_package_is_one_sentence(numbers, tmp_path, monkeypatch):
    folder = tiny_newer_chats.build_smolvlm(tmp_path / "smol")
    monkeypatch.setattr(processing_smolvlm, "num2words", None)
    with pytest.raises(CheckpointError, match=r"another package.*pip install num2words") as e:
        chat.load(Spec("chat", str(folder)), "cpu")
    assert "\n" not in str(e.value)
