"""The packaged small vision-language model: what it says of a real smile, and that it looks."""

import json
import re

import pytest
from PIL import Image
from predictions import made

from ferce.models import load_voice, prompts
from ferce.models.hub import CheckpointError
from ferce.models.spec import Spec
from ferce.models.vlm import packaged


@pytest.fixture(scope="module")
def model():
    return load_voice("fastvlm-mini")


def test_it_explains_the_predicted_label(model, smiling):
    prediction = made("basic", "happy", {"happy": 1.0})
    text = "".join(model.explain(smiling, prediction))
    assert "happy" in text
    assert re.search("lip corners|smile|smiling", text)


def test_plain_transformers_says_the_same(model, smiling):
    """As the card tells to load it."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    plain = AutoModelForImageTextToText.from_pretrained(packaged.FASTVLM_FOLDER).eval()
    processor = AutoProcessor.from_pretrained(packaged.FASTVLM_FOLDER)
    picture = {"type": "image", "image": Image.fromarray(smiling.crop)}
    turn = [picture, {"type": "text", "text": prompts.QUESTIONNAIRE[7]}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": turn}], tokenize=True, return_dict=True, return_tensors="pt"
    )
    made = plain.generate(**inputs, max_new_tokens=30)[0, inputs["input_ids"].shape[1] :]
    (own,) = model.answer(smiling, [prompts.QUESTIONNAIRE[7]])
    assert processor.decode(made, skip_special_tokens=True).strip() == own.answer


def test_no_file_is_large_and_none_is_a_pickle():
    files = list(packaged.FASTVLM_FOLDER.iterdir())
    assert max(path.stat().st_size for path in files) < 10_000_000
    assert {path.suffix for path in files} <= {".safetensors", ".onnx", ".json", ".jinja", ".md"}


def test_another_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava"}))
    with pytest.raises(CheckpointError):
        packaged.load(Spec("fastvlm-mini", str(tmp_path)), "cpu")
