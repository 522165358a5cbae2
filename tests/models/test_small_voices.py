"""What both packaged vision-language models say of a real smile, and that they look."""

import numpy as np
import pytest

from ferce.core.labels import COMPOUNDS, components
from ferce.core.types import Face
from ferce.models import load_classifier, load_voice


@pytest.fixture(scope="module", params=["fastvlm-mini", "blip2-mini"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return load_voice(name)


def test_it_answers_about_a_smile(model, smiling):
    asked = ["Is the mouth open?", "Is the person smiling?", "Are the eyes closed?"]
    told = [answer.answer for answer in model.answer(smiling, asked)]
    assert [text.split(",")[0].strip(".") for text in told] == ["Yes", "Yes", "No"]


def test_another_picture_is_answered_otherwise(model, smiling):
    grey = Face(crop=np.full_like(smiling.crop, 128))
    found = model.log_likelihoods([smiling.crop, grey.crop], ("Yes", "No"), "Is the mouth open?")
    yes = found[:, 0] - found[:, 1]
    assert yes[0] > 0
    assert abs(yes[0] - yes[1]) > 0.5


def test_it_classifies_with_a_calibration_of_its_own(name, smiling):
    scores = load_classifier(name).scores([smiling])
    assert scores.calibrated
    assert "happy" in components(COMPOUNDS[int(scores.classes[0].argmax())])
