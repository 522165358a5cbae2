"""A clip that is measured: its film, the cold process, the warm document."""

import pytest

from ferce.evaluation import clip, films
from ferce.evaluation.clip import ClipCost
from ferce.reading.video import open_clip


def test_a_film_shows_every_face_for_its_time(tmp_path, detector):
    with open_clip(films.write(tmp_path / "film.mp4", 1.0, rate=6)) as opened:
        frames = list(opened.frames())
        assert (opened.size, opened.rate, len(frames)) == ((1280, 720), 6.0, 6)
    assert all(len(detector.detect(frame.pixels)) == 1 for frame in frames[::2])


def test_a_clip_is_measured_cold_and_warm():
    costs = clip.measure(0.5)
    assert [cost.name.split(":")[0] for cost in costs] == ["cold process", "warm", "warm"]
    assert all(cost.wall > 0 < cost.processor for cost in costs)
    assert costs[1].wall < costs[2].wall


def test_a_checkout_that_cannot_read_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} could not read the clip"):
        clip.cold(films.write(tmp_path / "film.mp4", 0.2), tmp_path)


def test_the_table_holds_medians():
    costs = [ClipCost("read", wall, 2 * wall) for wall in (1.0, 2.0, 9.0)]
    assert clip.table({"a/b": costs}, 8.0).splitlines()[2] == "| b | read | 2.00 | 0.25 | 4.00 |"
