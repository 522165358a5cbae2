import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from saliency_fixtures import noisy_face
from timm.data import create_transform
from timm.models import save_for_hf

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.core.protocols import Classifier, Explainable
from ferce.core.types import Face
from ferce.explanation import heatmaps
from ferce.models import timm_net
from ferce.models.calibration import Calibration, Columns, load_calibration, save_calibration
from ferce.models.hub import CheckpointError
from ferce.models.preprocessing import Preprocessing
from ferce.models.spec import parse

NAMES = ("test_resnet", "test_vit", "test_convnext", "test_efficientnet")  # timm's own tiny ones
DATA = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25), "crop_pct": 1.0}


def network(architecture: str, count: int = 14) -> torch.nn.Module:
    torch.manual_seed(3)
    made = timm.create_model(architecture, num_classes=count).eval()
    for parameter in made.get_classifier().parameters():
        torch.nn.init.normal_(parameter)
    return made


def publish(folder: Path, made: torch.nn.Module, names: object, **data: object) -> str:
    """A folder as `timm.models.push_to_hf_hub` would fill a repository."""
    save_for_hf(
        made,
        folder,
        model_config={"label_names": names},
        safe_serialization=True,
        data_config=DATA | data,
    )
    return f"timm:{folder}"


def load(spec: str) -> timm_net.TimmNet:
    return timm_net.load(parse(spec), "cpu")


FACES = [noisy_face(seed, 64 + 32 * (seed % 3)) for seed in range(5)]


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, tmp_path: Path) -> None:
    spec = publish(tmp_path / "a", network(name), COMPOUNDS)
    model = load(spec)
    assert isinstance(model, Classifier)
    assert isinstance(model, Explainable)
    assert model.name == spec
    rows = model.scores(FACES).classes
    assert rows.shape == (5, 14)
    np.testing.assert_allclose(rows.sum(1), 1)
    assert rows.std() > 1e-3
    alone = np.concatenate([model.scores([face]).classes for face in FACES])
    np.testing.assert_allclose(rows, alone, atol=1e-5)
    np.testing.assert_array_equal(model.scores(FACES[::-1]).classes.argmax(1), rows.argmax(1)[::-1])
    assert len(model.scores([])) == 0


@pytest.mark.parametrize("name", NAMES)
def test_it_is_explained(name: str, tmp_path: Path) -> None:
    model = load(publish(tmp_path, network(name), COMPOUNDS))
    view = model.view()
    assert model.view() is view
    with torch.no_grad():
        logits = view.module(view.inputs(FACES)).double().softmax(1).numpy()
    np.testing.assert_allclose(logits, model.scores(FACES).classes, atol=1e-6)
    heats = [heatmaps.explain(model, FACES[0], label) for label in COMPOUNDS]
    assert {h.layer for h in heats} == {view.layer_name}
    assert not all(h.empty for h in heats)


@pytest.mark.parametrize(("mode", "part"), [("bicubic", 1.0), ("bilinear", 0.9), ("bicubic", 0.8)])
def test_same_probabilities_as_plain_timm(tmp_path: Path, mode: str, part: float) -> None:
    """What we say of a photo is what timm itself, with its own transform, says."""
    publish(tmp_path, network("test_resnet"), COMPOUNDS, interpolation=mode, crop_pct=part)
    plain = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(plain)
    assert tuple(config["mean"]) == DATA["mean"]
    transform = create_transform(**config, is_training=False)
    pixels = torch.stack([transform(Image.fromarray(face.crop)) for face in FACES])
    model = load(f"timm:{tmp_path}")
    np.testing.assert_allclose(model.preprocessing(FACES).numpy(), pixels.numpy(), atol=1e-5)
    with torch.no_grad():
        expected = plain(pixels).softmax(1).numpy()
    np.testing.assert_allclose(model.scores(FACES).classes, expected, atol=1e-5)


def test_labels_are_mapped_by_name_whatever_their_order(tmp_path: Path) -> None:
    made = network("test_resnet")
    straight = load(publish(tmp_path / "a", made, COMPOUNDS)).scores(FACES).classes
    order = np.random.default_rng(0).permutation(14)
    shuffled = network("test_resnet")
    shuffled.load_state_dict(made.state_dict())
    with torch.no_grad():
        shuffled.fc.weight.copy_(made.fc.weight[order])
        shuffled.fc.bias.copy_(made.fc.bias[order])
    names = [COMPOUNDS[k].upper().replace(" ", "_") for k in order]
    for n, given in enumerate((names, {str(k): name for k, name in enumerate(names)})):
        model = load(publish(tmp_path / f"b{n}", shuffled, given))
        np.testing.assert_allclose(model.scores(FACES).classes, straight, atol=1e-6)
        assert model.view().index(COMPOUNDS[4]) == list(order).index(4)


