"""Frames of clips: their number, times and places as players show them, and what is refused."""

from fractions import Fraction

import clip_fixtures as clips
import numpy as np
import pytest

from ferce.reading.video import Limits, VideoError, is_video, open_clip

MS = Fraction(1, 1000)


def grey(count, size=(64, 48)):
    return [np.full((size[1], size[0], 3), 10 * i % 250, np.uint8) for i in range(count)]


def test_frames_come_in_order_with_their_times(tmp_path):
    path = clips.write(tmp_path / "a.mp4", grey(20), rate=10)
    with open_clip(path) as clip:
        frames = list(clip.frames())
    assert (clip.size, clip.rate, clip.unreadable) == ((64, 48), 10.0, 0)
    assert clip.duration == pytest.approx(2.0, abs=0.15)
    assert [frame.number for frame in frames] == list(range(20))
    assert np.allclose([frame.seconds for frame in frames], np.arange(20) / 10, atol=1e-3)
    levels = [int(frame.pixels.mean()) for frame in frames]
    assert np.allclose(levels, [10 * i for i in range(20)], atol=6)


@pytest.mark.parametrize(("rate", "numbers"), [(5, [0, 2, 4, 6, 8]), (100, list(range(10)))])
def test_fewer_frames_a_second(tmp_path, rate, numbers):
    path = clips.write(tmp_path / "a.mp4", grey(10), rate=10)
    with open_clip(path) as clip:
        assert [frame.number for frame in clip.frames(rate)] == numbers


def test_large_frames_are_made_smaller_and_say_so(tmp_path):
    path = clips.write(tmp_path / "a.mp4", grey(2, (400, 200)))
    with open_clip(path) as clip:
        frame = next(clip.frames(side=100))
    assert frame.pixels.shape == (50, 100, 3)
    assert frame.scale == 4


@pytest.mark.parametrize("matrix", [
    (1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0),  # turned by quarters
    (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0),  # and mirrored
])  # fmt: skip
def test_frames_are_turned_and_mirrored_as_players_do(tmp_path, matrix):
    """Each stored place is shown where the matrix of the file says, whatever turn that is."""
    stored = np.full((48, 64, 3), 20, np.uint8)
    stored[8:16, 8:24] = 230
    path = clips.shown(clips.write(tmp_path / "a.mp4", [stored] * 3), *matrix)
    a, b, c, d = matrix
    places = np.argwhere(stored[..., 0] > 100)[:, ::-1] @ [[a, b], [c, d]]
    width, height = np.abs([64, 48] @ np.array([[a, b], [c, d]]))
    places += [(width - 1) * (a + c < 0), (height - 1) * (b + d < 0)]
    with open_clip(path) as clip:
        pixels = next(clip.frames()).pixels
    assert clip.size == (width, height)
    expected = np.zeros((height, width), bool)
    expected[places[:, 1], places[:, 0]] = True
    assert ((pixels[..., 0] > 125) == expected).mean() > 0.99


@pytest.mark.parametrize(("aspect", "size"), [((2, 1), (128, 48)), ((1, 2), (64, 96))])
def test_pixels_that_are_not_square_are_made_so(tmp_path, aspect, size):
    look = {"sample_aspect_ratio": Fraction(*aspect)}
    path = clips.write(tmp_path / "a.mp4", grey(3), **look)
    with open_clip(path) as clip:
        assert clip.size == size
        assert next(clip.frames()).pixels.shape == (size[1], size[0], 3)
    with open_clip(path) as clip:
        small = next(clip.frames(side=32))
    assert (max(small.pixels.shape), small.scale) == (32, max(size) / 32)


def test_the_size_of_a_clip_of_an_upright_phone_is_as_shown(tmp_path):
    path = clips.shown(clips.write(tmp_path / "a.mp4", grey(3)), 0, 1, -1, 0)
    with open_clip(path) as clip:
        assert clip.size == (48, 64)
        assert [frame.pixels.shape for frame in clip.frames()] == [(64, 48, 3)] * 3


def test_frames_of_another_resolution_are_shown_at_the_size_of_the_clip(tmp_path):
    """As calls over the network are recorded, whose resolution follows the line."""
    path = clips.of_sizes(tmp_path / "a.webm", [grey(3, size) for size in ((64, 48), (32, 24))])
    with open_clip(path) as clip:
        frames = list(clip.frames())
    assert clip.size == (64, 48)
    assert [(frame.pixels.shape, frame.scale) for frame in frames] == [((48, 64, 3), 1.0)] * 6


@pytest.mark.parametrize("name", ["a.mts", "a.m2ts"])
def test_a_camcorders_stream_is_read(tmp_path, name):
    """AVCHD: a transport stream with four bytes before each packet."""
    options = {"mpegts_m2ts_mode": "1"}
    path = clips.write(tmp_path / name, grey(10), codec="mpeg2video", rate=25, container=options)
    assert is_video(path)
    with open_clip(path) as clip:
        assert len(list(clip.frames())) == 10


def test_a_cover_picture_is_not_the_clip(tmp_path):
    path = clips.behind_cover(tmp_path / "a.mkv", grey(10))
    with open_clip(path) as clip:
        assert (clip.size, len(list(clip.frames()))) == ((64, 48), 10)


COLOURS = [(200, 60, 60), (60, 200, 60), (60, 60, 200), (220, 170, 140)]


