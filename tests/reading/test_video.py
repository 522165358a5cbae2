"""Clips: decoding and its refusals, faces followed, means over time, moments, files, command."""

import base64
import csv
import io
import json
import math

import clip_fixtures as clips
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferce.core.types import Face
from ferce.facs import decision
from ferce.reading import video
from ferce.reading.pipeline import Reader
from ferce.reading.video import (
    Options,
    Smoother,
    Tracker,
    formats,
    smooth,
)
from ferce.reading.video.expression import Expression, mean
from ferce.reading.video.formats import to_html
from ferce.reading.video.timeline import clock
from ferce.ui import cli

pytestmark = pytest.mark.filterwarnings("ignore:The NumPy module was reloaded:UserWarning")


@pytest.fixture(scope="module")
def reader(detector):
    return Reader(detector=detector)


@pytest.fixture(scope="module")
def smile(astronaut, tmp_path_factory):
    """Twelve frames at 10 a second of one smiling face that moves and grows."""
    folder = tmp_path_factory.mktemp("clips")
    return clips.write(folder / "smile.mp4", clips.moved(astronaut, 12), rate=10)


@pytest.fixture(scope="module")
def timeline(smile, reader):
    return video.read(smile, reader)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00.0"), (59.96, "0:59.9"), (61.25, "1:01.2")]
)
def test_clock_is_never_rounded_up(seconds, words):
    assert clock(seconds) == words


# ---- means over time ----

ROWS = st.lists(
    st.tuples(st.floats(0, 5), st.lists(st.floats(0, 1), min_size=3, max_size=3)),
    min_size=1,
    max_size=12,
)


@given(ROWS, st.floats(0, 2))
def test_means_lie_between_the_rows_and_keep_their_sum(rows, tau):
    times = sorted(time for time, _ in rows)
    values = [np.array(row) + 0.01 for _, row in rows]
    values = [row / row.sum() for row in values]
    live = Smoother(tau)
    for means in (
        smooth(times, values, tau),
        [live.add(*pair) for pair in zip(times, values, strict=True)],
    ):
        assert np.allclose([row.sum() for row in means], 1)
        assert (np.array(means) <= np.max(values, 0) + 1e-9).all()
        assert (np.array(means) >= np.min(values, 0) - 1e-9).all()


@given(ROWS)
def test_a_clip_played_backwards_has_the_same_means(rows):
    times = np.array(sorted(time for time, _ in rows))
    values = np.array([row for _, row in rows])
    back = smooth(list(5 - times[::-1]), list(values[::-1]))
    assert np.allclose(smooth(list(times), list(values)), back[::-1], atol=1e-9)


def test_the_formula():
    times, values, tau = [0.0, 0.1, 0.4], [np.array([v]) for v in (1.0, 0.0, 0.5)], 0.25
    weights = [[math.exp(-abs(t - s) / tau) for s in times] for t in times]
    both = [sum(w * v for w, v in zip(row, (1, 0, 0.5), strict=True)) / sum(row) for row in weights]
    assert np.allclose(np.ravel(smooth(times, values, tau)), both)
    live, past = Smoother(tau), weights[2]
    told = [live.add(*pair) for pair in zip(times, values, strict=True)]
    assert told[2][0] == pytest.approx(
        sum(w * v for w, v in zip(past, (1, 0, 0.5), strict=True)) / sum(past)
    )
    assert np.allclose(smooth(times, values, 0), values)
    with pytest.raises(ValueError, match="tau"):
        Smoother(-1)


# ---- tracks ----


def sighting(x, y=0.0, side=100.0, look=0):
    pattern = np.random.default_rng(look).integers(0, 255, (24, 24, 3), np.uint8)
    return Face(pattern, (x, y, x + side, y + side))


def test_faces_keep_their_numbers_whatever_their_order():
    tracker = Tracker()
    assert tracker.number([sighting(0), sighting(300, look=1)], 0.0) == [1, 2]
    assert tracker.number([sighting(310, look=1), sighting(20)], 0.1) == [2, 1]
    # Where they pass each other, what they look like tells them apart.
    assert tracker.number([sighting(40, look=1), sighting(45)], 0.2) in ([2, 1], [3, 1])


def test_a_gap_is_bridged_only_for_a_while():
    tracker = Tracker(patience=1.0)
    tracker.number([sighting(0)], 0.0)
    assert tracker.number([], 0.5) == []
    assert tracker.near(0.9) == ((0.0, 0.0, 100.0, 100.0),)
    assert tracker.number([sighting(10)], 0.9) == [1]
    assert tracker.number([sighting(10)], 2.5) == [2]
    assert tracker.near(9.0) == ()


