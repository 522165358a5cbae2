"""BLIP-VQA: answers ranked over one encoded question, padding without effect, heat maps."""

import numpy as np
import pytest
import tiny_models
import torch
from predictions import made
from tiny_models import computed, face

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import Classifier, Explainable, Voice
from ferce.explanation.heatmaps import cam
from ferce.models.spec import Spec
from ferce.models.vlm import blip_vqa

FACES = [face(seed) for seed in range(3)]
CROPS = [one.crop for one in FACES]
QUESTIONS = ["Is the mouth open?", "Which facial cues speak for it, brows or eyes?", "Why?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.build_blip_vqa(tmp_path_factory.mktemp("blip_vqa"))


@pytest.fixture(scope="module")
def model(folder):
    return blip_vqa.load(Spec("blip-vqa", str(folder)), "cpu")


def test_it_keeps_the_protocols(model):
    assert isinstance(model, Classifier)
    assert isinstance(model, Explainable)
    assert isinstance(model, Voice)


def test_shared_prefix_equals_the_library_s_loss_and_whole_passes(model):
    prompt = model.question("Which compound expression does this face show?")
    shared = model.log_likelihoods(CROPS, COMPOUNDS)
    assert np.abs(shared - model.whole_passes(CROPS, COMPOUNDS)).max() < 1e-4
    start = model.network.decoder_start_token_id
    for i, label in enumerate(COMPOUNDS[:4]):
        inputs = model.processor(images=CROPS[0], text=prompt, return_tensors="pt")
        ids = model.processor.tokenizer(label, return_tensors="pt")["input_ids"]
        ids[:, 0] = start
        with torch.no_grad():
            loss = model.network(**inputs, labels=ids).loss
        assert abs(shared[0, i] + float(loss)) < 1e-4


def test_shared_prefix_computes_less(model):
    shared = computed(lambda: model.log_likelihoods(CROPS[:1], COMPOUNDS))
    assert computed(lambda: model.whole_passes(CROPS[:1], COMPOUNDS)) > 2 * shared
    assert model.race(CROPS[0], repeats=1).difference < 1e-4


def test_the_picture_matters(model):
    found = model.scores(FACES).classes
    assert np.abs(found[0] - found[1]).max() > 1e-3
    assert model.answer(FACES[0], QUESTIONS) != model.answer(FACES[1], QUESTIONS)


def test_a_row_does_not_depend_on_its_mates(model):
    alone = np.concatenate([model.scores([one]).classes for one in FACES])
    assert np.abs(model.scores(FACES).classes - alone).max() < 1e-5


def test_answers_do_not_depend_on_padding(model):
    alone = [model.answer(FACES[0], [question])[0] for question in QUESTIONS]
    assert model.answer(FACES[0], QUESTIONS) == alone
    assert model.answer(FACES[0], [*QUESTIONS, "Is the nose wide? " * 6])[:3] == alone


def test_an_unpadded_answer_equals_the_library_s(model):
    inputs = model.processor(images=CROPS[0], text=QUESTIONS[0], return_tensors="pt")
    known = model.network.generate(**inputs, max_new_tokens=8, do_sample=False)[0, 1:]
    with torch.no_grad():
        ours = model.generate(model.encode(CROPS[:1], QUESTIONS[:1]), 8)[0]
    assert torch.equal(ours[: len(known)], known)
    assert not ours[len(known) :].any()


def test_explanations_come_by_sentences_on_the_predicted_label(model):
    label = COMPOUNDS[8]
    prediction = made("compound", label, dict.fromkeys(COMPOUNDS, 1.0))
    pieces = list(model.explain(FACES[0], prediction))
    assert pieces[0] == f"The expression resembles {label}."
    assert len(pieces) > 1
    assert all(piece.startswith(" The ") for piece in pieces[1:])


def test_heat_maps_lie_on_the_visual_encoder(model):
    view = model.view()
    pixels = view.inputs(FACES)
    scores = view.module(pixels).detach().numpy()
    assert np.abs(scores - model.log_likelihoods(CROPS, COMPOUNDS)).max() < 1e-4
    maps = cam.compute(view, pixels, cam.target(view, "sadly angry"), "hires-cam")
    assert maps.shape == (3, 4, 4)
    assert maps.any()


def test_8bit_holds_int8_layers_and_gives_maps(folder):
    model = blip_vqa.load(Spec("blip-vqa", str(folder), options={"load": "8bit"}), "cpu")
    assert "Linear8bitLt" in {type(module).__name__ for module in model.network.modules()}
    assert np.abs(np.diff(model.scores(FACES).classes, axis=0)).max() > 1e-3
    view = model.view()
    goal = cam.target(view, "sadly angry")
    assert cam.compute(view, view.inputs(FACES), goal, "hires-cam").any()


def test_loading_touches_no_pickle(folder, monkeypatch):
    tiny_models.forbid_pickle(monkeypatch)
    assert len(blip_vqa.load(Spec("blip-vqa", str(folder)), "cpu").scores(FACES)) == 3
