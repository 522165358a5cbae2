"""Files of several pictures, and TIFFs that Pillow alone cannot read or reads wrong."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
import tifffile
from image_fixtures import (
    CARD,
    GOOD,
    H,
    W,
    card,
    chunk,
    encoded,
    exif,
    png,
    refused,
    same,
    swapped_profile,
)
from PIL import Image

from ferce.images import load, load_noted

SMALL = np.zeros((16, 24, 3), np.uint8)
DEEP = CARD.astype(np.uint16) * 257
FLOATS = (CARD / 255).astype(np.float32)


def tiff(*pages, big=False, order="<"):
    """A TIFF of (pixels, options) each."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big, byteorder=order) as writer:
        for pixels, options in pages:
            writer.write(pixels, **{"photometric": "rgb"} | options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("pages", "note"),
    [
        ([(SMALL, {"subfiletype": 1}), (CARD, {})], ""),
        ([(SMALL, {"subfiletype": 1, "subifds": 1}), (CARD, {"subfiletype": 0})], ""),
        ([(CARD, {"subifds": 1}), (SMALL, {"subfiletype": 1})], ""),
        ([(SMALL, {"subfiletype": 1}), (CARD, {}), (SMALL, {})], "2 pages, of which the first"),
        ([(CARD, {}), (SMALL, {}), (SMALL, {})], "3 pages, of which the first"),
        ([(CARD, {"subfiletype": 1}), (SMALL, {"subfiletype": 1})], ""),
    ],
)
@pytest.mark.parametrize("big", [False, True])
def test_the_first_page_of_a_tiff_that_is_no_copy_is_read(pages, note, big):
    photo = load_noted(tiff(*pages, big=big))
    same(photo.pixels, CARD)
    assert note in photo.note
    assert bool(photo.note) == bool(note)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", *["AVIF"] * ("avif" in GOOD)])
def test_an_animation_says_that_its_first_frame_was_read(kind):
    more = [Image.new("RGB", (W, H), colour) for colour in ("black", "pink")]
    options = {"lossless": True} if kind == "WEBP" else {}
    moving = encoded(Image.fromarray(CARD), kind, save_all=True, append_images=more, **options)
    assert load_noted(moving).note == "It is animated; its first frame was read."
    assert load_noted(card(kind)).note == ""


def test_of_several_pictures_in_a_heic_the_main_one_is_read():
    file = pillow_heif.from_pillow(Image.new("RGB", (W, H)))
    file.add_from_pillow(Image.fromarray(CARD))
    data = io.BytesIO()
    file.save(data, quality=-1, chroma=444, primary_index=1)
    photo = load_noted(data.getvalue())
    same(photo.pixels, CARD, 8)
    assert photo.note == "It holds several pictures, of which the main one was read."


@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pixels", [CARD, DEEP, FLOATS], ids=["8 bits", "16 bits", "floats"])
@pytest.mark.parametrize("planes", [False, True])
def test_tiffs_of_every_depth_and_order_of_samples(pixels, planes, big, how):
    options = {"planarconfig": "separate"} if planes else {}
    stored = np.moveaxis(pixels, 2, 0) if planes else pixels
    same(load(tiff((stored, options | how), big=big)), CARD)


