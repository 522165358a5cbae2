import numpy as np
import pytest

from ferce.data.rendering.person import angles
from ferce.data.rendering.raster import Camera, cover, rotation, vertex_normals

# y points down: these corners run counter-clockwise for somebody who looks at the picture
NEAR = np.array([(2, 12, 5), (12, 12, 5), (2, 2, 5)], np.float32)
FAR = np.array([(0, 15, 1), (15, 15, 1), (0, 0, 1)], np.float32)
ONE = np.array([(0, 1, 2)], np.int32)


def test_triangle_covers_its_half_of_the_square():
    seen = cover(NEAR, ONE, 16, 16)
    ys, xs = np.mgrid[:16, :16]
    inside = (xs >= 2) & (ys <= 12) & (xs - 2 <= ys - 2)
    np.testing.assert_array_equal(seen.triangle >= 0, inside)


def test_triangle_that_faces_away_is_not_drawn():
    assert (cover(NEAR, ONE[:, ::-1].copy(), 16, 16).triangle == -1).all()


def test_nearer_triangle_wins_in_any_order():
    points = np.concatenate([NEAR, FAR])
    both = np.array([(0, 1, 2), (3, 4, 5)], np.int32)
    front = cover(points, both, 16, 16).triangle
    back = cover(points, both[::-1].copy(), 16, 16).triangle
    assert front[10, 4] == 0
    assert back[10, 4] == 1
    assert (front[14, 4], back[14, 4]) == (1, 0)  # only the far one is there


def test_values_are_linear_over_a_triangle():
    seen = cover(NEAR, ONE, 16, 16)
    spread = seen.spread(ONE, NEAR[:, :2])
    ys, xs = np.nonzero(seen.triangle >= 0)
    np.testing.assert_allclose(spread[ys, xs], np.stack([xs, ys], 1), atol=1e-4)


def test_normals_of_a_square_point_at_the_viewer():
    square = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], np.float32)
    normals = vertex_normals(square, np.array([(0, 1, 2), (0, 2, 3)], np.int32))
    np.testing.assert_allclose(normals, np.tile([0, 0, 1], (4, 1)), atol=1e-6)


def test_camera_turns_y_down():
    camera = Camera(np.eye(3, dtype=np.float32), 10.0, (50.0, 60.0))
    np.testing.assert_allclose(camera.project(np.array([[1, 2, 3]], np.float32)), [[60, 40, 30]])


@pytest.mark.parametrize(
    ("turn", "axis", "sign"),
    [
        ((20, 0, 0), 0, 1),  # yaw > 0: the nose points to the picture's right
        ((0, 20, 0), 1, 1),  # pitch > 0: the nose points up
    ],
)
def test_the_nose_follows_the_angles(turn, axis, sign):
    nose = rotation(*turn) @ np.array([0, 0, 1], np.float32)
    assert sign * nose[axis] == pytest.approx(np.sin(np.radians(20)), abs=1e-5)


def test_roll_tilts_the_crown_to_the_left():
    assert (rotation(0, 0, 20) @ np.array([0, 1, 0], np.float32))[0] < 0


@pytest.mark.parametrize("turn", [(25, 0, 0), (0, -10, 0), (0, 0, 7), (12, -5, 3)])
def test_angles_undo_rotation(turn):
    np.testing.assert_allclose(angles(rotation(*turn)), turn, atol=1e-3)
