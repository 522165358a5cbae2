import numpy as np
import pytest
from rendering_fixtures import tiny_kit, tiny_person

from ferce.data.rendering.express import Activation
from ferce.data.rendering.person import Pose
from ferce.data.rendering.photo import Appearance, render_photo
from ferce.data.rendering.raster import STUDIO, Light
from ferce.data.rendering.regions import paint_regions
from ferce.data.rendering.texture import displacement, outline_targets, warp_rim

KIT = tiny_kit()
REGIONS = paint_regions(KIT)
ANN = tiny_person(KIT)


def draw(*acts, **appearance):
    return render_photo(KIT, REGIONS, ANN, Appearance(acts, **appearance)).image.astype(int)


REST = draw()


def test_at_rest_the_portrait_is_given_back():
    skin = np.s_[300:330, 180:330]  # between nose and eyes nothing was painted
    assert np.abs(REST[skin] - ANN.image[skin]).mean() < 4


@pytest.mark.parametrize("unit", [1, 2, 4, 6, 7, 9, 10, 12, 14, 15, 20])
def test_left_unit_changes_the_left_half_only(unit):
    changed = np.abs(draw(Activation(unit, 1.0, 0.0)) - REST).max(2)
    left, right = changed[:, 290:], changed[:, :222]  # the subject's left is the picture's right
    assert left.max() > 10
    assert right.max() <= 0.2 * left.max()  # a lower lip that follows is not sided
    mirrored = np.abs(draw(Activation(unit, 0.0, 1.0)) - REST).max(2)
    assert mirrored[:, :222].max() > 10
    assert mirrored[:, 290:].max() <= 0.2 * mirrored[:, :222].max()


def test_a_dropped_jaw_changes_the_mouth_not_the_brow():
    changed = np.abs(draw(Activation(26, 1.0, 1.0)) - REST).max(2)
    assert changed[300:400].max() > 20
    assert changed[100:180].max() <= 2


def test_turning_moves_the_nose_to_the_right():
    turned = render_photo(KIT, REGIONS, ANN, Appearance(pose=Pose(yaw=25)))
    nose = int(KIT.landmarks68[30])
    assert turned.points[nose, 0] > ANN.places[nose, 0] + 15
    assert turned.angles[0] == pytest.approx(25, abs=0.1)


def test_lamp_from_the_right_brightens_the_right():
    lamp = Light(0.4, (0.5, 0.1, 0.3))
    change = (draw(light=lamp) - REST).mean(2)
    assert change[200:300, 330:370].mean() > change[200:300, 140:180].mean() + 10
    assert np.abs(draw(light=STUDIO) - REST).mean() < 3, "the portrait's own light changes nothing"


def test_backdrop_moves_at_the_places_and_holds_at_the_edge():
    places, moves = np.array([[64.0, 64.0]]), np.array([[10.0, -6.0]])
    field = displacement(places, moves, 128, 128)
    np.testing.assert_allclose(field[68, 68], [10, -6], atol=1.5)
    assert np.abs(field[[2, -3]]).max() < 1
    assert np.linalg.norm(field[40, 40]) < np.linalg.norm(field[60, 60])


def test_picture_follows_its_targets():
    image = np.zeros((128, 128, 3), np.uint8)
    image[60:68, 74:82] = 200  # what lies at the source is shown at the target
    moved = warp_rim(image, np.array([[64.0, 64.0]]), np.array([[74.0, 64.0]]))
    assert moved[64, 68, 0] > image[64, 68, 0] + 50


def test_hidden_rim_goes_to_the_silhouette():
    mask = np.zeros((20, 40), bool)
    mask[:, 10:31] = True
    rim = np.array([[12.0, 5], [25.0, 5], [12.0, 15], [25.0, 15]])
    hidden = np.array([False, True, False, True])
    out = outline_targets(rim, hidden, mask)
    np.testing.assert_array_equal(out[:, 0], [12, 30, 12, 30])
