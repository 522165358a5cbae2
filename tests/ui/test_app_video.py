"""The Video and Live tabs: order of events, refusals, frames of a camera; and in a browser."""

import base64
import io
import itertools

import clip_fixtures as clips
import numpy as np
import pytest
from app_fixtures import ROOT
from axe import barriers
from browser_fixtures import CHROMIUM, chromium, new_page, settled
from patience import PATIENCE
from PIL import Image

from ferce.images import ImageError
from ferce.reading.pipeline import Reader
from ferce.ui.web.camera import Streams, answer, decode
from ferce.ui.web.examples import Examples
from ferce.ui.web.models import Models
from ferce.ui.web.runner import run
from ferce.ui.web.session import Clip, Session
from ferce.ui.web.tabs.live import Explain, StartCamera
from ferce.ui.web.tabs.video import ReadClip


@pytest.fixture(scope="module")
def reader(detector):
    return Reader(detector=detector)


@pytest.fixture(scope="module")
def models(reader):
    loaded = Models(lambda _: reader)
    loaded.start()
    assert loaded.wait(PATIENCE)
    return loaded


@pytest.fixture(scope="module")
def smile(astronaut, tmp_path_factory):
    """One second of a smiling face, in a format that Chromium can play too."""
    path = tmp_path_factory.mktemp("clips") / "smile.webm"
    return clips.write(path, clips.moved(astronaut, 12), rate=10, codec="libvpx")


@pytest.fixture(scope="module")
def camera(astronaut, tmp_path_factory):
    """What the fake camera of Chromium shows, as a film of JPEG pictures."""
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    path.write_bytes(b"".join(jpeg(frame) for frame in clips.moved(astronaut, 6, 2, 0.005)))
    return path


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def sent(pixels):
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(pixels)).decode()


def watching(models, path, seconds=60):
    """A page and what changes on it while it reads a clip."""
    session = Session(models)
    session.clip = Clip(path)
    return session, run(ReadClip(seconds), session, session.take("video"))


def watch(models, path, seconds=60):
    return list(watching(models, path, seconds)[1])


# ---- a clip ----


def test_the_example_clip_shows_three_of_the_photos(models, tmp_path):
    examples = Examples(ROOT / "ferce/data/demo/examples")
    assert examples.clip.stat().st_size < 300_000
    session, steps = watching(models, examples.clip)
    *_, last = steps
    assert "read in" in last["status"]
    assert len(session.clip.timeline.tracks) == 3
    assert Examples(tmp_path).clip is None


def test_a_clip_is_shown_part_by_part(models, smile):
    steps = watch(models, smile)
    assert "<progress" in steps[0]["status"]
    assert "lanes" in next(step for step in steps if "moments" in step)
    last = steps[-1]
    assert "read in" in last["status"]
    assert "happiness" in last["moments"]
    assert [kind in last["files"] for kind in (".html", ".csv", ".json")] == [True] * 3


@pytest.mark.parametrize(("content", "words"), [(b"no video", "no video"), (None, "at most 1 s")])
def test_clips_that_cannot_be_read_are_refused_calmly(models, smile, tmp_path, content, words):
    path = smile
    if content is not None:
        path = tmp_path / "<b>.mp4"
        path.write_bytes(content)
    (shown,) = watch(models, path, seconds=1)
    assert words in shown["status"]
    assert "sorry" in shown["status"]
    assert "<b>" not in shown["status"]


def test_a_new_clip_ends_the_old_run(models, smile):
    session, steps = watching(models, smile)
    next(steps)
    session.take("video")
    assert list(steps) == []


def test_stopping_keeps_what_was_read(models, smile):
    session, steps = watching(models, smile)
    next(steps)
    session.halt("video")
    rest = list(steps)
    assert "Stopped" in rest[-1]["status"]
    assert "files" in rest[-1]
    assert "waiting" not in rest[-1]["moments"]


# ---- a camera ----


def test_frames_become_numbers_and_nothing_is_kept(reader, astronaut):
    streams = Streams(itertools.count().__next__)
    name = streams.open(reader)
    for _ in range(3):
        answered = answer(streams, {"stream": name, "image": sent(astronaut)})
    (face,) = answered["faces"]
    assert (face["number"], face["label"], face["headline"]) == (1, "happy", "happiness")
    assert "mouth" in face["lit"]
    points = np.array([point for line in face["lines"] for point in line["points"]])
    x0, y0, x1, y1 = face["box"]
    assert (points >= (x0 - 1, y0 - 1)).all()
    assert (points <= (x1 + 1, y1 + 1)).all()
    stream = streams.of(name)
    assert not any(isinstance(value, np.ndarray) for value in vars(stream).values())


