import json
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from tiny_clips import BUILDERS, build_clip
from tiny_models import PICTURE, face

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import Classifier, Explainable
from ferce.explanation import heatmaps
from ferce.models import clip, clip_heads, prompts
from ferce.models.calibration import Calibration, Columns, save_calibration
from ferce.models.clip_heads import ZeroShot
from ferce.models.hub import CheckpointError
from ferce.models.spec import parse

FACES = [face(seed, 40 + 10 * (seed % 3)) for seed in range(6)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("clips")
    return {name: build(root / name) for name, build in BUILDERS.items()}


def load(spec: str) -> clip.Clip:
    return clip.load(parse(spec), "cpu")


@pytest.mark.parametrize("family", BUILDERS)
def test_contract(folders, family: str, monkeypatch) -> None:
    tiny_models.forbid_pickle(monkeypatch)
    model = load(f"clip:{folders[family]}")
    assert isinstance(model, Classifier)
    assert isinstance(model, Explainable)
    assert str(parse(model.name)) == model.name
    rows = model.scores(FACES).classes
    np.testing.assert_allclose(rows.sum(1), 1)
    assert np.ptp(rows, axis=0).max() > 1e-3  # another face, another answer
    alone = np.concatenate([model.scores([one]).classes for one in FACES])
    np.testing.assert_allclose(rows, alone, atol=1e-5)
    assert len(model.scores([])) == 0
    assert model.features([]).shape == (0, model.features(FACES).shape[1])


@pytest.mark.parametrize("family", BUILDERS)
def test_same_scores_as_plain_transformers(folders, family: str) -> None:
    from transformers import AutoModel, AutoProcessor

    folder = folders[family]
    network, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    model = load(f"clip:{folder}?prompts=plain")
    text = prompts.label_sentences("plain")
    crops = [one.crop for one in FACES]
    expected = []
    for label in COMPOUNDS:
        padding = "max_length" if family == "siglip" else True
        inputs = processor(
            text=list(text[label]), images=crops, return_tensors="pt", padding=padding,
            max_length=64 if family == "siglip" else None, truncation=family == "siglip",
        )  # fmt: skip
        with torch.no_grad():
            out = network(**inputs)
        mean = out.text_embeds.mean(0)
        expected.append(out.image_embeds @ (mean / mean.norm()))
    logits = torch.stack(expected, 1) * network.logit_scale.exp()
    if family == "siglip":
        p = (logits + network.logit_bias).sigmoid()
        p = p / p.sum(1, keepdim=True)
    else:
        p = logits.softmax(1)
    np.testing.assert_allclose(model.scores(FACES).classes, p.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("family", BUILDERS)
@pytest.mark.parametrize("method", ["auto", "grad-cam", "layer-cam", "attention-rollout"])
def test_it_is_explained(folders, family: str, method: str) -> None:
    model = load(f"clip:{folders[family]}")
    heats = [heatmaps.explain(model, FACES[0], label, method) for label in COMPOUNDS[:4]]
    assert {h.layer for h in heats} == {"vision_model.encoder.layers.1.layer_norm1"}
    assert heats[0].values.shape == (FACES[0].size,) * 2
    assert not all(h.empty for h in heats)
    if method == "auto":
        assert heats[0].method == "attention-relevance"


@pytest.mark.parametrize("style", prompts.STYLES)
def test_every_label_has_its_own_sentences(style: str) -> None:
    table = prompts.label_sentences(style)
    assert tuple(table) == COMPOUNDS
    seen = [sentence for rows in table.values() for sentence in rows]
    assert all("{" not in s and s.endswith(".") for s in seen)
    if style != "units":  # some compounds share their units, none its name
        assert len(seen) == len(set(seen))
    assert all(len(rows) >= 2 for rows in table.values())


def test_sentences_name_what_the_face_does() -> None:
    core, usual, named = prompts.sentences("happily surprised", "units")
    assert core == (
        "a photo of a face: the inner brows are raised, the outer brows are raised, the lip "
        "corners are pulled up into a smile and the lips are parted."
    )
    assert "the jaw is dropped" in usual
    assert "happily surprised" in named
    with pytest.raises(ValueError, match="prompts must be one of"):
        prompts.sentences("happily surprised", "poetry")


def test_choice_of_sentences_changes_the_answer(folders) -> None:
    folder = folders["clip"]
    rows = [load(f"clip:{folder}?prompts={s}").scores(FACES).classes for s in ("plain", "units")]
    assert np.abs(rows[0] - rows[1]).max() > 1e-3


def clusters(n: int, width: int = 24, seed: int = 0, spread: float = 0.05):
    """n points a label around 14 directions: every head must tell them apart."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(14, width))
    x = np.repeat(centres / np.linalg.norm(centres, axis=1, keepdims=True), n, 0)
    x = x + rng.normal(size=x.shape) * spread
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x.astype(np.float32), [COMPOUNDS[k // n] for k in range(14 * n)]


def test_linear_probe_learns_and_is_optimal() -> None:
    x, labels = clusters(6)
    head = clip_heads.fit_linear(x, labels)
    held, truth = clusters(20, seed=1)
    guessed = head(torch.tensor(held)).argmax(1).numpy()
    assert np.mean([COMPOUNDS[k] == t for k, t in zip(guessed, truth, strict=True)]) > 0.95
    fixed = clip_heads.fit_linear(x, labels, l2=1e-2)
    weight = fixed.weight.double().requires_grad_()
    y = torch.tensor([COMPOUNDS.index(label) for label in labels])
    logits = torch.tensor(x, dtype=torch.double) @ weight.T + fixed.bias
    loss = torch.nn.functional.cross_entropy(logits, y) + 1e-2 * weight.square().sum()
    (gradient,) = torch.autograd.grad(loss, weight)
    assert gradient.abs().max() < 1e-4
    with pytest.raises(ValueError, match="got 'smug'"):
        clip_heads.fit_linear(x, ["smug"] * len(x))


def test_penalty_is_chosen_by_faces_left_out() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(84, 24)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    labels = [COMPOUNDS[k % 14] for k in range(84)]  # nothing to learn: the largest penalty wins
    chosen = clip_heads.fit_linear(noise, labels)
    strict = clip_heads.fit_linear(noise, labels, l2=max(clip_heads.L2))
    torch.testing.assert_close(chosen.weight, strict.weight)


def test_cache_adds_what_the_text_does_not_know() -> None:
    x, labels = clusters(4)
    text = ZeroShot(torch.nn.functional.normalize(torch.randn(14, 24), dim=1), 5.0)
    head = clip_heads.fit_cache(x, labels, text)
    held, truth = clusters(20, seed=1)
    y = np.array([COMPOUNDS.index(t) for t in truth])
    before = (text(torch.tensor(held)).argmax(1).numpy() == y).mean()
    after = (head(torch.tensor(held)).argmax(1).numpy() == y).mean()
    assert after > 0.95 > before


def test_cache_weighs_rare_labels_as_much() -> None:
    x, labels = clusters(6)
    keep = [k for k in range(len(labels)) if k // 6 != 0 or k == 0]  # one face of label 0
    head = clip_heads.fit_cache(
        x[keep], [labels[k] for k in keep], ZeroShot(torch.zeros(14, 24), 1)
    )
    np.testing.assert_allclose(head.values.sum(0), head.values.sum(0)[0].repeat(14), rtol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "cache"])
def test_head_is_saved_and_loaded_with_its_base(folders, kind: str, tmp_path: Path) -> None:
    base = load(f"clip:{folders['clip']}?prompts=plain")
    x, labels = base.features(FACES), [COMPOUNDS[k % 3] for k in range(len(FACES))]
    text = base.module.head
    if kind == "linear":
        head = clip_heads.fit_linear(x, labels, l2=1e-3)
    else:
        head = clip_heads.fit_cache(x, labels, text)
    base.module.head, base.calibration = head, Calibration(temperature=2.0, mass=0.7)
    clip.save(base, tmp_path / "head", "openai/clip-vit-base-patch32")
    again = load(f"clip:{folders['clip']}+{tmp_path / 'head'}")
    scores = again.scores(FACES)
    np.testing.assert_allclose(scores.classes, base.scores(FACES).classes, atol=1e-6)
    assert scores.mass == 0.7
    assert str(parse(again.name)) == again.name
    assert not heatmaps.explain(again, FACES[0], labels[0], "attention-rollout").empty
    assert {p.name for p in (tmp_path / "head").iterdir()} == {
        "config.json", "model.safetensors", "ferce.json"
    }  # fmt: skip
    with pytest.raises(CheckpointError, match="openai/clip-vit-base-patch32, whose weights differ"):
        load(f"clip:{folders['siglip']}+{tmp_path / 'head'}")
    with pytest.raises(CheckpointError, match="reads 24 features; the model gives 64"):
        load(f"clip:{folders['siglip']}+{tmp_path / 'head'}?base=any")


def test_what_cannot_be_loaded_is_one_sentence(folders, tmp_path: Path) -> None:
    def refused(spec: str, message: str, kind: type[Exception] = CheckpointError) -> None:
        with pytest.raises(kind, match=message) as error:
            load(spec)
        assert "\n" not in str(error.value)

    refused("clip", "got 'clip' alone", ValueError)
    refused(f"clip:{folders['clip']}?prompts=poetry", "prompts must be one of", ValueError)
    refused(f"clip:{folders['clip']}?colour=red", "Unknown option 'colour'", ValueError)
    refused(f"clip:{folders['clip']}?calibrate=grey", "no prompt prior", ValueError)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    (other / "model.safetensors").write_bytes(b"")
    refused(f"clip:{other}", "is of type 'bert'; the kind 'clip' loads clip and siglip")
    refused(f"clip:{folders['clip']}+{other}?base=any", "must hold a head, linear or cache")
    (other / "config.json").write_text(
        json.dumps({"head": "linear", "label_names": ["joy", "anger"]})
    )
    refused(f"clip:{folders['clip']}+{other}?base=any", r"2 classes \(joy, anger\)")


def test_tokenizer_that_knows_no_word_is_refused(tmp_path: Path) -> None:
    folder = build_clip(tmp_path)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    kept = ("<|startoftext|>", "<|endoftext|>")
    content["model"]["vocab"] = {k: v for k, v in content["model"]["vocab"].items() if k in kept}
    content["model"]["merges"] = []
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="cannot tell the sentences of the labels apart"):
        load(f"clip:{folder}")


def test_calibration_of_zero_shot_lies_beside_the_model(tmp_path: Path) -> None:
    folder = build_clip(tmp_path)
    sharp = load(f"clip:{folder}").scores(FACES)
    save_calibration(folder, Calibration(temperature=4.0, mass=0.6))
    soft = load(f"clip:{folder}").scores(FACES)
    assert soft.mass == 0.6
    assert soft.classes.max() < sharp.classes.max()


def test_map_covers_the_part_that_the_processor_keeps(tmp_path: Path) -> None:
    folder = build_clip(tmp_path)
    path = next(p for p in folder.glob("*processor_config.json"))
    config = json.loads(path.read_text())
    place = config.get("image_processor", config)
    place["size"] = {"shortest_edge": 2 * PICTURE}
    path.write_text(json.dumps(config))
    model = load(f"clip:{folder}")
    assert model.view().part == 0.5
    heat = heatmaps.explain(model, face(0, 80), COMPOUNDS[0], "attention-rollout").values
    assert heat[20:60, 20:60].min() > 0
    assert not heat[:20].any()


def test_columns_of_a_probe_may_hold_more_labels() -> None:
    x, labels = clusters(3)
    names = ["neutral", *COMPOUNDS]
    head = clip_heads.fit_linear(x, labels, names, l2=1e-3)
    scores = Columns(tuple(names)).scores(head(torch.tensor(x)).numpy(), Calibration())
    assert scores.neutral is not None
    np.testing.assert_allclose(scores.classes.sum(1), 1)
