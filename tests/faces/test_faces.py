import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from ferce import images
from ferce.core.types import REGIONS, Quality
from ferce.data.sources import DEMO
from ferce.faces.detector import FaceDetector, problem, sharpness
from ferce.faces.geometry import alignment, region_masks, warp


def on_grey(photo, side, *places):
    """A grey picture with the photo pasted at each (x, y)."""
    canvas = np.full((side, side, 3), 110, np.uint8)
    for x, y in places:
        canvas[y : y + len(photo), x : x + photo.shape[1]] = photo
    return canvas


def shrunk(photo, size):
    return cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA)


def test_smile_is_measured(smiling):
    assert smiling.problem is None
    assert smiling.blendshapes["mouthSmileLeft"] == pytest.approx(0.90, abs=0.05)
    assert smiling.blendshapes["mouthSmileRight"] == pytest.approx(0.90, abs=0.05)
    assert smiling.units[12].intensity > 0.9
    assert smiling.units[12].confidence > 0.9


def test_dead_channels_are_not_claimed(smiling):
    for unit in (6, 9, 11):
        assert smiling.units[unit].confidence == 0


def test_a_smile_lifts_the_lip_but_is_not_disgust(smiling):
    assert smiling.blendshapes["mouthUpperUpLeft"] > 0.3  # what naive tables read as AU10
    assert smiling.units[10].intensity < 0.25


def test_eyes_are_level_and_the_face_centred(smiling):
    points = smiling.landmarks_in_crop
    right, left = points[[33, 133]].mean(0), points[[362, 263]].mean(0)
    assert abs(right[1] - left[1]) < 1
    assert right[0] < left[0]  # the person's right eye is on the picture's left
    assert np.allclose((points.min(0) + points.max(0)) / 2, smiling.size / 2, atol=1)


def test_regions_are_apart_and_hold_their_landmarks(smiling):
    assert tuple(smiling.regions) == REGIONS
    assert np.max(np.sum(list(smiling.regions.values()), axis=0)) == 1
    x, y = smiling.landmarks_in_crop.round().astype(int).T
    places = {"mouth": 13, "nose": 4, "eyes": 159, "brows": 105, "cheeks": 50, "chin": 199}
    for region, landmark in places.items():
        assert smiling.regions[region][y[landmark], x[landmark]], region


def test_box_lies_around_the_landmarks_in_the_photo(smiling, astronaut):
    x0, y0, x1, y1 = smiling.box
    assert 0 < x0 < x1 < astronaut.shape[1]
    assert 0 < y0 < y1 < astronaut.shape[0]
    assert x0 == pytest.approx(smiling.landmarks[:, 0].min())


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_turned_photo(detector, astronaut, smiling, quarter):
    (face,) = detector.detect(np.ascontiguousarray(np.rot90(astronaut, quarter)))
    assert face.units[12].intensity > 0.9
    difference = face.crop.astype(int) - smiling.crop.astype(int)
    assert np.abs(difference).mean() < 12  # the same upright crop


def turned(astronaut, angle, side=600):
    """The astronaut's head on grey, turned counter-clockwise; the matrix of that turn."""
    place = (side - 300) // 2
    canvas = on_grey(astronaut[:300, 60:360], side, (place, place))
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1)
    return cv2.warpAffine(canvas, matrix, (side, side), borderValue=(110, 110, 110)), matrix


@pytest.mark.parametrize("angle", [30, -40, 50, -60, 90, 130, -150, 180])
def test_the_mesh_turns_with_the_head(detector, astronaut, angle):
    (level,) = detector.detect(turned(astronaut, 0)[0])
    photo, matrix = turned(astronaut, angle)
    want = level.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    for face in (*detector.detect(photo), *detector.glance(photo)):  # a photo, a frame
        off = np.linalg.norm(face.landmarks[:, :2] - want, axis=1).mean()
        assert off < 0.02 * level.quality.size
        assert face.problem is None
        moved = [abs(face.blendshapes[k] - level.blendshapes[k]) for k in level.blendshapes]
        assert np.mean(moved) < 0.05
        assert face.quality.yaw == pytest.approx(level.quality.yaw, abs=4)
        assert face.quality.pitch == pytest.approx(level.quality.pitch, abs=4)


def test_the_pose_does_not_depend_on_the_place(detector, astronaut):
    places = ((0, 350), (650, 350), (325, 0), (325, 700))
    head = astronaut[:300, 60:360]
    poses = []
    for place in places:
        (face,) = detector.detect(on_grey(head, 1000, place))
        poses.append((face.quality.yaw, face.quality.pitch))
    assert np.ptp(poses, axis=0).max() < 4


