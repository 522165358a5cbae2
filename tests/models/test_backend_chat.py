"""Chat models: a fixed picture (LLaVA), and windows with positions in three parts (Qwen2.5-VL)."""

import re
import shutil

import numpy as np
import pytest
import tiny_chats
import tiny_models
import torch
from PIL import Image
from predictions import made
from tiny_models import computed, face

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import Classifier, Explainable, Voice
from ferce.explanation.heatmaps import cam
from ferce.models.hub import CheckpointError
from ferce.models.spec import Spec
from ferce.models.vlm import chat, towers

pytestmark = pytest.mark.filterwarnings(
    # InternVL's processor in transformers 5.5 to 5.17 hands a tensor to NumPy
    "ignore:__array_wrap__ must accept context:DeprecationWarning"
)
FACES = [face(seed, 50) for seed in range(3)]
CROPS = [one.crop for one in FACES]
QUESTIONS = ["Is the mouth open?", "Which facial cues speak for it, brows or eyes?", "Why?"]
FAMILIES = {
    "llava": tiny_chats.build_llava,
    "qwen2_5_vl": tiny_chats.build_qwen,
    "internvl": tiny_chats.build_internvl,
    "idefics3": tiny_chats.build_idefics3,  # SmolVLM is its twin
    "fast_vlm": tiny_chats.build_fastvlm,
}
ONE_TILE = {
    "llava": {},
    "qwen2_5_vl": {},
    "internvl": {"crop_to_patches": False},
    "idefics3": {"do_image_splitting": False},
    "fast_vlm": {},
}
TOWERS = ("visual", "vision_tower", "vision_model")
SIDES = {"llava": 4, "qwen2_5_vl": 12, "internvl": 4, "idefics3": 4, "fast_vlm": 2}  # of the map


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("chat")
    return {name: build(root / name) for name, build in FAMILIES.items()}


@pytest.fixture(scope="module")
def models(folders):
    return {name: chat.load(Spec("chat", str(path)), "cpu") for name, path in folders.items()}


@pytest.fixture(params=list(FAMILIES))
def family(request):
    return request.param


@pytest.fixture
def model(family, models):
    return models[family]


def test_it_keeps_the_protocols(model):
    assert isinstance(model, Classifier)
    assert isinstance(model, Explainable)
    assert isinstance(model, Voice)


def test_shared_prefix_equals_whole_passes(model):
    shared, whole = model.log_likelihoods(CROPS, COMPOUNDS), model.whole_passes(CROPS, COMPOUNDS)
    assert np.abs(shared - whole).max() < 1e-4


def test_it_equals_the_library_with_the_library_s_own_inputs(model, family):
    """The label as the assistant's words in the rendered text, tokenised in one go."""
    prompt = model.question("Which compound expression does this face show?")
    turn = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
    text = model.processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    text += "" if text[-1].isspace() else " "
    count = len(model.continuations(prompt, [COMPOUNDS[5]])[0])
    known = []
    for crop in CROPS:
        picture = [Image.fromarray(crop)]
        whole = [text + COMPOUNDS[5]]
        inputs = model.processor(
            images=picture, text=whole, return_tensors="pt", **ONE_TILE[family]
        )
        with torch.no_grad():
            logits = model.network(**inputs).logits[0, -count - 1 : -1].log_softmax(-1)
        ids = inputs["input_ids"][0, -count:, None]
        known.append(logits.gather(1, ids).mean().item())
    found = model.log_likelihoods(CROPS, COMPOUNDS[5:6], prompt)[:, 0]
    assert np.abs(found - known).max() < 1e-4


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
    assert np.abs(model.scores(FACES).classes - alone).max() < 1e-4
    mixed = model.scores([FACES[0], face(7, 30), FACES[1]]).classes
    assert np.abs(mixed[[0, 2]] - alone[:2]).max() < 1e-4


def test_scores_do_not_depend_on_what_was_asked_before(model):
    """Qwen-VL keeps the offset of its positions between calls."""
    before = model.scores(FACES).classes
    model.answer(face(5, 30), QUESTIONS)
    assert np.abs(model.scores(FACES).classes - before).max() < 1e-5


def test_answers_do_not_depend_on_padding(model):
    alone = [model.answer(FACES[0], [question])[0] for question in QUESTIONS]
    assert model.answer(FACES[0], QUESTIONS) == alone
    assert model.answer(FACES[0], [*QUESTIONS, "Is the nose wide? " * 6])[:3] == alone
    assert all(question not in one.answer for question, one in zip(QUESTIONS, alone, strict=True))


def test_explanations_stream_without_the_prompt(model, monkeypatch):
    tiny_models.speak(model, "The mouth is open and the brows are high.", monkeypatch)
    label = COMPOUNDS[8]
    prediction = made("compound", label, dict.fromkeys(COMPOUNDS, 1.0))
    pieces = list(model.explain(FACES[0], prediction))
    assert len(pieces) > 1
    assert "USER" not in pieces[0]
    assert "assistant" not in pieces[0]


