"""A corpus of broken files gives one sentence each, and no memory is taken."""

import re
import resource
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from image_corpus import BIG, BROKEN, HARMLESS, HEADS, KINDS, flipped, gif
from image_fixtures import CARD, GOOD, RAMP, RAMP8, H, W, assert_sentence, heic, refused, same, tiff
from PIL import ImageFile

from ferce.images import ImageError, load


def test_the_corpus_is_large():
    assert len(BROKEN) + len(HARMLESS) >= 60


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(name, tmp_path):
    content, words = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, f"^{re.escape(name)} .*({words})")


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_damage_is_overlooked(name, capfd):
    content, tolerance = HARMLESS[name]
    same(load(content), CARD, tolerance)
    assert capfd.readouterr() == ("", "")


def test_tiff_tags_that_pillow_would_warn_about_are_muted():
    tags = {305: 4, 34665: 2**31, 282: 0}
    broken = [(305, 2, 10**9, 50), (34665, 4, 1, 2**31), (700, 1, 2**31, 8)]
    start = 8 + 2 + 12 * (9 + len(broken)) + 4
    sizes = {256: W, 257: H, 258: 16, 259: 1, 262: 1, 273: start, 277: 1, 278: H, 279: 2 * W * H}
    good = [(tag, 4, 1, value) for tag, value in sizes.items()]
    assert set(tags) >= {tag for tag, *_ in broken[:2]}
    same(load(tiff(good + broken, RAMP.astype("<u2").tobytes())), RAMP8)


# With Pillow's switch to fill truncated photos, which a host may set, its other readers do fill.
CUT = [(kind, False) for kind in KINDS] + [(kind, True) for kind in ("jpeg", "png", "webp")]


@pytest.mark.parametrize(("kind", "fills"), CUT)
def test_truncated_files_are_refused_or_whole(kind, fills, monkeypatch):
    """At 25 lengths: the very pixels of the whole file, or a refusal; never half a photo."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", fills)
    data = GOOD[KINDS[kind]][0]
    whole = load(data)
    lengths = {*np.linspace(1, len(data) - 1, 20, dtype=int), *range(len(data) - 6, len(data))}
    for length in map(int, lengths):
        try:
            got = load(data[:length])
        except ImageError as error:
            assert_sentence(str(error))
        else:
            same(got, whole)
            assert length > 0.9 * len(data)


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_header_bytes_never_escape(kind, capfd):
    data = GOOD[KINDS[kind]][0]
    for place in range(0, min(len(data), 160), 2):
        try:
            got = load(flipped(data, place))
        except ImageError as error:
            assert_sentence(str(error))
        else:
            assert got.ndim == 3
            assert got.shape[2] == 3
    if kind != "tiff-lzw":  # libtiff writes to stderr itself, and nothing of Pillow's stops it
        assert capfd.readouterr().err == ""


STARTS = [*HEADS.values(), b"", b"II*\0\x08\0\0\0", b"RIFF\0\0\0\0WEBPVP8X", gif(20, 20), BIG[:140]]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(STARTS), st.binary(max_size=300))
@example(b"BM", b"")
def test_random_bytes_raise_only_image_errors(start, rest):
    try:
        assert load(start + rest).shape[2] == 3
    except ImageError as error:
        assert_sentence(str(error))


def test_bombs_take_no_memory():
    bombs = [content for name, (content, _) in BROKEN.items() if name.startswith("bomb")]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    for content in bombs:
        refused(content, "The photo")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    unit = 1 if sys.platform == "darwin" else 1024
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    assert peak < 32 * 2**20
    assert grown < 64 * 2**20


def test_heic_without_pillow_heif(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    refused(heic(), "needs pillow-heif; run `pip install pillow-heif`")
