"""The small FastVLM: rows as the app's prompts, features of the right picture, stages that fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_fixtures import aligned, sample, units

from ferce.core.labels import COMPOUNDS
from ferce.models import prompts
from ferce.models.spec import Spec
from ferce.models.vlm import packaged
from ferce.models.vlm.chat import Chat
from ferce.training.mini import TALK, album, chat, package, recipe, speech, talk
from ferce.training.mini.stage import Schedule
from ferce.training.progress import TrainingError

MADE = ({12: 0.9, 25: 0.9}, {4: 0.9}, {1: 0.9, 2: 0.9, 5: 0.8}, {9: 0.9, 10: 0.6}, {43: 1.0}, {})


def faces(split, count):
    made = [sample(k, units(MADE[k % len(MADE)]), split) for k in range(count)]
    return [replace(one, label=COMPOUNDS[k % 4]) if k % 2 else one for k, one in enumerate(made)]


def save_tower(folder):
    """A classifier's folder, with the weights that a tower is opened from."""
    import timm

    torch.manual_seed(0)
    folder.mkdir()
    network = timm.create_model(chat.LITE, num_classes=21)
    weights = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    save_file({"weight": torch.randn(24, chat.SEEN).half()}, folder / "units.safetensors")
    return folder


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    root = tmp_path_factory.mktemp("talk")
    sets = {
        "renders": [*faces("train", 12), *faces("val", 12), *faces("test", 6)],
        "faces": faces("train", 6),
        "annotated": [*faces("val", 12), *faces("test", 6)],
    }
    for name, rows in sets.items():
        album.pack(aligned(rows, root / name), len(rows), root / "albums" / name)
    schedules = {TALK: Schedule(steps=3, batch=4, warm=1, save=1e9)}
    tower = save_tower(root / "tower")
    return recipe.Recipe(root, tower=tower, schedules=schedules, report=said.append)


said: list[str] = []


@pytest.fixture(scope="module")
def opened(plan):
    albums = recipe.albums(plan)
    return albums, recipe.open_chat(plan, albums)


def test_a_row_is_what_the_app_asks(opened):
    _, backend = opened
    tokeniser = talk.ChatTokeniser(backend, chat.SIDE)
    asked = "Is the mouth open?"
    crop = np.zeros((40, 40, 3), np.uint8)
    (ids,) = backend.encode([crop], [asked])["input_ids"].tolist()
    assert tokeniser.prompt(asked) == tuple(ids)
    assert ids.count(backend.network.config.image_token_id) == chat.PLACES


def test_the_loss_is_that_of_plain_transformers(opened):
    albums, backend = opened
    turns = talk.spoken(albums, 0, 0).examples[:3]
    tokeniser = talk.ChatTokeniser(backend, chat.SIDE)
    batch = tokeniser.batch([tokeniser.row(turn) for turn in turns], "cpu")
    images = torch.randn(3, 3, chat.SIDE, chat.SIDE)
    net = talk.Talker(backend.network)
    with torch.no_grad():
        own, facts = net(chat.features(backend.network, images), batch)
        plain = [
            backend.network(
                pixel_values=images[i : i + 1], **{k: v[i : i + 1] for k, v in batch.items()}
            )
            for i in range(3)
        ]
    torch.testing.assert_close(own, torch.stack([one.loss for one in plain]), atol=1e-4, rtol=1e-4)
    assert facts.shape == (3, speech.FACTS)


def test_labels_are_answers_and_never_asked(opened):
    albums, _ = opened
    told = [turn for turn in talk.spoken(albums, 0, 0).examples if turn.task == "label"]
    assert len(told) == 3 * sum(one.label is not None for one in faces("train", 12)) > 0
    assert {talk.NAMED.count(label) for label in COMPOUNDS} == {1}
    assert all(label not in turn.prompt for turn in told for label in COMPOUNDS)
    first = next(turn for turn in told if turn.prompt == prompts.CLASSIFY)
    assert first.answer in (COMPOUNDS[1], COMPOUNDS[3])


def test_every_second_picture_is_mirrored(opened):
    albums, backend = opened
    seen, facts = talk.encode_faces(backend.network, albums["renders"], np.arange(4), (0, 0))
    assert seen.shape == (8, chat.PLACES, chat.SEEN)
    again, _ = talk.encode_faces(backend.network, albums["renders"], np.arange(4), (0, 0))
    assert torch.equal(seen, again)
    flags = torch.ones(4, dtype=torch.bool)
    left, right = facts[0::2].nan_to_num(-1), facts[1::2].nan_to_num(-1)
    assert torch.equal(speech.mirrored(left, flags), right)


def test_a_tower_of_another_make_is_refused(opened, tmp_path):
    _, backend = opened
    save_file({"weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    images = torch.zeros(2, 3, chat.SIDE, chat.SIDE)
    with pytest.raises(TrainingError, match="does not hold a tf_efficientnet_lite0"):
        chat.fresh(backend.processor.tokenizer, tmp_path, images)


@pytest.mark.slow
def test_from_albums_to_a_folder_that_answers(plan):
    recipe.run(plan, TALK)
    assert "talk epoch 1, step 3" in said[-1]
    recipe.run(plan, TALK)
    assert "going on from step 3" in said[-1]
    out = plan.folder / "out"
    package.export_chat(plan, out, "rendered:renders")
    assert max(path.stat().st_size for path in out.iterdir()) < 10_000_000
    told = package.measure_chat(plan, package.Packaged(out), "val")
    assert 0 <= told["renders"]["label_accuracy"] <= 1
    voice = packaged.load(Spec("fastvlm-mini", str(out)), "cpu")
    assert voice.name == f"fastvlm-mini:{out}"
    assert isinstance(voice, Chat)  # other words than the packaged one's: no graph fits
    tower = voice.network.model.vision_tower.timm_model.state_dict()
    fresh = recipe.open_chat(
        plan, recipe.albums(plan)
    ).network.model.vision_tower.timm_model.state_dict()
    assert all(torch.allclose(tower[k].float(), fresh[k].float(), atol=1e-3) for k in tower)