def test_a_template_without_a_picture_is_refused(folders, family, tmp_path):
    copy = shutil.copytree(folders[family], tmp_path / "blind")
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'][1]['text'] }}")
    with pytest.raises(ValueError, match=r"no place for the picture|image"):
        chat.load(Spec("chat", str(copy)), "cpu").scores(FACES)


def test_a_model_without_a_template_is_refused(folders, tmp_path):
    copy = shutil.copytree(folders["llava"], tmp_path / "mute")
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(CheckpointError, match="has no chat template"):
        chat.load(Spec("chat", str(copy)), "cpu")


# Heat maps.


def test_heat_maps_lie_on_the_visual_encoder(model, family):
    view = model.view()
    pixels = view.inputs(FACES)
    scores = view.module(pixels).detach().numpy()
    assert np.abs(scores - model.log_likelihoods(CROPS, COMPOUNDS)).max() < 1e-4
    goal = cam.target(view, "sadly angry")
    found = cam.compute(view, pixels[:1], goal, "score-cam")  # has a picture of zeros
    assert found.any() or family == "fast_vlm"  # nothing speaks for it in four places
    maps = cam.compute(view, pixels, goal, "hires-cam")
    assert maps.shape == (3, SIDES[family], SIDES[family])
    assert maps.any((1, 2)).all()


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "fast_vlm"])
def test_the_map_is_in_raster_order(model, family):
    """A change of one patch of the picture changes the first layer's input in that place alone."""
    view, seen = model.view(), []
    first = model.network.get_submodule(re.sub(r"\.\d+\.", ".0.", view.layer_name))
    pixels = view.inputs(FACES[:1])
    patch = pixels.shape[-1] // SIDES[model.network.config.model_type]
    with (
        first.register_forward_hook(lambda module, given, made: seen.append(made)),
        torch.no_grad(),
    ):
        view.module(pixels)
        pixels = pixels.clone()
        pixels[:, :, patch : 2 * patch, 3 * patch : 4 * patch] += 1  # row 1, column 3
        view.module(pixels)
    change = view.reshape(seen[1] - seen[0]).abs().sum(1)[0]
    assert divmod(int(change.argmax()), change.shape[1]) == (1, 3)
    assert int((change > 1e-5).sum()) == 1


def test_the_layer_of_llava_is_one_that_counts(models):
    """LLaVA reads the output of the last but one of three layers; the last gets no gradient."""
    view = models["llava"].view()
    assert view.layer_name.endswith("encoder.layers.1.layer_norm1")
    tower = models["llava"].network.model.vision_tower
    assert view.layer is getattr(tower, "vision_model", tower).encoder.layers[1].layer_norm1


@pytest.mark.parametrize(("h", "w", "window"), [(4, 4, 2), (6, 4, 4), (5, 5, 2), (3, 7, 0)])
def test_window_order_is_a_permutation_by_windows(h, w, window):
    order = towers.window_order(h, w, window).tolist()
    assert sorted(order) == list(range(h * w))
    cells = [(i // w, i % w) for i in order]
    step = window or max(h, w)
    windows = [(row // step, column // step) for row, column in cells]
    assert windows == sorted(windows)


def test_an_unknown_structure_is_told_what_works(model, monkeypatch):
    inner = model.network.model
    tower = next(name for name in TOWERS if hasattr(inner, name))
    monkeypatch.setitem(inner._modules, tower, torch.nn.Identity())
    with pytest.raises(ValueError, match="'occlusion' works for every model"):
        model.view()


# Precision and adapters.


def test_8bit_holds_int8_layers_and_gives_maps(folders, family):
    model = chat.load(Spec("chat", str(folders[family]), options={"load": "8bit"}), "cpu")
    assert "Linear8bitLt" in {type(module).__name__ for module in model.network.modules()}
    assert np.abs(np.diff(model.scores(FACES).classes, axis=0)).max() > 1e-3
    view = model.view()
    goal = cam.target(view, "sadly angry")
    assert cam.compute(view, view.inputs(FACES), goal, "hires-cam").any()


def test_an_adapter_changes_the_output_and_unloading_restores_it(folders, family, models, tmp_path):
    adapter = tiny_chats.build_chat_adapter(tmp_path / "adapter", folders[family])
    spec = Spec("chat", str(folders[family]), None, str(adapter))
    adapted, plain = chat.load(spec, "cpu"), models[family].scores(FACES).classes
    assert np.abs(adapted.scores(FACES).classes - plain).max() > 1e-3
    adapted.unload_adapter()
    assert np.abs(adapted.scores(FACES).classes - plain).max() < 1e-6


def test_loading_touches_no_pickle(folders, family, monkeypatch):
    tiny_models.forbid_pickle(monkeypatch)
    assert len(chat.load(Spec("chat", str(folders[family])), "cpu").scores(FACES)) == 3
