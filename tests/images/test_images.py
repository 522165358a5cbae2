"""Every good format gives known pixels, from every kind of source."""

import io
import threading
import warnings

import numpy as np
import pillow_heif
import pytest
from image_corpus import BROKEN
from image_fixtures import (
    CARD,
    GOOD,
    QUARTERS,
    RAMP,
    RAMP8,
    H,
    W,
    card,
    chunk,
    encoded,
    exif,
    plain_tiff,
    png,
    refused,
    same,
    swapped_profile,
)
from PIL import Image, ImageCms, ImageFile

from ferce.images import load


@pytest.mark.parametrize("name", GOOD)
def test_known_colours(name):
    data, tolerance = GOOD[name]
    same(load(data), CARD, tolerance)


@pytest.mark.parametrize("how", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_of_many_strips(how):
    noise = np.random.default_rng(3).integers(0, 256, (300, 400, 3), np.uint8)
    same(load(encoded(Image.fromarray(noise), "TIFF", compression=how)), noise)


def test_lossy_webp_away_from_the_edges():
    centres = np.ix_([8, 24], [12, 36])
    same(load(card("WEBP", quality=95))[centres].copy(), QUARTERS, 4)


@pytest.mark.parametrize("name", ["png", "gif", "heic"])
def test_content_decides_not_the_suffix(name, tmp_path):
    path = tmp_path / "renamed.jpg"
    path.write_bytes(GOOD[name][0])
    same(load(path), CARD, GOOD[name][1])


TURN = {  # orientation: stored rows from upright ones, by the definition in EXIF 2.32
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("orientation", TURN)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", *["AVIF"] * ("avif" in GOOD)])
def test_orientation(orientation, kind):
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
    options["JPEG"] = {"quality": 95, "subsampling": 0}
    stored = Image.fromarray(np.ascontiguousarray(TURN[orientation](CARD)))
    data = encoded(stored, kind, exif=exif(orientation), **options.get(kind, {}))
    same(load(data), CARD, 0 if kind in ("PNG", "TIFF", "WEBP") else 8)


def test_orientation_of_heic_and_of_an_open_image():
    turned = Image.fromarray(np.ascontiguousarray(TURN[6](CARD)))
    file = io.BytesIO()
    image = pillow_heif.from_pillow(turned)
    image.info["exif"] = exif(6)
    image.save(file, quality=-1, chroma=444)
    same(load(file.getvalue()), CARD, 8)
    with Image.open(io.BytesIO(encoded(turned, "PNG", exif=exif(6)))) as opened:
        same(load(opened), CARD)


def test_orientation_out_of_range_means_upright():
    for value in (0, 9, 65535):
        same(load(card("PNG", exif=exif(value))), CARD)


def test_16_bit_grey_is_rounded():
    same(load(encoded(Image.fromarray(RAMP), "PNG")), RAMP8)
    same(load(encoded(Image.fromarray(RAMP), "TIFF")), RAMP8)
    same(load(plain_tiff(RAMP, 16)), RAMP8)
    same(load(Image.fromarray(RAMP)), RAMP8)
    same(load(RAMP), RAMP8)


def test_white_is_zero_is_turned_over():
    same(load(plain_tiff(65535 - RAMP, 16, white=0)), RAMP8)


def test_12_bit_tiff_reaches_white():
    values = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 4
    pairs = values.reshape(-1, 2).astype(int)
    packed = np.stack(
        [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1
    )
    data = plain_tiff(packed.astype(np.uint8).reshape(32, 48), 12)
    same(load(data), np.round(values / 4095 * 255)[..., None].repeat(3, 2), 1)


def test_16_bit_colour():
    for colour, depth in ((2, 3), (6, 4)):
        pixels = np.full((H, W, depth), 65535, ">u2")
        pixels[..., :3] = RAMP[..., None]
        rows = b"".join(b"\0" + row.tobytes() for row in pixels)
        same(load(png(W, H, 16, colour, rows)), RAMP8, 1)


def test_16_bit_with_a_transparent_colour_loads():
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in RAMP)
    assert load(png(W, H, 16, 0, rows, chunk(b"tRNS", b"\x80\x00"))).shape == (H, W, 3)
    rows = b"".join(b"\0" + row.astype(">u2").repeat(3).tobytes() for row in RAMP)
    assert load(png(W, H, 16, 2, rows, chunk(b"tRNS", b"\x80\x00" * 3))).shape == (H, W, 3)


def test_float_tiff():
    ramp = RAMP.astype(np.float32) / 65535
    same(load(encoded(Image.fromarray(ramp), "TIFF")), RAMP8)
    refused(encoded(Image.fromarray(ramp * 300), "TIFF"), "from 0 to 300; scale them")
    refused(Image.fromarray(ramp * np.float32(np.nan)), "from nan to nan")
    refused(Image.fromarray(RAMP.astype(np.int32)), "32-bit whole numbers")


def test_bilevel_and_grey():
    grey = Image.fromarray(CARD[..., 0])
    for data in (encoded(grey.convert("1"), "PNG"), encoded(grey.convert("1"), "TIFF")):
        same(load(data), CARD[..., :1].repeat(3, 2))
    same(load(encoded(grey, "JPEG")), CARD[..., :1].repeat(3, 2), 3)


def test_transparency_is_laid_on_white():
    alpha = np.full((H, W), 255, np.uint8)
    alpha[: H // 2, : W // 2] = 51  # red at one fifth
    expected = CARD.copy()
    expected[: H // 2, : W // 2] = [255, 204, 204]
    rgba = np.dstack([CARD, alpha])
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        same(load(encoded(Image.fromarray(rgba), kind, **options)), expected)
    same(load(rgba), expected)


def test_transparent_palette_entries():
    image = Image.fromarray(CARD).convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    red = int(np.asarray(image)[0, 0])
    expected = CARD.copy()
    expected[: H // 2, : W // 2] = 255
    same(load(encoded(image, "PNG", transparency=red)), expected)
    same(load(encoded(image, "GIF", transparency=red)), expected)
    table = bytes(0 if entry == red else 255 for entry in range(4))
    same(load(encoded(image, "PNG", transparency=table)), expected)


def test_grey_with_alpha():
    image = Image.merge("LA", [Image.new("L", (W, H), 0), Image.new("L", (W, H), 51)])
    same(load(encoded(image, "PNG")), np.full((H, W, 3), 204, np.uint8))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_many(kind):
    frames = [Image.fromarray(CARD), Image.new("RGB", (W, H)), Image.new("RGB", (W, H), "pink")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    same(load(data), CARD)


def test_icc_profile_is_converted():
    expected = CARD[..., [1, 0, 2]]
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        same(load(card(kind, icc_profile=swapped_profile(), **options)), expected, 2)
    same(load(card("PNG", "RGBA", icc_profile=swapped_profile())), expected, 2)
    same(load(card("PNG", "P", icc_profile=swapped_profile())), expected, 2)


def test_srgb_profile_changes_no_pixel():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
    same(load(encoded(Image.fromarray(noise), "PNG", icc_profile=profile)), noise)


def test_profile_of_another_colour_space_is_ignored():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    same(load(card("PNG", icc_profile=profile)), CARD)


def test_nothing_global_is_touched():
    def state():
        return (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))

    before = state(), list(Image.ID), threading.active_count()
    for name in ("heic", "jpeg", "tiff"):
        load(GOOD[name][0])
    refused(BROKEN["bomb.png"][0], "pixels")
    assert (state(), list(Image.ID), threading.active_count()) == before


def test_threads_load_alike():
    wrong = []

    def work(name):
        data, tolerance = GOOD[name]
        try:
            same(load(data), CARD, tolerance)
        except AssertionError as error:
            wrong.append((name, error))

    threads = [threading.Thread(target=work, args=(name,)) for name in [*GOOD] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