def test_planes_of_16_bits_with_transparency_orientation_and_profile():
    alpha = np.full((H, W, 1), 65535, np.uint16)
    alpha[: H // 2] = 0
    planes = np.moveaxis(np.concatenate([DEEP, alpha], 2), 2, 0)
    options = {"planarconfig": "separate", "extrasamples": ["unassalpha"]}
    expected = CARD.copy()
    expected[: H // 2] = 255
    same(load(tiff((planes, options))), expected)
    turned = np.moveaxis(DEEP[::-1, ::-1], 2, 0)
    tags = [(274, 3, 1, 3, True), (34675, 7, len(swapped_profile()), swapped_profile(), True)]
    data = tiff((turned, {"planarconfig": "separate", "extratags": tags}))
    same(load(data), CARD[..., [1, 0, 2]], 2)


@pytest.mark.parametrize(
    ("pixels", "options", "words"),
    [
        (FLOATS * 300, {}, "from 0 to 300; scale them to 0..1"),
        (FLOATS.astype(np.float16), {}, "has floats of 16 bits; save it with 32"),
        (CARD.astype(np.uint32), {}, "has 32-bit whole numbers, whose white is not known"),
    ],
)
def test_tiffs_that_are_not_read_say_why(pixels, options, words):
    refused(tiff((pixels, options)), words)


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [(317, 3, "packed with a predictor"), (262, 32803, "is a camera's raw file; develop it")],
)
def test_entries_that_keep_a_tiff_from_being_read_say_why(tag, value, words):
    data = tiff((FLOATS, {}))
    entry = data.index(struct.pack("<HHI", 262, 3, 1))
    data = data[:entry] + struct.pack("<HHII", tag, 3, 1, value) + data[entry + 12 :]
    rgb = struct.pack("<HHII", 262, 3, 1, 2)  # in the place of the resolution, if it is needed
    other = data.index(struct.pack("<HHI", 282, 5, 1))
    refused(data[:other] + rgb + data[other + 12 :], words)


def test_photos_of_high_dynamic_range_have_the_colours_of_ordinary_ones():
    """PQ (16 in ITU-T H.273) with white at 203 cd/m2, from a camera (HEIC) and a screen (PNG)."""
    grey = np.linspace(0.05, 0.6, W).astype(np.float64)  # of white
    power = (203 * grey / 10_000) ** 0.1593017578125
    coded = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    values = np.rint(65535 * coded).astype(np.uint16)[None, :, None].repeat(H, 0).repeat(3, 2)
    expected = np.rint(255 * (1.055 * grey ** (1 / 2.4) - 0.055))[None, :, None]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    screen = png(W, H, 16, 2, rows, chunk(b"cICP", bytes([9, 16, 0, 1])))
    file = io.BytesIO()
    picture = pillow_heif.from_bytes("RGB;16", (W, H), values.tobytes())
    tags = {"color_primaries": 9, "transfer_characteristics": 16, "matrix_coefficients": 9}
    picture.save(file, quality=-1, chroma=444, full_range_flag=1, **tags)
    for data in (screen, file.getvalue()):
        same(load(data), np.broadcast_to(expected, (H, W, 3)), 5)


def p3(kind):
    """A patch that is (200, 80, 60) in Display P3, which only its numbers of H.273 tell."""
    patch = Image.new("RGB", (W, H), (200, 80, 60))
    if kind == "PNG":
        rows = b"".join(b"\0" + bytes((200, 80, 60)) * W for _ in range(H))
        return png(W, H, 8, 2, rows, chunk(b"cICP", bytes([12, 13, 0, 1])))
    file = io.BytesIO()
    if kind == "HEIC":
        picture = pillow_heif.from_pillow(patch)
        picture.save(file, quality=-1, color_primaries=12, transfer_characteristics=13)
        return file.getvalue()
    patch.save(file, "AVIF", quality=95)
    return file.getvalue().replace(b"colrnclx" + bytes([0, 1]), b"colrnclx" + bytes([0, 12]))


@pytest.mark.parametrize("kind", ["PNG", "HEIC", "AVIF"])
def test_display_p3_without_a_profile_is_brought_to_srgb(kind):
    linear = ((np.array([200, 80, 60]) / 255 + 0.055) / 1.055) ** 2.4
    light = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
    expected = 255 * (1.055 * (light @ linear) ** (1 / 2.4) - 0.055)
    same(load(p3(kind)), np.broadcast_to(np.rint(expected), (H, W, 3)), 3)


NOISE = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"subsampling": 2}])
@pytest.mark.parametrize("pixels", [NOISE, CARD], ids=["noise", "card"])
def test_a_jpeg_without_an_end_marker_is_read_but_not_one_cut_off(pixels, options):
    data = encoded(Image.fromarray(pixels), "JPEG", exif=exif(1), **options)
    assert data.endswith(b"\xff\xd9")
    for end in (1, 2):
        np.testing.assert_array_equal(load(data[:-end]), load(data))
    for end in (30, 60, 200):
        refused(data[:-end], "looks like a JPEG but cannot be decoded, because it is cut off")


def test_a_progressive_jpeg_without_an_end_marker_may_lack_scans():
    refused(card("JPEG", progressive=True)[:-2], "cut off")


RAW = {"photometric": 32803, "subfiletype": 0}


@pytest.mark.parametrize(
    "pages",
    [
        [(SMALL, {"subfiletype": 1, "subifds": 1}), (CARD[..., 0], RAW)],  # NEF, ARW, DNG
        [(CARD, {"subifds": 1}), (CARD[..., 0], RAW)],  # SRW: a large preview first
        [(CARD, {}), (CARD[..., 0], RAW)],
    ],
)
def test_a_raw_file_is_refused_whatever_previews_lie_in_it(pages):
    refused(tiff(*pages), "camera's raw file; develop it and export it as JPEG")


@pytest.mark.parametrize(
    "head",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"IIU\0\x18\0\0\0",
        b"IIRO\x08\0\0\0",
        b"MMOR\0\0\0\x08",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"II\x1a\0\0\0HEAPCCDR",
        b"II*\0\x10\0\0\0CR\2\0" + bytes(18),
    ],
)
def test_a_raw_file_of_its_own_kind_is_refused(head):
    refused(head + bytes(500), "camera's raw file; develop it and export it as JPEG")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\xff\x0a", "is a JPEG XL picture, which is not read; give a JPEG"),
        (b"8BPS\0\1", "is a Photoshop picture, which is not read; give a JPEG"),
        (b"P6\n2 2\n255\n", "is a PNM picture, which is not read; give a JPEG"),
        (b"\0\0\2\0\0\0\0\0", "has content that no known photo format begins with"),  # TGA
        (b"\0\0\1\0\1\0", "is an icon, not a photo; give a JPEG"),
    ],
)
def test_pictures_of_other_kinds_are_named(head, words):
    refused(head + bytes(range(200)), words)