def test_another_face_in_the_same_place_is_another_track():
    tracker = Tracker()
    assert tracker.number([sighting(0)], 0.0) == [1]
    assert tracker.number([sighting(0, look=5)], 0.1) == [2]


def test_a_small_face_is_found_and_followed_beside_a_large_one(astronaut, detector):
    import cv2

    frame = np.full((480, 854, 3), 110, np.uint8)
    frame[60:420, 40:400] = cv2.resize(clips.demo("examples/neutral.jpg"), (360, 360))
    frame[170:310, 610:750] = cv2.resize(astronaut[0:300, 80:380], (140, 140))
    assert len(detector.glance(frame)) == 1
    _, small = detector.glance(frame, small=True)
    moved = np.roll(frame, 12, axis=1)
    _, again = detector.glance(moved, [small.box])
    assert again.box[0] - small.box[0] == pytest.approx(12, abs=4)


# ---- expressions ----


def test_the_decision_on_numbers_is_that_on_the_face(smiling, reader):
    scores = reader.classifier.scores([smiling])
    told = Expression.of(scores, 0, smiling.units)
    one = told.decide(scores.outcome_mass, "x")
    other = decision.decide(scores, 0, smiling, "x")
    assert (one.state, one.label, one.set) == (other.state, other.label, other.set)
    assert told.shares.sum() == pytest.approx(1)
    back = Expression.from_row(told.row)
    assert np.array_equal(back.row, told.row)
    assert np.allclose(mean([told, back]).row, told.row)


# ---- whole clips ----


def test_one_face_is_one_track_that_smiles_throughout(timeline):
    (track,) = timeline.tracks
    assert [sample.frame for sample in track.samples] == list(range(12))
    assert {sample.label for sample in track.samples} == {"happy"}
    assert (timeline.frames, timeline.faceless, timeline.unreadable) == (12, 0, 0)
    (moment,) = timeline.moments
    assert (moment.kind, moment.label) == ("peak", "happy")
    assert "happiness" in moment.reading.explanation.text
    assert all(cue.seen for cue in moment.reading.explanation.cues)


def test_a_change_is_found_where_it_was_made(tmp_path, reader):
    pictures = [
        clips.demo(f"examples/{name}.jpg")[::2, ::2] for name in ("neutral", "happily_surprised")
    ]
    path = clips.write(tmp_path / "a.mp4", clips.faded(*pictures, 8, 2), rate=10)
    timeline = video.read(path, reader, Options(explain=False))
    changes = [moment for moment in timeline.moments if moment.kind == "change"]
    labels = {moment.label for moment in timeline.moments if moment.kind == "peak"}
    if len(timeline.tracks) == 1:  # a blend that MediaPipe follows
        assert len(changes) == 1
        assert 0.6 <= changes[0].seconds <= 1.2
    assert "happily surprised" in labels
    assert all(moment.reading is None for moment in timeline.moments)


def test_reading_can_be_stopped(smile, reader):
    seen = []

    def tell(progress):
        seen.append(progress)
        return len(seen) < 4

    timeline = video.read(smile, reader, Options(), tell)
    assert not timeline.complete
    assert timeline.frames == len(seen) == 4
    assert 0 < seen[-1].share < 0.5


def test_a_clip_reads_alike_on_one_core_and_on_several(smile, reader, monkeypatch):
    told = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        told.append(formats.clip_to_json(video.read(smile, reader)))
        told[-1].pop("seconds")
    assert told[0] == told[1]


def test_frames_that_are_asked_for_by_number_are_those_frames(smile):
    with video.open_clip(smile) as clip:
        every = {frame.number: frame.pixels for frame in clip.frames(rate=10)}
    wanted = list(every)[1:6:3]
    with video.open_clip(smile) as clip:
        some = {frame.number: frame.pixels for frame in clip.frames(10, numbers=wanted)}
    assert list(some) == wanted
    assert all(np.array_equal(some[number], every[number]) for number in wanted)


def test_a_plot_is_drawn_once_and_is_that_of_the_page(timeline, tmp_path, monkeypatch):
    video.plot.draw(timeline, tmp_path / "plot.png")
    monkeypatch.setattr(video.plot, "_figure", None)
    drawn = io.BytesIO()
    video.plot.draw(timeline, drawn)
    assert drawn.getvalue() == (tmp_path / "plot.png").read_bytes()
    page = formats.to_html(timeline)
    assert base64.b64encode(drawn.getvalue()).decode() in page