def test_neutral_and_single_emotions_have_their_own_share(tmp_path: Path) -> None:
    names = [NEUTRAL, *BASICS, *COMPOUNDS]
    model = load(publish(tmp_path, network("test_resnet", 21), names))
    scores = model.scores(FACES)
    assert scores.neutral is not None
    assert scores.outcomes is not None
    np.testing.assert_allclose(scores.classes.sum(1), 1)
    with torch.no_grad():
        p = model.network(model.preprocessing(FACES)).double().softmax(1).numpy()
    np.testing.assert_allclose(scores.neutral, p[:, 0], atol=1e-6)
    np.testing.assert_allclose(scores.outcomes[:, 14:20], p[:, 1:7], atol=1e-6)
    np.testing.assert_allclose(scores.classes * p[:, 7:].sum(1)[:, None], p[:, 7:], atol=1e-6)
    assert heatmaps.explain(model, FACES[0], NEUTRAL).label == NEUTRAL


@pytest.mark.parametrize(
    ("count", "names", "message"),
    [
        (1000, None, "has 1000 outputs and no label_names"),
        (1000, [f"thing {k}" for k in range(1000)], r"1000 classes \(thing 0, .*, \.\.\.\)"),
        (7, ["anger", "disgust", "fear", "joy", "neutral", "sad", "surprise"], "7 classes .anger"),
        (11, COMPOUNDS[:11], "lacks 3, among them 'disgustedly surprised'"),
        (14, [*COMPOUNDS[:13], COMPOUNDS[0]], "happily sad"),
        (15, [*COMPOUNDS, "happy"], "15 classes"),
    ],
)
def test_checkpoint_of_other_classes_is_refused_by_name(
    tmp_path: Path, count: int, names: list[str] | None, message: str
) -> None:
    spec = publish(tmp_path / "strange", network("test_resnet", count), names)
    with pytest.raises(CheckpointError, match=message) as error:
        load(spec)
    assert "strange" in str(error.value)


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for key, value in changes.items():
        place = config if key in config else config["pretrained_cfg"]
        place[key] = value
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "resnet9000"}, "must name a network of timm"),
        ({"mean": None}, "does not give mean"),
        ({"std": [0, 0, 0]}, "must read RGB"),
        ({"input_size": [1, 64, 64]}, "must read RGB"),
        ({"interpolation": "magic"}, "interpolation 'magic'"),
        ({"crop_pct": 3}, "crop_pct"),
        ({"num_classes": 15}, "15 outputs, but names 14"),
        ({"num_classes": "15"}, "15 outputs, but names 14"),
        ({"input_size": [3, 64, 48]}, "cuts 64 x 48 pixels out of a picture"),
        ({"architecture": "test_vit"}, "do not fit its config"),
    ],
)
def test_broken_config_is_one_sentence(tmp_path: Path, changes: dict, message: str) -> None:
    spec = publish(tmp_path, network("test_resnet"), COMPOUNDS)
    edit(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=message) as error:
        load(spec)
    assert "\n" not in str(error.value)


def test_numbers_of_a_config_may_be_text(tmp_path: Path) -> None:
    spec = publish(tmp_path, network("test_resnet"), COMPOUNDS)
    plain = load(spec).scores(FACES).classes
    edit(tmp_path, num_classes="14", crop_pct="1.0", input_size=["3", "160", "160"])
    np.testing.assert_array_equal(load(spec).scores(FACES).classes, plain)


def test_pictures_that_are_not_square_are_squashed_as_timm_does(tmp_path: Path) -> None:
    spec = publish(tmp_path, network("test_resnet"), COMPOUNDS, interpolation="bicubic")
    edit(tmp_path, input_size=[3, 64, 96], crop_mode="squash")
    seen = create_transform((3, 64, 96), interpolation="bicubic", crop_mode="squash", **DATA)
    model, face = load(spec), noisy_face(size=80)
    assert torch.allclose(model.inputs([face])[0], seen(Image.fromarray(face.crop)), atol=1e-5)
    heat = heatmaps.explain(model, face, COMPOUNDS[0], "grad-cam")
    assert heat.values.shape == (80, 80)