def test_a_face_that_cannot_be_verified_says_so(astronaut, monkeypatch):
    with FaceDetector() as detector:
        monkeypatch.setattr(detector, "_score", lambda _: 0.7)  # whichever way it is turned
        monkeypatch.setattr(detector, "_steady", lambda *_: False)
        monkeypatch.setattr("ferce.faces.detector.PLAIN", 1.0)
        (face,) = detector.detect(astronaut)
    assert "cannot be verified" in face.problem


def test_long_photos_are_searched_in_their_shape(detector, astronaut):
    panorama = np.full((500, 5000, 3), 110, np.uint8)
    for x in (100, 1700, 3000, 4600):
        panorama[150:350, x : x + 200] = shrunk(astronaut[:300, 60:360], 200)
    for photo in (panorama, np.ascontiguousarray(np.rot90(panorama))):
        faces = detector.detect(photo)
        assert [face.problem for face in faces] == [None] * 4


def test_small_faces_are_found_beside_a_near_one(detector, astronaut):
    head = astronaut[:300, 60:360]
    photo = on_grey(shrunk(head, 1000), 1400, (50, 350))
    for x, y in ((1150, 100), (1150, 500), (1150, 900)):
        photo[y : y + 200, x : x + 200] = shrunk(head, 200)
    assert len(detector.detect(photo)) == 4


def test_faces_beyond_the_limit_are_named(astronaut):
    head = shrunk(astronaut[:300, 60:360], 200)
    photo = np.tile(head, (5, 5, 1))
    with FaceDetector(max_faces=3) as detector:
        faces = detector.detect(photo)
    assert len(faces) == 25
    assert [face.problem for face in faces[:3]] == [None] * 3
    assert all("only the 3 largest" in face.problem for face in faces[3:])
    with pytest.raises(ValueError, match="max_faces"):
        FaceDetector(max_faces=0)


def test_a_detector_that_is_never_closed_ends_quietly():
    code = (
        "import numpy as np\nfrom ferce.faces.detector import FaceDetector\n"
        "detector = FaceDetector()\ndetector.detect(np.zeros((64, 64, 3), np.uint8))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_several_small_faces(detector, astronaut):
    places = ((60, 60), (900, 80), (500, 900))
    faces = detector.detect(on_grey(shrunk(astronaut, 330), 1400, *places))
    assert len(faces) == 3
    assert all(face.units[12].intensity > 0.8 for face in faces)


def test_tight_crop_is_found_with_a_border(detector, smiling):
    points = smiling.landmarks_in_crop
    low, high = points.min(0).astype(int), points.max(0).astype(int)
    tight = smiling.crop[low[1] : high[1], low[0] : high[0]]
    (face,) = detector.detect(shrunk(tight, 100))
    assert face.problem is None
    x0, y0, x1, y1 = face.box
    assert np.allclose([x0, y0, x1, y1], [0, 0, 100, 100], atol=15)


def before_a_window(photo, box):
    """The photo with 3 % of its light within the head and a white ground."""
    x0, y0, x1, y1 = box
    y, x = np.mgrid[: len(photo), : photo.shape[1]]
    reach = np.hypot((x - (x0 + x1) / 2) / (x1 - x0) / 0.75, (y - (y0 + y1) / 2) / (y1 - y0) / 0.8)
    head = np.clip(3 * (1.15 - reach), 0, 1)[..., None]
    return (photo * 0.03 * head + 255 * (1 - head)).astype(np.uint8)


@pytest.mark.parametrize("name", ["sadly_angry", "happily_disgusted", "happily_surprised"])
def test_a_face_before_a_window_is_found(detector, name):
    photo = images.load(DEMO / "examples" / f"{name}.jpg")
    (lit,) = detector.detect(photo)
    (dark,) = detector.detect(before_a_window(photo, lit.box))
    assert "too dark to read; brighten" in dark.problem
    assert np.allclose(dark.box, lit.box, atol=0.04 * len(photo))


def test_what_a_copy_shows_takes_no_other_face_away(detector, astronaut, monkeypatch):
    (face,) = detector._search(astronaut)
    left, right = (
        replace(face, mesh=face.mesh + np.float32([x, 0, 0]), verified=False) for x in (0, 300)
    )
    monkeypatch.setattr(detector, "_search", lambda *_: [left, right])
    monkeypatch.setattr(detector, "_back_lit", lambda _: [face])
    problems = [face.problem or "" for face in detector.detect(astronaut)]
    assert ["verified" in problem for problem in problems] == [False, True]


def test_no_face(detector, astronaut):
    assert detector.detect(np.zeros((200, 300, 3), np.uint8)) == []
    assert detector.detect(np.ascontiguousarray(astronaut[300:, 300:])) == []
    for name in ("brick", "grass", "coins", "page", "moon"):
        texture = getattr(skimage.data, name)()
        assert detector.detect(np.stack([texture] * 3, -1)) == []


def test_contrast_makes_no_face_of_a_dark_oval(detector):
    oval = cv2.ellipse(np.zeros((500, 500, 1), np.uint8), (250, 250), (80, 100), 0, 0, 360, 1, -1)
    for seed in range(20):
        noise = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)
        dark = np.where(oval > 0, cv2.resize(noise, (500, 500)) // 20, 255).astype(np.uint8)
        assert detector._back_lit(dark) == []


def test_tiny_face_is_named_not_read(detector, astronaut):
    faces = detector.detect(shrunk(astronaut, 150))
    assert [("too small" in face.problem) for face in faces] == [True]


def test_blurred_face_is_named_not_read(detector, astronaut):
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 4)
    for face in detector.detect(blurred):
        assert "blurred" in face.problem