def test_a_face_keeps_its_number_where_frames_come_slowly(reader, astronaut):
    streams = Streams(itertools.count(step=2).__next__)  # seconds from frame to frame
    name, numbers = streams.open(reader), []
    for _ in range(3):
        answered = answer(streams, {"stream": name, "image": sent(astronaut)})
        numbers += [face["number"] for face in answered["faces"]]
    assert numbers == [1, 1, 1]


@pytest.mark.parametrize(
    "image",
    [None, 7, "", "data:image/png;base64,AAAA", "data:image/jpeg;base64,%%%", "file:///etc/passwd"],
)
def test_what_is_no_frame_is_refused(reader, image):
    with pytest.raises(ImageError):
        decode(image)
    streams = Streams()
    answered = answer(streams, {"stream": streams.open(reader), "image": image})
    assert set(answered) == {"problem"}


def test_streams_are_known_by_name_only_and_bounded(reader):
    streams = Streams()
    assert answer(streams, {"stream": "guess"})["ended"]
    assert answer(streams, None)["ended"]
    names = [streams.open(reader) for _ in range(40)]
    assert len(streams) == 16
    assert streams.of(names[0]) is None
    streams.close(names[-1])
    assert streams.of(names[-1]) is None


def explain(models, image):
    session = Session(models)
    return list(run(Explain({"image": image}), session, session.take("live")))


def test_a_moment_is_read_in_full(models, astronaut):
    steps = explain(models, sent(astronaut))
    shown = {name: value for step in steps for name, value in step.items()}
    assert "happiness" in shown["prediction"]
    assert "heat" in shown["where"]
    assert "cue" in shown["why"]
    (sorry,) = explain(models, "x")
    assert "no picture" in sorry["moment"]


def test_the_camera_starts_with_the_name_of_its_stream(models):
    streams, session = Streams(), Session(models)
    (shown,) = run(StartCamera(streams), session, session.take("camera"))
    name = shown["stream"].split('data-stream="')[1].split('"')[0]
    assert streams.of(name) is not None


# ---- in a browser ----


@pytest.mark.parametrize("sheet", ["video", "live"])
def test_rules_for_narrow_pages_are_not_dead(sheet):
    """Gradio puts `.gradio-container` before a media rule's selectors: theirs must not have it."""
    text = (ROOT / f"ferce/ui/web/{sheet}.css").read_text("utf-8")
    for block in text.split("@media")[1:]:
        assert ".gradio-container" not in block.split("\n}")[0]


@pytest.fixture(scope="module")
def page(camera, real):
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    flags.append(f"--use-file-for-fake-video-capture={camera}")
    with chromium(*flags) as browser:
        opened, faults = new_page(browser, 390, 800), []
        opened.context.grant_permissions(["camera"])
        opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else 0)
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.goto(real)
        opened.get_by_text("classifier:").wait_for()
        yield settled(opened)
        opened.context.close()
        assert faults == []


def turn_to(page, name):
    """On a phone the last tabs may stand in a menu."""
    tab = page.get_by_role("tab", name=name)
    if not tab.is_visible():
        page.locator(".overflow-menu > button").click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.click()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on the path (apt: chromium)")
def test_a_clip_in_the_browser(page, smile):
    from playwright.sync_api import expect

    turn_to(page, "Video")
    page.locator(".clip input[type=file]").set_input_files(str(smile))
    page.locator(".downloads a").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator(".moment .explanation")).to_have_count(1)
    page.locator(".lanes #seek").fill("0.5")
    assert page.locator(".lanes output").inner_text() == "0:00.5"
    # What a check rests on lies over the page only while its claim is looked at.
    evidence = page.locator(".moment .evidence").first
    expect(evidence).not_to_be_visible()
    page.locator(".moment .cue").first.focus()
    expect(evidence).to_be_visible()
    assert barriers(page) == {}


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on the path (apt: chromium)")
def test_the_camera_in_the_browser(page):
    turn_to(page, "Live")
    page.get_by_role("button", name="Start the camera").click()
    page.locator("[data-part=headline]", has_text="happiness").wait_for()
    page.locator("[data-part=pace]", has_text="frames a second").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Explain this moment").click()
    page.locator(".live-why .cue").first.wait_for()
    assert barriers(page) == {}
    page.get_by_role("button", name="Stop the camera").click()
    page.get_by_text("The camera is off.").wait_for()
    assert page.evaluate("document.querySelector('.stage video').srcObject") is None
