"""The packaged FastVLM on ONNX Runtime against the same model with torch, and without torch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_chats
from PIL import Image
from predictions import made
from safetensors.numpy import load_file, save_file

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import Classifier, Explainable, FreeText, OnDevice, Prompted, Voice
from ferce.core.types import Face
from ferce.explanation import heatmaps
from ferce.models import load_voice, prompts
from ferce.models.hub import CheckpointError
from ferce.models.spec import Spec
from ferce.models.vlm import fastvlm, packaged
from ferce.models.vlm.chat import Chat
from ferce.models.vlm.fastvlm import FastVlm

ROOT = Path(__file__).parents[2]
CLOSE = 1e-3
PREDICTION = made("compound", "happily surprised", {"happily surprised": 1.0})


@pytest.fixture(scope="module")
def own():
    return load_voice("fastvlm-mini", "cpu")


@pytest.fixture(scope="module")
def twin():
    """The same model with torch."""
    return load_voice(f"chat:{packaged.FASTVLM_FOLDER}", "cpu")


@pytest.fixture(scope="module")
def faces(smiling):
    """A photograph and three renders, one of a size that must be enlarged."""
    names = ("angrily_disgusted", "happily_surprised", "sadly_fearful")
    paths = [ROOT / f"ferce/data/demo/examples/{name}.jpg" for name in names]
    crops = [np.asarray(Image.open(path).convert("RGB").resize((224, 224))) for path in paths]
    crops[0] = crops[0][::3, ::3].copy()
    return [smiling, *(Face(crop=np.ascontiguousarray(crop)) for crop in crops)]


def test_it_keeps_the_protocols(own):
    for protocol in (Classifier, Explainable, Voice, FreeText, OnDevice, Prompted):
        assert isinstance(own, protocol)
    assert isinstance(own, FastVlm)
    assert own.name == "fastvlm-mini"


def test_answers_are_those_of_torch(own, twin, faces):
    asked = [*prompts.questions(PREDICTION), "Is the person smiling?"]
    for face in faces:
        given = [one.answer for one in own.answer(face, asked)]
        assert given == [one.answer for one in twin.answer(face, asked)]


def test_explanations_are_those_of_torch(own, twin, faces):
    unclear = made("unclear", None, {"happy": 0.5, "sad": 0.5}, ("happy", "sad"))
    for face in faces:
        for prediction in (PREDICTION, unclear):
            known = "".join(twin.explain(face, prediction))
            assert "".join(own.explain(face, prediction)) == known
            assert len(known) > 20


def test_scores_are_those_of_torch(own, twin, faces):
    found, known = own.scores(faces), twin.scores(faces)
    assert found.calibrated == known.calibrated
    assert found.mass == known.mass
    assert np.abs(found.classes - known.classes).max() < CLOSE
    for texts, prompt in ((COMPOUNDS, None), (("Yes", "No"), "Is the mouth open?")):
        crops = [face.crop for face in faces if face.size == 224]
        logs = own.log_likelihoods(crops, texts, prompt)
        assert np.abs(logs - twin.log_likelihoods(crops, texts, prompt)).max() < CLOSE


def test_content_free_scores_are_those_of_torch(faces):
    options = {"calibrate": "both"}
    one = packaged.load(Spec("fastvlm-mini", options=options), "cpu")
    other = packaged.load(Spec("fastvlm-mini", options=options), "cpu").view().module._model[0]
    assert isinstance(one, FastVlm)
    difference = one.scores(faces[:2]).classes - other.scores(faces[:2]).classes
    assert np.abs(difference).max() < CLOSE


def test_it_names_the_compound_in_words_as_torch_does(own, twin, faces):
    assert own.named(faces[1:4]) == twin.named(faces[1:4])


def test_shared_prefix_equals_whole_passes(own, faces):
    crops = [face.crop for face in faces[:2]]
    shared = own.log_likelihoods(crops, COMPOUNDS)
    assert np.abs(shared - own.whole_passes(crops, COMPOUNDS)).max() < 1e-4
    assert own.race(crops[0], repeats=1).difference < 1e-4


def test_a_row_does_not_depend_on_its_batch_mates(own, faces):
    alone = [own.scores([face]).classes[0] for face in faces]
    assert np.abs(own.scores(faces).classes - alone).max() < 1e-5
    asked = [own.question(text) for text in prompts.QUESTIONNAIRE[: len(faces)]]
    crops = [face.crop for face in faces]
    together = own.reply(crops, asked)
    one_by_one = zip(crops, asked, strict=True)
    assert together == [own.reply([crop], [text])[0] for crop, text in one_by_one]


def test_no_faces_and_no_questions(own, smiling):
    assert own.scores([]).classes.shape == (0, len(COMPOUNDS))
    assert own.answer(smiling, []) == []


def test_a_limit_cuts_the_text(own, smiling):
    (whole,) = own.reply([smiling.crop], [own.question("Describe the face.")])
    (short,) = own.reply([smiling.crop], [own.question("Describe the face.")], limit=3)
    assert whole.startswith(short)
    assert 0 < len(short) < len(whole)


def test_the_text_comes_in_pieces_and_may_be_left(own, smiling):
    pieces = list(own.explain(smiling, PREDICTION))
    assert len(pieces) > 1
    assert all(piece.endswith(" ") for piece in pieces[:-1])
    assert next(own.explain(smiling, PREDICTION)) == pieces[0]


def test_prompts_are_recorded(own, smiling):
    with own.recording() as sent:
        own.answer(smiling, ["Is the mouth open?", "Why?"])
        list(own.explain(smiling, PREDICTION))
    assert sent[:2] == ["Is the mouth open?", "Why?"]
    assert "happily surprised" in sent[2]


def test_a_prompt_that_stands_for_a_picture_is_refused(own, smiling):
    with pytest.raises(ValueError, match="<image>"):
        own.reply([smiling.crop], ["Is <image> another picture?"])


def test_heat_maps_by_gradient_open_the_twin(own, smiling):
    heatmap = heatmaps.explain(own, smiling, "happily surprised", "grad-cam")
    assert np.isfinite(heatmap.values).all()
    assert own.view().module.network.config.model_type == "fast_vlm"


def test_another_precision_needs_torch():
    assert isinstance(load_voice("fastvlm-mini?load=bf16", "cpu"), Chat)


def test_a_gpu_needs_torch():
    with pytest.raises(ValueError, match="torch finds no 'cuda:9'"):
        packaged.load(Spec("fastvlm-mini"), "cuda:9")


def test_another_layout_needs_torch(tmp_path):
    folder = tiny_chats.build_fastvlm(tmp_path)
    assert not fastvlm.fits(folder)
    assert isinstance(packaged.load(Spec("fastvlm-mini", str(folder)), "cpu"), Chat)


@pytest.fixture
def copied(tmp_path):
    return Path(shutil.copytree(packaged.FASTVLM_FOLDER, tmp_path / "own"))


def test_a_model_trained_anew_needs_no_graphs_of_its_own(copied, smiling, own):
    for path in copied.glob("*.onnx"):
        path.unlink()
    for path in copied.glob("*.safetensors"):
        weights = load_file(path)
        for name in weights:
            if name.endswith("mlp.down_proj.weight"):
                weights[name] = weights[name] * np.float16(0.9)
        save_file(weights, path, {"format": "pt"})
    model = load_voice(f"fastvlm-mini:{copied}", "cpu")
    assert isinstance(model, FastVlm)
    assert model.name == f"fastvlm-mini:{copied}"
    found = model.scores([smiling]).classes
    assert (
        np.abs(found - load_voice(f"chat:{copied}", "cpu").scores([smiling]).classes).max() < CLOSE
    )
    assert np.abs(found - own.scores([smiling]).classes).max() > CLOSE


def test_weights_that_do_not_fit_are_refused(copied):
    (path, *_) = sorted(copied.glob("*.safetensors"))
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("linear_1.weight"))
    save_file({**weights, name: weights[name][:, :-1].copy()}, path)
    with pytest.raises(CheckpointError, match="does not fit its weights"):
        load_voice(f"fastvlm-mini:{copied}", "cpu")


def test_another_question_format_is_another_layout(copied):
    assert fastvlm.fits(copied)
    (copied / "chat_template.jinja").write_text("<image>{{ messages[0]['content'][1]['text'] }}")
    assert not fastvlm.fits(copied)


def test_it_answers_and_explains_without_torch(tmp_path, smiling):
    Image.fromarray(smiling.crop).save(tmp_path / "crop.png")
    code = (
        "import json, sys; import numpy as np; from PIL import Image\n"
        "from predictions import made\n"
        "from ferce.core.types import Face; from ferce.models import load_classifier, load_voice\n"
        f"face = Face(crop=np.asarray(Image.open({str(tmp_path / 'crop.png')!r})))\n"
        "voice = load_voice('fastvlm-mini')\n"
        "text = ''.join(voice.explain(face, made('basic', 'happy', {'happy': 1.0})))\n"
        "said = voice.answer(face, ['Is the mouth open?'])[0].answer\n"
        "load_classifier('fastvlm-mini').scores([face])\n"
        "heavy = {'torch', 'torchvision', 'timm', 'transformers'} & set(sys.modules)\n"
        "print(json.dumps([text, said, sorted(heavy)]))\n"
    )
    paths = [str(ROOT), str(ROOT / "tests/shared")]
    code = f"import sys; sys.path[:0] = {paths!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, said, heavy = json.loads(done.stdout)
    assert "happy" in text
    assert said.startswith("Yes")
    assert heavy == []


def test_the_graphs_hold_no_weights():
    for name in (fastvlm.TOWER, fastvlm.DECODER):
        assert (packaged.FASTVLM_FOLDER / name).stat().st_size < 150_000
