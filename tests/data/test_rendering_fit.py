from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rendering_fixtures import (
    correspondence,
    make_studio,  # noqa: F401
    mesh_places,
    portrait,
    tiny_kit,
)

from ferce.data.rendering.clay import _test_head, find_correspondence
from ferce.data.rendering.fit import Unfit, fit_portrait, fit_shape, hashed_split, solve
from ferce.data.rendering.person import Portrait, load_person, save_person
from ferce.data.rendering.prepare import fit_people, fitted_subjects, refusals
from ferce.data.rendering.raster import Camera, Light, read_light, rotation
from ferce.data.rendering.regions import paint_regions

KIT = tiny_kit()
REGIONS = paint_regions(KIT)
MATCH = correspondence(KIT)


def test_pose_and_identity_are_found_again():
    identity = np.array([0.8, -0.5, 0.3], np.float32)
    camera = Camera(rotation(12, -4, 3), 15.0, (250.0, 260.0))
    vertex = MATCH.vertex[:468]
    points = camera.project(KIT.head(identity))[vertex, :2]
    fitted, expression, view = fit_shape(KIT, vertex, np.ones(468, np.float32), points)
    shape = KIT.head(fitted)[vertex], KIT.head(identity)[vertex]
    assert np.abs(view.project(shape[0]) - camera.project(shape[1]))[:, :2].max() < 3  # pixels
    np.testing.assert_allclose(fitted[:2], identity[:2], atol=0.2)  # one view hardly shows depth
    np.testing.assert_allclose(view.rotation, camera.rotation, atol=0.06)
    assert view.scale == pytest.approx(15.0, rel=0.05)
    assert max(expression.values(), default=0) < 0.15


def test_texture_places_follow_the_landmarks():
    points = (mesh_places() * (16, -16) + 256).astype(np.float32)
    person = solve(portrait(), points, KIT, REGIONS, MATCH)
    used = MATCH.trusted
    miss = np.linalg.norm(person.places[MATCH.vertex[used]] - points[used], axis=1)
    assert np.median(miss) < 4.5  # the grid's spacing is 8 pixels
    assert abs(person.yaw) < 1


def test_light_is_read_from_brightness():
    rng = np.random.default_rng(0)
    normals = rng.normal(0, 0.5, (4000, 3)).astype(np.float32)
    normals[:, 2] = np.abs(normals[:, 2]) + 0.5
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    light = Light(0.5, (0.3, 0.2, 0.4))
    brightness = 120 * light.shade(normals)
    brightness[::9] *= 0.3  # a beard
    fitted = read_light(brightness, normals)
    assert np.degrees(angle(fitted.direction, light.direction)) < 15


def angle(a, b):
    return np.arccos(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def test_landmarks_find_their_vertices():
    calls = iter(range(99))
    truth = MATCH.vertex

    def reader(picture):
        assert picture.dtype == np.uint8
        return _test_head(KIT, REGIONS, next(calls))[1][truth], {}

    fitted = find_correspondence(KIT, REGIONS, reader, count=3)
    assert (fitted.vertex == truth).mean() > 0.98
    assert fitted.error.max() < 1


def test_a_reader_that_sees_nothing_is_an_error():
    with pytest.raises(RuntimeError, match="found 0"):
        find_correspondence(KIT, REGIONS, lambda picture: None, count=2)


def reader(shapes):
    points = (mesh_places() * (16, -16) + 256).astype(np.float32)
    return lambda picture: (points, shapes)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ({"mouthSmileLeft": 0.9}, "smiling"),
        ({"browDownRight": 0.6}, "frowning at rest"),
        ({"jawOpen": 0.3}, "mouth open"),
        ({"eyeBlinkLeft": 0.8}, "eyes closed"),
    ],
)
def test_faces_that_are_not_neutral_are_refused_with_the_reason(tmp_path, shapes, reason):
    Image.fromarray(portrait()).save(tmp_path / "a.png")
    with pytest.raises(Unfit, match=reason):
        fit_portrait(Portrait(tmp_path / "a.png", "a"), KIT, REGIONS, MATCH, reader(shapes))


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_unreadable_pictures_are_refused(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(Unfit, match="unreadable"):
        fit_portrait(Portrait(tmp_path / "a.jpg", "a"), KIT, REGIONS, MATCH, reader({}))


def test_people_are_fitted_once_and_refusals_listed(asset_paths, tmp_path):
    Image.fromarray(portrait()).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"")
    portraits = [Portrait(tmp_path / f"{n}.png", n, "web", "CC0-1.0") for n in ("good", "bad")]
    calls = []

    def counting(picture):
        calls.append(1)
        return reader({})(picture)

    for _ in range(2):
        verdicts = [why for _, why in fit_people(portraits, asset_paths, counting)]
        assert verdicts == ["", "unreadable"]
    assert len(calls) == 2, "the portrait and the drawing at rest, the first time only"
    assert refusals(asset_paths.people) == {"bad.png": "unreadable"}
    (subject,) = fitted_subjects(portraits, asset_paths)
    assert (subject.name, subject.split) == ("good", hashed_split("good"))


def test_person_survives_saving(asset_paths):
    path = Path(asset_paths.people) / "ann.npz"
    ann = load_person(path)
    save_person(ann, path.with_name("copy.npz"))
    again = load_person(path.with_name("copy.npz"))
    np.testing.assert_array_equal(ann.image, again.image)
    np.testing.assert_allclose(ann.rest, again.rest)
    assert again.credit == ann.credit
    assert again.light == ann.light


def test_splits_by_name_are_stable_and_about_right():
    splits = [hashed_split(f"person {i}") for i in range(2000)]
    assert splits.count("test") / 2000 == pytest.approx(0.15, abs=0.03)
    assert splits.count("val") / 2000 == pytest.approx(0.10, abs=0.03)
    assert hashed_split("person 0") == splits[0]
