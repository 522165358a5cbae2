"""What every backend must keep, whatever its family; a new one is one more row of the lists."""

import embedded_fixtures
import numpy as np
import pytest
import tiny_chats
import tiny_clips
import tiny_models

from ferce import models
from ferce.core.labels import COMPOUNDS
from ferce.core.parts import Answer
from ferce.core.protocols import Classifier, Voice
from ferce.core.types import Face
from ferce.explanation.heatmaps import explain
from ferce.facs.decision import decide
from ferce.models.spec import parse

# Name of the row -> how the spec is made from a folder; a new backend is one more row. The remote
# backend keeps the same promises against a stub server in test_remote*.py.
MAKERS = {
    "prototypes": lambda folder: "prototypes",
    "embedded": lambda folder: f"embedded:{embedded_fixtures.build(folder)}",
    "timm": lambda folder: "timm:random/test_resnet",
    "clip": lambda folder: f"clip:{tiny_clips.build_clip(folder)}",
    "blip2-opt": lambda folder: f"blip2:{tiny_models.build_blip2(folder, 'opt')}",
    "blip2-t5": lambda folder: f"blip2:{tiny_models.build_blip2(folder, 't5')}",
    "blip-vqa": lambda folder: f"blip-vqa:{tiny_models.build_blip_vqa(folder)}",
    "chat-llava": lambda folder: f"chat:{tiny_chats.build_llava(folder)}",
    "chat-qwen": lambda folder: f"chat:{tiny_chats.build_qwen(folder)}",
}
VISION_LANGUAGE = ["blip2-opt", "blip2-t5", "blip-vqa", "chat-llava", "chat-qwen"]
CLASSIFIERS = ["prototypes", "embedded", "timm", "clip", *VISION_LANGUAGE]
VOICES = ["measured", *VISION_LANGUAGE]


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    """Row -> spec, its model built once."""
    root, made = tmp_path_factory.mktemp("contract"), {"measured": "measured"}

    def spec(row):
        if row not in made:
            made[row] = MAKERS[row](root / row)
        return made[row]

    return spec


@pytest.fixture(scope="module", params=CLASSIFIERS)
def classifier(request, specs):
    return models.load_classifier(specs(request.param), "cpu")


@pytest.fixture(scope="module", params=VOICES)
def voice(request, specs):
    return models.load_voice(specs(request.param), "cpu")


@pytest.fixture(scope="module")
def prediction(faces):
    scores = models.load_classifier("prototypes").scores(faces[:1])
    return decide(scores, 0, faces[0], "prototypes")


@pytest.fixture(scope="module")
def faces(smiling):
    """Three different faces: a smile, its mirror image, and a crop without any measurement."""
    mirrored = np.ascontiguousarray(smiling.crop[:, ::-1])
    noise = np.random.default_rng(0).integers(0, 255, smiling.crop.shape, dtype=np.uint8)
    return [smiling, Face(crop=mirrored), Face(crop=noise)]


def test_is_a_classifier(classifier):
    assert isinstance(classifier, Classifier)
    assert str(parse(classifier.name)) == classifier.name


def test_rows_are_probabilities(classifier, faces):
    scores = classifier.scores(faces)
    assert scores.classes.shape == (3, len(COMPOUNDS))
    assert np.allclose(scores.classes.sum(1), 1, atol=1e-5)
    assert (scores.classes >= 0).all()


def test_rows_do_not_depend_on_batch_mates(classifier, faces):
    together = classifier.scores(faces).classes
    for i, face in enumerate(faces):
        assert np.allclose(classifier.scores([face]).classes[0], together[i], atol=1e-4)
    assert np.allclose(classifier.scores(faces[::-1]).classes[::-1], together, atol=1e-4)


def test_same_input_same_answer(classifier, faces):
    assert np.array_equal(classifier.scores(faces).classes, classifier.scores(faces).classes)


def test_no_faces(classifier):
    assert classifier.scores([]).classes.shape == (0, len(COMPOUNDS))


def test_faces_are_not_changed(classifier, faces):
    before = faces[0].crop.copy()
    classifier.scores(faces)
    assert np.array_equal(faces[0].crop, before)


def test_every_prediction_can_be_explained(classifier, faces):
    prediction = decide(classifier.scores(faces[:1]), 0, faces[0], classifier.name)
    heatmap = explain(classifier, faces[0], prediction.compound)
    assert heatmap.values.shape == (faces[0].size, faces[0].size)
    assert (heatmap.values >= 0).all()


def test_is_a_voice(voice):
    assert isinstance(voice, Voice)
    assert str(parse(voice.name)) == voice.name


def test_one_answer_a_question_in_order(voice, faces):
    questions = ["Is the mouth open?", "Are the brows raised?", "What colour is the car?"]
    answers = voice.answer(faces[0], questions)
    assert [answer.question for answer in answers] == questions
    assert all(isinstance(answer, Answer) for answer in answers)
    assert all(isinstance(answer.answer, str) for answer in answers)  # random weights may be mute
    assert voice.answer(faces[0], []) == []


def test_explanation_is_text_in_pieces(voice, prediction, faces):
    pieces = list(voice.explain(faces[0], prediction))
    assert all(isinstance(piece, str) for piece in pieces)
    assert "".join(pieces).strip()
    assert "".join(voice.explain(faces[0], prediction)) == "".join(pieces)


def test_unknown_spec_lists_the_kinds():
    with pytest.raises(ValueError, match=r"Unknown classifier 'wizard:x'.*prototypes"):
        models.load_classifier("wizard:x")
    with pytest.raises(ValueError, match=r"Unknown voice 'prototypes'.*measured"):
        models.load_voice("prototypes")