@pytest.mark.parametrize(
    ("name", "size", "space"),
    [
        ("untagged.avi", (1280, 720), 1),
        ("tagged.mkv", (1280, 720), 5),
        ("untagged.avi", (320, 180), 5),
        ("tagged.mkv", (320, 180), 1),
    ],
)
def test_colours_without_a_tag_are_those_of_players(tmp_path, name, size, space):
    """BT.709 (1) for HD and BT.601 (5) for less; a tag goes before both."""
    path = clips.write(tmp_path / name, [bars(size)] * 2, codec="ffv1", colorspace=space)
    with open_clip(path) as clip:
        pixels = next(clip.frames()).pixels
    assert np.abs(middles(pixels).astype(int) - COLOURS).max() <= 4


def bars(size):
    rows = np.repeat([COLOURS], size[0] // 4, axis=1).repeat(size[1], axis=0)
    return rows.astype(np.uint8)


def middles(pixels):
    height, width = pixels.shape[:2]
    return pixels[height // 2, width // 8 :: width // 4]


def pq(light):
    """BT.2100, table 4: values of cd/m2."""
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light):
    """BT.2100, table 5: values of cd/m2 on a display of 1,000."""
    luminance = light @ [0.2627, 0.6780, 0.0593] / 1000
    scene = light / 1000 * luminance[..., None] ** (-1 / 6)
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)


@pytest.mark.parametrize(("transfer", "curve"), [(16, pq), (18, hlg)])
def test_a_clip_of_high_dynamic_range_has_the_colours_of_an_ordinary_one(tmp_path, transfer, curve):
    """As far as 8 bits go: white at 203 cd/m2 (BT.2408); here all is darker."""
    values = bars((320, 180)) / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    to_2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    coded = np.rint(65535 * curve(203 * linear @ np.transpose(to_2020))).astype(np.uint16)
    look = {"pix_fmt": "yuv420p10le", "colorspace": 9, "color_trc": transfer}
    path = clips.write(tmp_path / "a.mkv", [coded] * 2, codec="ffv1", **look)
    with open_clip(path) as clip:
        pixels = next(clip.frames()).pixels
    assert np.abs(middles(pixels).astype(int) - COLOURS).max() <= 10


def test_frames_at_uneven_times_keep_them(tmp_path):
    times = [int(1500 * (i / 19) ** 2) for i in range(20)]
    path = clips.write(tmp_path / "a.webm", grey(20), codec="libvpx", times=times, time_base=MS)
    with open_clip(path) as clip:
        seconds = [frame.seconds for frame in clip.frames()]
    assert np.allclose(seconds, np.array(times) / 1000, atol=2e-3)


def test_a_browsers_recording_without_a_duration_is_measured(tmp_path):
    live = {"live": "1"}
    path = clips.write(tmp_path / "a.webm", grey(20), rate=10, codec="libvpx", container=live)
    with open_clip(path) as clip:
        assert clip.duration == pytest.approx(2.0, abs=0.11)
        assert len(list(clip.frames())) == 20


def test_a_clip_that_is_too_long_is_refused_at_once(tmp_path):
    path = clips.write(tmp_path / "a.mp4", grey(30), rate=10)
    with pytest.raises(VideoError, match=r"a\.mp4 lasts 3 s; at most 2 s are read"):
        open_clip(path, Limits(seconds=2))


def test_frames_that_are_too_large_are_refused(tmp_path):
    path = clips.write(tmp_path / "a.mp4", grey(1))
    with pytest.raises(VideoError, match="64 x 48 pixels"):
        open_clip(path, Limits(pixels=1000))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no video"),
        (b"\xff\xd8\xff\xe0 JPEG", "no video"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "no video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "no video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no video"),
        (b"\0\0\0\x18ftypisom" + bytes(60), "damaged"),
        (b"\x1a\x45\xdf\xa3" + bytes(600), "damaged"),
        (b"\0\0\0\x01\x67 H.264 without a container" + bytes(600), "no video"),
    ],
)
def test_what_is_no_video_is_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=words):
        open_clip(path)


def test_a_cut_off_clip_is_read_as_far_as_it_goes(tmp_path):
    path = clips.write(tmp_path / "a.avi", [*grey(30, (160, 120))], rate=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_clip(path) as clip:
        count = len(list(clip.frames()))
    assert 1 <= count < 30


def test_frames_that_cannot_be_decoded_are_counted(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    path = clips.write(tmp_path / "a.avi", noise, rate=10)
    content = bytearray(path.read_bytes())
    chunks = [i for i in range(len(content)) if content[i : i + 4] == b"00dc"][10:12]
    for start in chunks:
        size = int.from_bytes(content[start + 4 : start + 8], "little")
        content[start + 8 : start + 8 + size] = b"\xff" * size
    path.write_bytes(content)
    with open_clip(path) as clip:
        count = len(list(clip.frames()))
    assert clip.unreadable >= 1
    assert count <= 29


def test_videos_are_told_by_content(tmp_path):
    photo = tmp_path / "photo.mp4"
    photo.write_bytes(b"\xff\xd8\xff\xe0")
    assert is_video(clips.write(tmp_path / "a.mp4", grey(2)))
    assert not is_video(photo)
    assert not is_video(tmp_path / "none.mp4")