def test_weights_are_safetensors_or_refused(tmp_path: Path) -> None:
    spec = publish(tmp_path, network("test_resnet"), COMPOUNDS)
    weights = tmp_path / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(CheckpointError, match="do not fit its config"):
        load(spec)
    weights.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        load(spec)
    shutil.rmtree(tmp_path)
    with pytest.raises(CheckpointError, match="neither a folder nor"):
        load(spec)


def test_network_sees_the_part_that_its_config_says(tmp_path: Path) -> None:
    model = load(publish(tmp_path, network("test_resnet"), COMPOUNDS, crop_pct=0.5))
    face = noisy_face(size=96)
    edge = face.crop.copy()
    edge[:20] = edge[76:] = edge[:, :20] = edge[:, 76:] = 0
    other = face.replace(crop=edge)
    np.testing.assert_allclose(model.scores([face]).classes, model.scores([other]).classes)
    maps = [heatmaps.explain(model, face, label).values for label in COMPOUNDS]
    assert any(m.any() for m in maps)
    assert all(not m[:24].any() and not m[:, 72:].any() for m in maps)


def test_calibration_travels_with_the_weights(tmp_path: Path) -> None:
    spec = publish(tmp_path, network("test_resnet"), COMPOUNDS)
    sharp = load(spec).scores(FACES)
    assert load_calibration(tmp_path) == Calibration()
    (tmp_path / "ferce.json").write_text('{"data": "fingerprint"}')
    save_calibration(tmp_path, Calibration(temperature=3.0, mass=0.8))
    assert json.loads((tmp_path / "ferce.json").read_text())["data"] == "fingerprint"
    model = load(spec)
    soft = model.scores(FACES)
    assert soft.mass == 0.8
    expected = sharp.classes ** (1 / 3)
    np.testing.assert_allclose(soft.classes, expected / expected.sum(1, keepdims=True), atol=1e-6)
    assert load_calibration(tmp_path) == Calibration(3.0, 0.8)
    (tmp_path / "ferce.json").write_text('{"calibration": {"temperature": -1}}')
    with pytest.raises(CheckpointError, match="temperature must be positive"):
        load(spec)


def test_random_networks_are_the_same_each_time() -> None:
    state = torch.random.get_rng_state()
    rows = [load("timm:random/test_resnet").scores(FACES).classes for _ in range(2)]
    np.testing.assert_array_equal(*rows)
    assert torch.equal(state, torch.random.get_rng_state())
    assert load("timm:random/test_resnet").name == "timm:random/test_resnet"
    with pytest.raises(CheckpointError, match="must name a network"):
        load("timm:random/nothing")


@pytest.mark.parametrize("spec", ["timm", "timm:x+y", "timm:random/test_resnet?load=8bit"])
def test_specs_without_a_meaning_are_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"timm"):
        load(spec)


@pytest.mark.parametrize("side", [40, 64, 113, 224])
def test_preprocessing_agrees_with_pillow(side: int) -> None:
    face = noisy_face(2, side)
    for mode, resample in (("bicubic", Image.BICUBIC), ("bilinear", Image.BILINEAR)):
        ours = Preprocessing((64, 64), (0, 0, 0), (1, 1, 1), mode)([face])[0].permute(1, 2, 0)
        theirs = np.asarray(Image.fromarray(face.crop).resize((64, 64), resample))
        assert np.abs(ours.numpy() * 255 - theirs).max() <= 0.001
    assert Preprocessing((64, 64), (0, 0, 0), (1, 1, 1))([]).shape == (0, 3, 64, 64)


def test_columns_know_what_they_lack() -> None:
    with pytest.raises(ValueError, match="no probability for 'neutral'"):
        Columns(COMPOUNDS).index("neutral")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_mixed_precision_agrees_with_the_cpu() -> None:
    cpu = load("timm:random/resnet18").scores(FACES).classes
    gpu = timm_net.load(parse("timm:random/resnet18"), "cuda")
    np.testing.assert_allclose(gpu.scores(FACES).classes, cpu, atol=0.02)
    heat = heatmaps.explain(gpu, Face(crop=FACES[0].crop), COMPOUNDS[0], "grad-cam")
    assert np.isfinite(heat.values).all()