def test_a_dark_face_is_named_not_read(detector, astronaut):
    for light, dark in ((0.5, False), (0.25, False), (0.1, True)):
        (face,) = detector.detect((astronaut * light).astype(np.uint8))
        assert ("too dark to read" in (face.problem or "")) == dark


def test_sharpness_falls_with_blur_and_not_with_contrast(smiling):
    values = [sharpness(cv2.GaussianBlur(smiling.crop, (0, 0), s)) for s in (1, 3, 6, 12)]
    assert values == sorted(values, reverse=True)
    dim = (smiling.crop * 0.5).astype(np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(smiling.crop), rel=0.1)
    assert sharpness(np.full_like(dim, 90)) == 0


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        (Quality(100, 0.1, 0, 0, 0), None),
        (Quality(30, 0.1, 0, 0, 0), "small"),
        (Quality(100, 0.1, 70, 0, 0), "turned"),
        (Quality(100, 0.1, 0, -60, 0), "turned"),
        (Quality(100, 0.001, 0, 0, 0), "blurred"),
    ],
)
def test_problem(quality, word):
    said = problem(quality)
    assert (said is None) if word is None else (word in said)


@pytest.mark.parametrize(
    ("yaw", "words"),
    [
        (0, None),
        (-29, None),
        (31, "The head is turned 31 degrees: the far side is guessed."),
        (-50, "turned 50 degrees: the far side is guessed, and half or more"),
    ],
)
def test_a_turned_head_is_read_with_caution(yaw, words):
    quality = Quality(200, 0.05, yaw, 0, 0)
    assert problem(quality) is None
    assert (words is None) == (quality.caution is None)
    assert words is None or words in str(quality.caution)


def test_closing_twice_and_reading_again(astronaut):
    detector = FaceDetector()
    assert len(detector.detect(astronaut)) == 1
    detector.close()
    detector.close()
    assert len(detector.detect(astronaut)) == 1
    detector.close()


def test_wrong_array_is_refused(detector):
    with pytest.raises(ValueError, match="uint8 RGB"):
        detector.detect(np.zeros((10, 10), np.uint8))
    with pytest.raises(ValueError, match="uint8 RGB"):
        detector.detect(np.zeros((10, 10, 3), np.float32))


def test_missing_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.task"):
        FaceDetector(model=tmp_path / "nowhere.task")


def oval(angle, scale, x, y):
    """478 points on a spiral, turned, scaled and moved; eye corners on a line."""
    t = np.linspace(0, 30, 478)
    points = np.stack([np.cos(t), 1.3 * np.sin(t)], 1) * (t / 30)[:, None]
    points[[33, 133, 362, 263]] = [[-0.6, -0.2], [-0.2, -0.2], [0.2, -0.2], [0.6, -0.2]]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points @ turn.T * scale + [x, y]).astype(np.float32)


@settings(max_examples=50, deadline=None)
@given(st.floats(-3, 3), st.floats(20, 900), st.floats(-200, 2000), st.floats(-200, 2000))
def test_align_then_back_is_the_identity(angle, scale, x, y):
    points = oval(angle, scale, x, y)
    matrix = alignment(points, 224)
    crop = points @ matrix[:, :2].T + matrix[:, 2]
    assert abs(crop[[33, 133], 1].mean() - crop[[362, 263], 1].mean()) < 1e-2
    assert crop.min() >= 0
    assert crop.max() <= 224
    back = cv2.invertAffineTransform(matrix)
    assert np.allclose(crop @ back[:, :2].T + back[:, 2], points, atol=1e-2)


def test_warp_moves_pixels_where_the_matrix_says():
    photo = np.zeros((400, 400, 3), np.uint8)
    photo[100:200, 200:300] = 255
    matrix = np.array([[0.25, 0, 0], [0, 0.25, 0]])
    crop = warp(photo, matrix, 100)
    assert crop[30:45, 55:70].min() == 255
    assert crop[:20].max() == 0
    assert crop[52:].max() == 0


def test_masks_follow_the_size(smiling):
    half = region_masks(smiling.landmarks_in_crop / 2, smiling.size // 2)
    for name, mask in smiling.regions.items():
        assert half[name].mean() == pytest.approx(mask.mean(), rel=0.15)
