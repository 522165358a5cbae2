"""The app as it is measured: started, asked by a program, and its memory counted."""

from pathlib import Path

import pytest
from browser_fixtures import CHROMIUM

from ferce.evaluation import live, memory, start
from ferce.evaluation.served import answers, serve

PHOTO = Path(__file__).parents[2] / "ferce/data/demo/examples/smile.jpg"


def test_a_start_ends_with_a_reading():
    made = start.measure(PHOTO)
    assert made.page > 0 < made.reading
    assert all(spent > 0 for spent in made.processors)


def test_an_app_that_stops_is_noticed(tmp_path):
    (tmp_path / "app.py").write_text("raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="stopped before its page answered"), serve(tmp_path):
        pass
    assert not answers("http://127.0.0.1:9/")


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on the path (apt: chromium)")
def test_the_camera_is_counted_and_memory_measured_after_each_step():
    made = live.watch(CHROMIUM, seconds=2.0)
    assert made.rate > 0 < made.processor
    steps = memory.measure(PHOTO, CHROMIUM)
    assert [step for step, _ in steps][:2] == ["page", "a photo read"]
    assert all(size > 100 for _, size in steps)


def test_a_frame_is_timed_as_the_page_sends_it():
    sent = []
    made = live.frame(sent.append, count=12)
    assert len(sent) == 10 + 12
    assert made.wall >= 0 <= made.processor
    assert len(set(sent)) > 6  # the face moves