def test_a_clip_without_a_face(tmp_path, reader):
    path = clips.write(tmp_path / "a.mp4", np.zeros((5, 240, 320, 3), np.uint8))
    timeline = video.read(path, reader)
    assert (timeline.tracks, timeline.moments, timeline.faceless) == ((), (), 5)
    assert formats.clip_to_json(timeline)["tracks"] == []


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_plot_shows_every_face_with_its_labels_and_units(timeline, tmp_path, suffix):
    target = tmp_path / f"plot{suffix}"
    video.plot.draw(timeline, target)
    if suffix == ".svg":
        text = target.read_text("utf-8")
        assert "face 1: probability" in text
        assert "AU12" in text
        return
    pixels = np.asarray(Image.open(target).convert("RGB"))
    blue = (np.abs(pixels.astype(int) - (0, 0x72, 0xB2)).sum(2) < 30).mean()
    assert min(pixels.shape[:2]) > 500
    assert blue > 0.005  # bands of the units that are there


def test_a_plot_of_nobody_is_refused(tmp_path, reader):
    empty = video.read(
        clips.write(tmp_path / "grey.mp4", np.zeros((4, 48, 64, 3), np.uint8), rate=10), reader
    )
    with pytest.raises(ValueError, match="nothing to plot"):
        video.plot.draw(empty, tmp_path / "plot.png")


def test_the_table_has_one_row_a_frame_a_face(timeline):
    file = io.StringIO()
    formats.write_rows([timeline], file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert len(rows) == 12
    assert tuple(rows[0]) == formats.COLUMNS
    assert rows[0]["label"] == "happy"
    assert float(rows[3]["AU12"]) > 0.8
    assert float(rows[3]["AU6"]) > 0.3  # the packaged classifier tells it, MediaPipe cannot
    heads = [name for name in formats.COLUMNS if name.startswith("raw_") and "AU" not in name]
    shares = [float(rows[0][name]) for name in heads]
    assert sum(shares) == pytest.approx(1, abs=2e-3)


# ---- the command line ----


def run(*argv, reader):
    return cli.main([str(arg) for arg in argv], opener=lambda _: reader)


def test_a_clip_on_the_command_line(smile, tmp_path, reader, capsys):
    files = [tmp_path / f"out.{kind}" for kind in ("csv", "json", "svg")]
    options = ("--csv", files[0], "--json", files[1], "--plot", files[2], "--rate", "5")
    assert run(smile, *options, reader=reader) == cli.READ
    out, err = capsys.readouterr()
    assert "happy 100% of the time" in out
    assert "resembles" in out
    assert len(files[0].read_text().splitlines()) == 1 + 6
    (clip,) = json.loads(files[1].read_text())["clips"]
    assert clip["tracks"][0]["labels"] == ["happy"] * 6
    assert "AU12 lip corner puller" in files[2].read_text() or files[2].stat().st_size > 5000
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["{clip}", "--html", "x.html"], "--html is for photos"),
        (["{clip}", "{photo}"], "read them apart"),
        (["{photo}", "--rate", "5"], "for videos"),
        (["{clip}", "--plot", "x.gif"], "must end in"),
        (["{clip}", "--rate", "0"], "must be above 0"),
    ],
)
def test_wrong_usage(smile, tmp_path, reader, capsys, argv, words):
    photo = tmp_path / "a.png"
    photo.write_bytes(b"\x89PNG")
    told = [arg.format(clip=smile, photo=photo) for arg in argv]
    assert run(*told, reader=reader) == cli.USAGE
    assert words in capsys.readouterr().err


def test_a_clip_that_is_too_long_is_named_once(smile, reader, capsys):
    assert run(smile, "--max-seconds", "1", reader=reader) == cli.SOME_FAILED
    err = capsys.readouterr().err
    assert err.count("smile.mp4") == 1
    assert "at most 1 s" in err


def test_a_clip_becomes_one_page_with_its_moments(timeline):
    text = to_html(timeline)
    assert f"Expressions in {timeline.name}" in text
    assert "data:image/png;base64," in text
    read = [moment for moment in timeline.moments if moment.reading is not None]
    assert text.count('<section class="face') == len(read)
    assert "undefined" not in text
