"""The stages of the small BLIP-2 from packed faces to a folder that the app loads, some steps each.

It learns nothing worth having in so few steps; that each stage opens what the one before made, and
that the parts which must not learn stay as they are, is what is looked at.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_fixtures import aligned, sample, units

from ferce.core.types import Face
from ferce.models.spec import Spec
from ferce.models.vlm import blip2
from ferce.training.mini import STAGES, album, package, recipe, tower
from ferce.training.mini.stage import Schedule, averaged
from ferce.training.progress import TrainingError

pytestmark = pytest.mark.slow
MADE = ({12: 0.9, 25: 0.9}, {4: 0.9}, {1: 0.9, 2: 0.9, 5: 0.8}, {9: 0.9, 10: 0.6}, {43: 1.0}, {})


def faces(split, count):
    return [sample(k, units(MADE[k % len(MADE)]), split) for k in range(count)]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A recipe whose stages have run, and the folder that it was exported to."""
    root = tmp_path_factory.mktemp("tiny")
    schedules = {stage: Schedule(steps=2, batch=4, warm=1, save=1e9) for stage in STAGES}
    plan = recipe.Recipe(root, schedules=schedules, least=0.0, report=said.append)
    sets = {
        "renders": [*faces("train", 12), *faces("val", 30), *faces("test", 6)],
        "faces": [replace(s, coded=frozenset({4, 12, 25})) for s in faces("train", 6)],
        "annotated": [*faces("val", 12), *faces("test", 6)],
    }
    for name, rows in sets.items():
        album.pack(aligned(rows, root / name), len(rows), root / "albums" / name)
    save_teacher(root / "teacher.safetensors")
    plan = replace(plan, teacher=str(root / "teacher.safetensors"))
    for stage in STAGES:
        recipe.run(plan, stage)
    package.export(plan, root / "out")
    return plan, root / "out"


said: list[str] = []


def save_teacher(path):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model(tower.LITE).state_dict(), path)


def test_each_stage_tells_how_far_it_is_and_what_is_read(done):
    text = "\n".join(said)
    for stage in STAGES:
        assert f"{stage} epoch 1, step 2" in text
    assert "queries alike" in text
    assert "swapped" in text


def test_the_tower_of_the_bridge_is_the_one_that_was_taught(done):
    plan, _ = done
    network, _ = package.assemble(plan, "bridge")
    taught = averaged(plan.checkpoints("tower"))
    for name, weight in network.vision_model.state_dict().items():
        assert torch.equal(weight, taught[f"tower.{name}"]), name


def test_the_package_is_small_and_is_loaded_as_the_app_does(done):
    plan, folder = done
    files = [path for path in folder.iterdir() if path.is_file()]
    assert max(path.stat().st_size for path in files) < 10_000_000
    backend = blip2.load(Spec("blip2", str(folder)), "cpu")
    network, _ = package.assemble(plan)
    for name, weight in network.state_dict().items():
        assert torch.allclose(backend.network.state_dict()[name], weight, rtol=1e-3, atol=1e-4), (
            name
        )
    crop = np.random.default_rng(0).integers(0, 255, (144, 144, 3), dtype=np.uint8)
    (answer,) = backend.answer(Face(crop=crop), ["Is the mouth open?"])
    assert answer.voice == str(Spec("blip2", str(folder)))


def test_it_can_be_asked_how_well_it_answers(done):
    plan, folder = done
    told = package.measure(plan, package.Packaged(folder), "val")
    assert set(told) == {"renders", "annotated"}
    assert 0 <= told["renders"]["changed"] <= 1
    assert 0 <= told["renders"]["mention_f1"] <= 1
    assert (folder / "metrics.json").is_file()


def test_a_blind_tower_goes_no_further(done):
    plan, _ = done
    with pytest.raises(TrainingError, match=r"must reach 0\.92"):
        recipe.run(replace(plan, least=0.92), "bridge")


def test_a_stage_that_is_missing_is_named(done, tmp_path):
    plan, _ = done
    for name in ("albums", "processor"):
        (tmp_path / name).symlink_to(plan.folder / name)
    with pytest.raises(TrainingError, match="teach the stage tower first"):
        recipe.run(replace(plan, folder=tmp_path), "bridge")
