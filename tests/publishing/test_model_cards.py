"""The cards in the repository are those of the packaged models, as their metrics are today."""

import pytest
from publish_fixtures import ROOT, measurements, timm_run, write

from ferce.publishing.publish import PublishError
from train import model_cards


def test_the_repository_has_the_cards_of_its_models_and_no_other():
    found = {path.stem: path for path in (ROOT / "model_cards").glob("*.md")}
    models = {path.name: path for path in model_cards.packaged(model_cards.WEIGHTS)}
    assert set(found) == set(models), "run `python train/model_cards.py`"
    for name, path in found.items():
        assert path.read_text("utf-8") == model_cards.text(models[name])
        assert path.with_suffix(".png").is_file()


def test_a_packaged_model_gets_its_card(tmp_path):
    run = timm_run(tmp_path / "weights" / "tiny")
    (written,) = model_cards.write(tmp_path / "weights", tmp_path / "cards")
    card = written.read_text()
    assert 'timm.create_model("local-dir:ferce/weights/tiny", pretrained=True)' in card
    assert 'load_classifier("timm:ferce/weights/tiny")' in card
    assert "(tiny.png)" in card
    assert written.with_suffix(".png").is_file()
    write(run / "metrics.json", measurements(data="rafce:/x"))
    with pytest.raises(PublishError, match="RAF-CE are for research only"):
        model_cards.text(run)
    write(run / "metrics.json", {"val": {}})
    with pytest.raises(PublishError, match="no measurements of the test split"):
        model_cards.text(run)
