"""BLIP-2 where it breaks silently: pictures ignored, prompts echoed, adapters that do nothing."""

import numpy as np
import pytest
import tiny_models
import torch
from predictions import made
from tiny_models import computed, face

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import Classifier, Explainable, Voice
from ferce.models.spec import Spec
from ferce.models.vlm import blip2
from ferce.models.vlm.phrases import UNPARSED

FACES = [face(seed) for seed in range(3)]
CROPS = [one.crop for one in FACES]
QUESTIONS = ["Is the mouth open?", "Which cues speak for it, brows or eyes?", "Why?"]
LANGUAGES = ["opt", "t5"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("blip2")
    return {name: tiny_models.build_blip2(root / name, name) for name in LANGUAGES}


@pytest.fixture(scope="module")
def models(folders):
    return {name: blip2.load(Spec("blip2", str(path)), "cpu") for name, path in folders.items()}


@pytest.fixture(params=LANGUAGES)
def model(request, models):
    return models[request.param]


def prediction(label=COMPOUNDS[2]):
    return made("compound", label, dict.fromkeys(COMPOUNDS, 1.0))


def test_it_keeps_the_protocols(model):
    assert isinstance(model, Classifier)
    assert isinstance(model, Explainable)
    assert isinstance(model, Voice)


def test_shared_prefix_equals_whole_passes(model):
    shared, whole = model.log_likelihoods(CROPS, COMPOUNDS), model.whole_passes(CROPS, COMPOUNDS)
    assert shared.shape == (3, 14)
    assert np.abs(shared - whole).max() < 1e-4


def test_it_equals_the_library_with_the_library_s_own_inputs(model):
    """Nothing of ours between picture and logits: processor, forward, log-softmax."""
    prompt = model.question("Which compound expression does this face show?")
    phrase = COMPOUNDS[5]
    known = []
    for crop in CROPS:
        if model.style == "opt":
            inputs = model.processor(images=crop, text=f"{prompt} {phrase}", return_tensors="pt")
            count = len(model.continuations(prompt, [phrase])[0])
            with torch.no_grad():
                logits = model.network(**inputs).logits[0, -count - 1 : -1]
            ids = inputs["input_ids"][0, -count:]
        else:
            inputs = model.processor(images=crop, text=prompt, return_tensors="pt")
            ids = model.processor.tokenizer(phrase, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                logits = model.network(**inputs, labels=ids).logits[0]
            ids = ids[0]
        known.append(logits.log_softmax(-1).gather(1, ids[:, None]).mean().item())
    found = model.log_likelihoods(CROPS, [phrase], prompt)[:, 0]
    assert np.abs(found - known).max() < 1e-4


def test_shared_prefix_computes_less(model):
    shared = computed(lambda: model.log_likelihoods(CROPS[:1], COMPOUNDS))
    assert computed(lambda: model.whole_passes(CROPS[:1], COMPOUNDS)) > 2 * shared
    assert model.race(CROPS[0], repeats=1).difference < 1e-4


def test_the_picture_matters(model):
    found = model.scores(FACES).classes
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_a_row_does_not_depend_on_its_mates(model):
    together = model.scores(FACES).classes
    alone = np.concatenate([model.scores([one]).classes for one in FACES])
    assert np.abs(together - alone).max() < 1e-4


def test_sizes_may_be_mixed(model):
    mixed = model.scores([FACES[0], face(9, 60), FACES[1]]).classes
    assert np.abs(mixed[[0, 2]] - model.scores(FACES[:2]).classes).max() < 1e-4


def test_no_faces_no_rows(model):
    assert len(model.scores([])) == 0


def test_answers_do_not_depend_on_padding(model):
    together = model.answer(FACES[0], QUESTIONS)
    alone = [model.answer(FACES[0], [question])[0] for question in QUESTIONS]
    assert together == alone
    assert [answer.question for answer in together] == QUESTIONS
    long = [*QUESTIONS, "Is it? " * 12]
    assert model.answer(FACES[0], long)[:3] == alone


def test_answers_hold_no_prompt_and_equal_the_library_s(model):
    prompt = model.question(QUESTIONS[0])
    inputs = model.processor(images=CROPS[0], text=prompt, return_tensors="pt")
    ids = model.network.generate(**inputs, max_new_tokens=8, do_sample=False)
    if model.style == "opt":  # echoes the prompt, which must go
        assert torch.equal(ids[:, : inputs["input_ids"].shape[1]], inputs["input_ids"])
        ids = ids[:, inputs["input_ids"].shape[1] :]
    with torch.no_grad():
        ours = model.generate(model.encode(CROPS[:1], [prompt]), 8)
    assert torch.equal(ours, ids[:, : ours.shape[1]])
    assert QUESTIONS[0] not in model.answer(FACES[0], QUESTIONS[:1])[0].answer


def test_the_voice_looks_at_the_face(model):
    assert model.answer(FACES[0], QUESTIONS) != model.answer(FACES[1], QUESTIONS)


def test_explanations_stream_and_stop_early(model, monkeypatch):
    with monkeypatch.context() as patch:
        tiny_models.speak(model, "The mouth is open and the brows are high.", patch)
        pieces = list(model.explain(FACES[0], prediction()))
    assert len(pieces) > 1
    assert all(pieces)
    assert "".join(pieces).startswith("The mouth is open and")
    tiny_models.speak(model, "The mouth is open and the brows are high.", monkeypatch)
    stream = model.explain(FACES[0], prediction())
    first = next(stream)
    stream.close()
    assert first == pieces[0]


def test_an_error_while_streaming_reaches_the_reader(model, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no memory")

    monkeypatch.setattr(model, "encode", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        list(model.explain(FACES[0], prediction()))


def test_explanations_depend_on_the_predicted_label(model):
    one = "".join(model.explain(FACES[0], prediction(COMPOUNDS[2])))
    assert one != "".join(model.explain(FACES[0], prediction(COMPOUNDS[8])))


def test_missing_placeholders_are_refused(models, monkeypatch):
    model = models["opt"]
    monkeypatch.setattr(model.processor, "num_query_tokens", 5)
    with pytest.raises(ValueError, match="must hold 6 image placeholders; got 5"):
        model.scores(FACES)


def test_free_answers_are_unparsed_or_a_compound(model):
    assert set(model.named(FACES)) <= {*COMPOUNDS, UNPARSED}
    asked = [model.question("Why?")] * 3
    alone = [model.reply([crop], asked[:1])[0] for crop in CROPS]
    assert model.reply(CROPS, asked) == alone
    assert model.named([]) == []


@pytest.mark.parametrize("prior", ["grey", "empty", "both"])
def test_calibration_makes_a_grey_picture_even(folders, prior):
    model = blip2.load(Spec("blip2", str(folders["opt"]), options={"calibrate": prior}), "cpu")
    plain = blip2.load(Spec("blip2", str(folders["opt"])), "cpu")
    assert np.abs(model.scores(FACES).classes - plain.scores(FACES).classes).max() > 1e-3
    grey = FACES[0].replace(crop=np.full_like(CROPS[0], 128))
    if prior == "grey":
        assert np.allclose(model.scores([grey]).classes, 1 / 14, atol=1e-5)


# Heat maps.


def gradients(model, view, label):
    seen = []
    hook = view.layer.register_forward_hook(lambda module, given, made: seen.append(made))
    pixels = view.inputs(FACES).requires_grad_()
    scores = view.module(pixels)
    hook.remove()
    (grad,) = torch.autograd.grad(scores[:, view.index(label)].sum(), seen[0])
    return scores, view.reshape(seen[0]), view.reshape(grad)


def test_view_scores_the_labels_and_reaches_every_patch(model):
    view = model.view()
    scores, activations, grad = gradients(model, view, "happily sad")
    assert np.abs(scores.detach().numpy() - model.log_likelihoods(CROPS, COMPOUNDS)).max() < 1e-4
    assert activations.shape == grad.shape == (3, 64, 4, 4)
    assert (grad.abs().sum(1) > 0).all()
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_view_knows_compounds_only(model):
    with pytest.raises(ValueError, match="scores compounds only; got 'neutral'"):
        model.view().index("neutral")


@pytest.mark.parametrize("method", ["grad-cam", "hires-cam", "score-cam"])
def test_heat_maps_are_made_and_belong_to_their_label(model, method):
    from ferce.explanation.heatmaps import cam

    view = model.view()
    pixels = view.inputs(FACES[:1])
    maps = [cam.compute(view, pixels, cam.target(view, label), method) for label in COMPOUNDS[:5]]
    assert all(one.shape == (1, 4, 4) for one in maps)
    assert any(one.any() for one in maps)
    assert len({one.tobytes() for one in maps if one.any()}) == sum(one.any() for one in maps)


def test_view_grid_is_in_raster_order(model):
    """A picture that changes in one corner changes the activations of the patch embedding there."""
    view = model.view()
    layer = model.network.vision_model.embeddings
    seen = []
    with (
        layer.register_forward_hook(lambda module, given, made: seen.append(made)),
        torch.no_grad(),
    ):
        pixels = view.inputs(FACES[:1])
        view.module(pixels)
        pixels = pixels.clone()
        pixels[:, :, :8, 24:] += 1  # top right of 4 x 4 patches
        view.module(pixels)
    change = view.reshape(seen[1] - seen[0]).abs().sum(1)[0]
    assert change.argmax() == 3
    assert (change > 1e-6).sum() == 1


def test_the_q_former_s_attention_is_a_map(model):
    maps = model.attention(FACES)
    assert maps.shape == (3, 4, 4)
    assert (maps > 0).all()
    assert (maps.sum((1, 2)) <= 1 + 1e-5).all()
    assert np.abs(maps[0] - maps[1]).max() > 1e-4


def test_queries_can_be_drawn(model):
    from ferce.explanation import heatmaps

    picture = tiny_models.face(3)
    heat = heatmaps.explain(model, picture, COMPOUNDS[0], "q-former")
    assert heat.values.shape == (picture.size, picture.size)
    assert 0 < heat.values.max() <= 1
    with pytest.raises(ValueError, match="same map for every label"):
        heatmaps.explain(model, picture, COMPOUNDS[0], "q-former", against=COMPOUNDS[1])
