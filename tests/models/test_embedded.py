"""The packaged classifier: its parts by known answers, and what it says of the packaged weights."""

import dataclasses
import json
import shutil

import embedded_fixtures
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from ferce import models
from ferce.core.labels import COMPOUNDS, OUTCOMES
from ferce.core.protocols import Explainable
from ferce.core.types import REGIONS, Face
from ferce.explanation.heatmaps import explain
from ferce.faces import perturb
from ferce.facs.decision import predict
from ferce.facs.prototypes import ACTIVE
from ferce.models import embedded, landmark_features, prior, timm_net, torch_net
from ferce.models.calibration import Calibration, save_calibration
from ferce.models.fusion import Fusion
from ferce.models.hub import CheckpointError

HAPPY = OUTCOMES.index("happy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return embedded_fixtures.build(tmp_path_factory.mktemp("embedded") / "model")


@pytest.fixture(scope="module")
def model(folder):
    return models.load_classifier(f"embedded:{folder}", "cpu")


def test_a_smile_is_happiness_alone(model, smiling):
    scores = model.scores([smiling])
    assert scores.outcomes[0].argmax() == HAPPY
    assert scores.outcomes[0, HAPPY] > 0.9
    assert scores.neutral[0] < 0.05
    (reading,) = predict(model, [smiling])
    told = reading.prediction
    assert (told.state, told.label) == ("basic", "happy")
    assert scores.classes.sum() == pytest.approx(1)
    assert scores.calibrated
    assert scores.mass == 0.8


def test_units_are_the_readers_with_the_sides_that_were_seen(model, smiling):
    seen = model.scores([smiling]).units[0]
    assert seen[12].source == "embedded"
    assert seen[12].intensity > ACTIVE > seen[6].intensity
    before = smiling.units[12]
    assert seen[12].left / seen[12].right == pytest.approx(before.left / before.right)
    assert seen[12].confidence == pytest.approx(max(0.9, before.confidence))
    assert seen[4] == smiling.units[4], "what no reader reads stays as it was measured"


def test_what_is_covered_says_nothing(model, smiling):
    hidden = perturb.hide_masks(smiling, [perturb.region_mask(smiling, ["mouth"])])[0]
    assert hidden.hidden["mouth"] == 1
    assert hidden.shown("mouth") == 0 == smiling.hidden.get("eyes", 0)
    without, seen = model.scores([hidden]), model.scores([smiling])
    assert without.outcomes[0, HAPPY] < 0.01 < 0.9 < seen.outcomes[0, HAPPY]
    assert without.units[0][12].confidence == 0
    other = model.scores(perturb.hide_masks(smiling, [perturb.region_mask(smiling, ["brows"])]))
    assert other.outcomes[0, HAPPY] == pytest.approx(seen.outcomes[0, HAPPY], abs=1e-6)


def test_a_crop_without_landmarks_is_read_by_its_pixels(model, smiling):
    scores = model.scores([Face(crop=smiling.crop)])
    assert list(scores.units) == [{}]
    assert np.isfinite(scores.classes).all()


def test_a_row_does_not_depend_on_its_batch(model, smiling):
    mirrored = Face(crop=np.ascontiguousarray(smiling.crop[:, ::-1]))
    alone, both = model.scores([smiling]), model.scores([mirrored, smiling])
    np.testing.assert_allclose(alone.classes[0], both.classes[1], atol=1e-5)
    assert len(model.scores([])) == 0


def test_the_network_is_a_plain_timm_folder(folder, model):
    plain = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    module = model.network.net.view().module
    with torch.inference_mode():
        mine = module(torch.zeros(1, 3, 64, 64))
        torch.testing.assert_close(plain(torch.zeros(1, 3, 64, 64)), mine, atol=1e-4, rtol=1e-4)


def test_the_view_is_the_decision_with_other_evidence_at_its_mean(model, smiling):
    view = model.view()
    with torch.inference_mode():
        (row,) = view.module(view.inputs([smiling])).exp().numpy()
    assert row.sum() == pytest.approx(1, abs=1e-5)
    mean_face = Face(crop=smiling.crop)
    scores = model.scores([mean_face])
    assert row[view.index("neutral")] == pytest.approx(scores.neutral[0], abs=0.05)
    assert view.index("sadly angry") == COMPOUNDS.index("sadly angry")
    heat = explain(model, smiling, "happy", method="grad-cam")
    assert heat.values.shape == smiling.crop.shape[:2]


def test_the_heat_shows_the_measures_too(model, smiling):
    heat = explain(model, smiling, "happy")
    assert heat.method == "occlusion"
    assert heat.regions["mouth"] > 0.8


def test_a_folder_that_lacks_a_part_is_refused(folder, tmp_path):
    for name, said in (
        (timm_net.UNIT_WEIGHTS, "action-unit head"),
        ("fusion.safetensors", "fusion"),
    ):
        broken = shutil.copytree(folder, tmp_path / name)
        (broken / name).unlink()
        with pytest.raises(CheckpointError, match=said):
            models.load_classifier(f"embedded:{broken}", "cpu")


def test_a_fusion_of_other_evidence_is_refused(folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / "other")
    fusion = Fusion.load(broken)
    dataclasses.replace(fusion, features=fusion.features[::-1]).save(broken)
    with pytest.raises(CheckpointError, match="other evidence"):
        models.load_classifier(f"embedded:{broken}", "cpu")


def test_a_fusion_comes_back_as_it_was(tmp_path):
    made = embedded_fixtures.fusion()
    made.save(tmp_path)
    found = Fusion.load(tmp_path)
    x = np.random.default_rng(0).normal(size=(3, len(made.features)))
    x[0, 5] = np.nan
    assert found.features == made.features
    assert set(found.heads) == set(made.heads)
    for name, _head in made.heads.items():
        wanted, told = (f.heads[name](f.standardised(x)) for f in (made, found))
        np.testing.assert_allclose(told, wanted, atol=1e-4)
    assert made.standardised(x)[0, 5] == 0


def test_shape_is_the_same_wherever_the_face_is(smiling):
    turned = np.array([[2.0, 0, 30], [0, 2.0, -10]]) @ np.vstack([smiling.to_crop, [0, 0, 1]])
    (row, other) = landmark_features.shape([smiling, smiling.replace(to_crop=turned)])
    np.testing.assert_allclose(row, other, atol=1e-4)
    told = dict(zip(landmark_features.NAMES, row, strict=True))
    assert told["mouthSmileLeft"] == pytest.approx(smiling.blendshapes["mouthSmileLeft"] ** 0.5)
    points = smiling.landmarks_in_crop
    eyes = [points[[33, 133]].mean(0), points[[362, 263]].mean(0)]
    gap = np.linalg.norm(points[13] - points[14]) / np.linalg.norm(eyes[0] - eyes[1])
    assert told["distance 13-14"] == pytest.approx(gap, rel=1e-5)
    assert set(landmark_features.REGIONS) == set(REGIONS)
    assert np.isnan(landmark_features.shape([Face(crop=smiling.crop)])).all()


def test_the_prior_sees_the_smile(smiling):
    read = prior.Prior(embedded.PACKAGED / "prior.safetensors")
    (row,) = np.exp(read([smiling]))
    assert row.sum() == pytest.approx(1)
    assert prior.LABELS[row.argmax()] == "happy"
    assert read([]).shape == (0, 7)


def test_the_prior_is_all_in_its_file():
    stored = load_file(embedded.PACKAGED / "prior.safetensors")
    assert {n: t.shape for n, t in stored.items()} == {
        n: t.shape for n, t in torch_net.ExpressionNet().state_dict().items()
    }
    assert len(COMPOUNDS) == 14


def test_the_temperature_is_of_the_scores_before_the_mix(tmp_path, smiling):
    folder = embedded_fixtures.build(tmp_path / "model")
    told = {}
    for temperature in (1.0, 0.5):
        save_calibration(folder, Calibration(temperature, 0.8))
        told[temperature] = embedded.open_folder(folder, "tiny").scores([smiling]).outcomes
    assert told[0.5] == pytest.approx(told[1.0] ** 2 / (told[1.0] ** 2).sum())


def test_a_mix_weighs_the_outcomes(tmp_path, smiling):
    folder = embedded_fixtures.build(tmp_path / "model")
    even = models.load_classifier(f"embedded:{folder}", "cpu").scores([smiling]).outcomes
    told = json.loads((folder / "ferce.json").read_text("utf-8"))
    told["mix"] = {"happy": 1, "neutral": 3}
    (folder / "ferce.json").write_text(json.dumps(told), "utf-8")
    stored = models.load_classifier(f"embedded:{folder}", "cpu")
    (row,) = stored.scores([smiling]).outcomes
    happy, neutral = OUTCOMES.index("happy"), OUTCOMES.index("neutral")
    assert row[neutral] / row[happy] == pytest.approx(3 * even[0, neutral] / even[0, happy])
    again = models.load_classifier(f"embedded:{folder}?mix=even", "cpu")
    assert again.scores([smiling]).outcomes == pytest.approx(even)
    alone = models.load_classifier(f"embedded:{folder}?mix=raf-ce", "cpu").scores([smiling])
    assert alone.outcomes[0, : len(COMPOUNDS)].sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="mix must be one of everyday, even, raf-ce"):
        models.load_classifier(f"embedded:{folder}?mix=none", "cpu")


def test_a_model_narrowed_to_the_compounds_stays_what_it_is(model, smiling):
    narrowed = models.given_compound(model)
    assert isinstance(narrowed, Explainable)
    assert (narrowed.name, narrowed.device) == (model.name, model.device)
    scores, before = narrowed.scores([smiling]), model.scores([smiling])
    assert scores.classes == pytest.approx(before.classes)
    assert scores.outcomes[0, : len(COMPOUNDS)] == pytest.approx(before.classes[0])
    assert scores.outcomes[0, HAPPY] == 0
    assert before.outcomes[0, HAPPY] > 0.9
