"""The packaged small BLIP-2: what it says of a real smile, and that plain PEFT agrees."""

import json
import shutil

import pytest
import torch
from PIL import Image
from predictions import made

from ferce.models import hub, load_classifier, load_voice, prompts
from ferce.models.hub import CheckpointError
from ferce.models.vlm import packaged
from ferce.training.language.export import origin
from ferce.training.language.plan import LanguagePlan


@pytest.fixture(scope="module")
def model():
    return load_voice("blip2-mini")


def test_it_explains_the_predicted_label(model, smiling):
    prediction = made("basic", "happy", {"happy": 1.0})
    assert "happiness" in "".join(model.explain(smiling, prediction))


# peft 0.21 reads a name that transformers 5.23 deprecates.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_plain_peft_says_the_same(model, smiling):
    """As the card tells to load it."""
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    base = AutoModelForImageTextToText.from_pretrained(packaged.BLIP2_BASE)
    plain = PeftModel.from_pretrained(base, packaged.BLIP2_ADAPTER).eval()
    processor = AutoProcessor.from_pretrained(packaged.BLIP2_ADAPTER)
    asked = prompts.QUESTIONNAIRE[7]
    inputs = processor(
        images=Image.fromarray(smiling.crop),
        text=f"Question: {asked} Answer:",
        return_tensors="pt",
    )
    with torch.inference_mode():
        made = plain.generate(**inputs, max_new_tokens=30)[0]
    (own,) = model.answer(smiling, [asked])
    assert processor.decode(made, skip_special_tokens=True).strip().endswith(own.answer)


def test_no_file_is_large_and_none_is_a_pickle():
    files = [*packaged.BLIP2_BASE.iterdir(), *packaged.BLIP2_ADAPTER.iterdir()]
    assert max(path.stat().st_size for path in files) < 10_000_000
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jinja", ".md"}


def test_it_is_the_base_of_a_fine_tuning_without_arguments():
    base = origin(LanguagePlan())
    assert (base.folder, base.name) == (packaged.BLIP2_BASE, "ferce/weights/blip2-mini")
    told = json.loads((packaged.BLIP2_ADAPTER / "ferce.json").read_text())
    assert told["base_fingerprint"] == base.fingerprint == hub.fingerprint(packaged.BLIP2_BASE)
    config = json.loads((packaged.BLIP2_ADAPTER / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == base.name
    assert None not in config.values()  # which an older peft might not know


def test_an_adapter_can_name_the_base_by_a_hub_id():
    assert origin(LanguagePlan(base_id="owner/base")).name == "owner/base"


def test_an_adapter_of_ones_own_takes_the_place_of_the_packaged_one(tmp_path, smiling):
    own = shutil.copytree(packaged.BLIP2_ADAPTER, tmp_path / "own")
    assert load_classifier(f"blip2-mini:{own}").name == f"blip2-mini:{own}"
    (own / "ferce.json").write_text(json.dumps({"base_fingerprint": "0" * 16}))
    with pytest.raises(CheckpointError, match="belongs to the base"):
        load_classifier(f"blip2-mini:{own}")
