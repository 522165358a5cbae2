import json

import numpy as np
import pytest
from PIL import Image
from rendering_fixtures import make_studio, tiny_kit  # noqa: F401

from ferce.data.rendering.compose import render
from ferce.data.rendering.dataset import (
    Output,
    caption,
    finished_lines,
    save_image,
    sheet_of,
    write_dataset,
    write_settings,
)
from ferce.data.rendering.degrade import DEGRADATIONS
from ferce.data.rendering.occluders import OCCLUDERS, CoveredFace
from ferce.data.rendering.plan import PHOTO, Settings, Subject, clay_subjects, plan

SETTINGS = Settings(count=6, seed=1, size=96, clay=0.4, occluded=0.4, degraded=0.5)
PEOPLE = [Subject("ann", PHOTO, "train"), Subject("bob", PHOTO, "test"), *clay_subjects(4)]


def pixels(folder):
    return [np.asarray(Image.open(p)) for p in sorted((folder / "images").iterdir())]


def test_pictures_do_not_depend_on_workers_and_runs_can_be_resumed(asset_paths, tmp_path):
    recipes = plan(SETTINGS, PEOPLE)
    one = Output(tmp_path / "one", 96, ".png")
    assert len(list(write_dataset(recipes, asset_paths, one))) == 6
    two = Output(tmp_path / "two", 96, ".png")
    stopped = write_dataset(recipes, asset_paths, two)
    next(stopped)
    stopped.close()
    with (two.folder / "metadata.jsonl").open("a") as log:
        log.write('{"file_name": "images/0000')  # cut off by a crash
    again = list(write_dataset(recipes, asset_paths, two, workers=2))
    assert len(again) == 5, "the finished one is not made again"
    for a, b in zip(pixels(one.folder), pixels(two.folder), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.folder / "metadata.jsonl").read_text() == (
        two.folder / "metadata.jsonl"
    ).read_text()
    assert list(write_dataset(recipes, asset_paths, one)) == []


def test_metadata_says_what_was_made(asset_paths, tmp_path):
    recipes = plan(SETTINGS, PEOPLE)
    list(write_dataset(recipes, asset_paths, Output(tmp_path, 96)))
    lines = [json.loads(t) for t in (tmp_path / "metadata.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(6))
    for line, recipe in zip(lines, recipes, strict=True):
        assert line["label"] == recipe.label
        assert line["split"] == recipe.subject.split
        assert line["person"] == recipe.subject.name
        assert line["licence"] in ("CC0-1.0", "MIT")
        assert {u["unit"] for u in line["action_units"]} == {a.unit for a in recipe.activations}
        assert all(u["intensity"] == max(u["left"], u["right"]) for u in line["action_units"])
        with Image.open(tmp_path / line["file_name"]) as picture:
            assert picture.size == (96, 96)
    assert sheet_of(tmp_path, lines, columns=3, size=64).shape == (2 * (64 + 14), 3 * 64, 3)


def test_a_lost_picture_is_made_again(asset_paths, tmp_path):
    recipes = plan(SETTINGS, PEOPLE)[:2]
    output = Output(tmp_path, 96)
    list(write_dataset(recipes, asset_paths, output))
    (tmp_path / output.name(1)).unlink()
    assert set(finished_lines(tmp_path)) == {0}
    assert [line["index"] for line in write_dataset(recipes, asset_paths, output)] == [1]


def test_folder_of_other_settings_is_refused(tmp_path):
    write_settings(tmp_path, SETTINGS, ["ann"])
    write_settings(tmp_path, SETTINGS, ["ann"])
    with pytest.raises(ValueError, match="another folder"):
        write_settings(tmp_path, Settings(count=6, seed=2), ["ann"])


def test_unknown_picture_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.jpg"):
        save_image(np.zeros((4, 4, 3), np.uint8), tmp_path / "a.bmp", 90)


def test_frame_levels_the_eyes(asset_paths):
    """A head tilted by 4 degrees is turned back, save for the recipe's own roll."""
    assets = asset_paths.load()
    (recipe,) = plan(Settings(count=1, clay=0, occluded=0, degraded=0, roll=0), PEOPLE[:1])
    image, line = render(assets, recipe, 128)
    assert image.shape == (128, 128, 3)
    assert line["roll"] == 0


@pytest.mark.parametrize("name", sorted(OCCLUDERS))
def test_occluders_cover_a_part_of_the_face(name):
    kit = tiny_kit()
    points = kit.vertices * np.array([10, -10, 10], np.float32) + np.array([128, 128, 0])
    face = CoveredFace(
        kit, points.astype(np.float32), np.array([180.0, 140, 120]), np.array([40.0, 30, 20])
    )
    plain = np.full((256, 256, 3), 160, np.uint8)
    covered = OCCLUDERS[name](plain, face, np.random.default_rng(0))
    share = (np.abs(covered.astype(int) - 160).max(2) > 12).mean()
    assert 0.01 < share < 0.6
    again = OCCLUDERS[name](plain, face, np.random.default_rng(0))
    np.testing.assert_array_equal(covered, again)


@pytest.mark.parametrize("name", sorted(DEGRADATIONS))
def test_degradations_keep_the_shape_and_grow_with_strength(name):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 64, 3), np.uint8)
    weak, strong = (
        DEGRADATIONS[name](image, s, np.random.default_rng(2)).astype(int) for s in (0.2, 1.0)
    )
    assert weak.shape == image.shape
    change = [np.abs(d - image).mean() for d in (weak, strong)]
    assert change[1] >= change[0] > 0


def test_caption_names_sides():
    unit = {"unit": 12, "intensity": 0.5, "left": 0.5, "right": 0.0}
    assert caption({"expression": None, "kind": "random", "action_units": [unit]}) == "random L12"
