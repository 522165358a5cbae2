"""Every good format gives known pixels; a corpus of broken files gives one sentence each."""

import io
import os
import re
import socket
import struct
import sys
import threading
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, features

from ferce import images
from ferce.images import ImageError, Limits, find, load

HEIF = pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif")
W, H = 48, 32  # of the test card
QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
CARD = QUARTERS.repeat(H // 2, axis=0).repeat(W // 2, axis=1)  # red, green / blue, white


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def card(kind, mode="RGB", **options):
    return encoded(Image.fromarray(CARD).convert(mode), kind, **options)


def heic(**options):
    file = io.BytesIO()
    HEIF.from_pillow(Image.fromarray(CARD)).save(file, quality=-1, **options)
    return file.getvalue()


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, colour, rows, *extra):
    """A PNG from its raw rows: Pillow writes no 16-bit colour, nor most of the broken ones."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = [
        chunk(b"IHDR", header),
        *extra,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def adam7():
    """The card in seven passes; Pillow writes none."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
    passes += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [b"\0" + row.tobytes() for x, y, i, j in passes for row in CARD[y::j, x::i]]
    header = struct.pack(">IIBBBBB", W, H, 8, 2, 0, 0, 1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def tiff(tags, body=b"", order="<"):
    """A TIFF of one directory; tags are (number, type, count, value or offset)."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    entries = b"".join(struct.pack(order + "HHII", *tag) for tag in sorted(tags))
    return head + struct.pack(order + "H", len(tags)) + entries + bytes(4) + body


def plain_tiff(values, bits, white=1, form=1, kind="<u2", changed=()):
    """A grey uncompressed little-endian TIFF holding values (H, W)."""
    height, width = values.shape
    start = 8 + 2 + 12 * 10 + 4
    body = values.astype(kind).tobytes() if bits != 12 else values.tobytes()
    sizes = {256: width if bits != 12 else width * 2 // 3, 257: height, 258: bits, 259: 1}
    rest = {262: white, 273: start, 277: 1, 278: height, 279: len(body), 339: form}
    tags = sizes | rest | dict(changed)
    return tiff([(tag, 4, 1, value) for tag, value in tags.items()], body)


def same(got, expected, tolerance=0):
    assert got.dtype == np.uint8
    assert got.shape == expected.shape
    assert got.flags.c_contiguous
    assert got.flags.writeable
    np.testing.assert_allclose(got.astype(int), expected.astype(int), atol=tolerance, rtol=0)


def assert_sentence(message):
    assert message.endswith(".")
    assert len(message) < 300
    assert "\n" not in message
    assert ". " not in message
    assert not re.search(r"Traceback|Error|Exception|<[a-z_.]+ object|0x[0-9a-f]{6}|/tmp", message)


def refused(source, words, **options):
    with pytest.raises(ImageError, match=words) as caught:
        load(source, **options)
    assert_sentence(str(caught.value))


# ---- good photos ----

GOOD = {  # name: (bytes, tolerance in levels)
    "png": (card("PNG"), 0),
    "png palette": (card("PNG", "P"), 0),
    "png interlaced rows": (png(W, H, 8, 2, b"".join(b"\0" + r.tobytes() for r in CARD)), 0),
    "bmp": (card("BMP"), 0),
    "tiff": (card("TIFF"), 0),
    "tiff lzw": (card("TIFF", compression="tiff_lzw"), 0),
    "tiff deflate": (card("TIFF", compression="tiff_adobe_deflate"), 0),
    "tiff jpeg": (card("TIFF", compression="jpeg", quality=95), 12),
    "webp lossless": (card("WEBP", lossless=True), 0),
    "gif": (card("GIF"), 0),
    "jpeg": (card("JPEG", quality=95, subsampling=0), 4),
    "png adam7": (adam7(), 0),
    "jpeg progressive": (card("JPEG", quality=95, subsampling=0, progressive=True), 4),
    "jpeg cmyk": (card("JPEG", "CMYK", quality=95, subsampling=0), 6),
    "tiff cmyk": (card("TIFF", "CMYK"), 0),
    "tiff lab": (
        encoded(
            ImageCms.profileToProfile(
                Image.fromarray(CARD),
                ImageCms.createProfile("sRGB"),
                ImageCms.createProfile("LAB"),
                outputMode="LAB",
            ),
            "TIFF",
        ),
        24,  # Lab in 8 bits is coarse there
    ),
    "heic": (heic(chroma=444), 6),
    "opaque alpha": (card("PNG", "RGBA"), 0),
}
if features.check("avif"):
    GOOD["avif"] = (card("AVIF", quality=100, subsampling="4:4:4"), 8)


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


def test_every_kind_of_source(tmp_path):
    path = tmp_path / "card.png"
    path.write_bytes(card("PNG"))
    image = Image.open(path)
    with path.open("rb") as file:
        sources = [str(path), path, path.read_bytes(), bytearray(path.read_bytes()), file, image]
        for source in [*sources, memoryview(path.read_bytes()), CARD, io.BytesIO(card("PNG"))]:
            same(load(source), CARD)
    image.close()


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
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_orientation(orientation, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
    options["JPEG"] = {"quality": 95, "subsampling": 0}
    stored = Image.fromarray(np.ascontiguousarray(TURN[orientation](CARD)))
    data = encoded(stored, kind, exif=exif(orientation), **options.get(kind, {}))
    same(load(data), CARD, 0 if kind in ("PNG", "TIFF", "WEBP") else 8)


def test_orientation_of_heic_and_of_an_open_image():
    turned = Image.fromarray(np.ascontiguousarray(TURN[6](CARD)))
    file = io.BytesIO()
    image = HEIF.from_pillow(turned)
    image.info["exif"] = exif(6)
    image.save(file, quality=-1, chroma=444)
    same(load(file.getvalue()), CARD, 8)
    with Image.open(io.BytesIO(encoded(turned, "PNG", exif=exif(6)))) as opened:
        same(load(opened), CARD)


def test_orientation_out_of_range_means_upright():
    for value in (0, 9, 65535):
        same(load(card("PNG", exif=exif(value))), CARD)


RAMP = np.linspace(0, 65535, W * H).round().astype(np.uint16).reshape(H, W)
RAMP8 = np.round(RAMP / 257.0)[..., None].repeat(3, axis=2)


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


def swapped_profile():
    """An sRGB profile whose red and green colorants are exchanged and whose name says nothing."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")
    return data.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


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


# ---- arrays ----


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (CARD, CARD),
        (CARD[:, ::-1], CARD[:, ::-1]),  # not contiguous
        (np.asfortranarray(CARD), CARD),
        (CARD.astype(np.uint16) * 257, CARD),
        (CARD.astype(">u2") * 257, CARD),
        (CARD > 0, CARD),
        (CARD / 255.0, CARD),
        ((CARD / 255.0).astype(np.float16), CARD),
        (CARD[..., 0], CARD[..., :1].repeat(3, 2)),
        (CARD[..., :1], CARD[..., :1].repeat(3, 2)),
    ],
)
def test_arrays(array, expected):
    got = load(array)
    same(got, expected)
    assert not np.shares_memory(got, array)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (CARD.astype(np.int64), "int64 values; give uint8"),
        (CARD.astype(np.float32), "from 0 to 255; scale them"),
        (CARD / -255.0, "from -1 to"),
        (np.full((H, W), np.nan), "from nan"),
        (np.full((H, W), np.inf), "from inf"),
        (np.zeros((H, W, 2), np.uint8), "must have shape"),
        (np.zeros((1, H, W, 3), np.uint8), "must have shape"),
        (np.zeros((3,), np.uint8), "must have shape"),
        (np.array(None), "must have shape"),
        (np.zeros((0, W, 3), np.uint8), "48 by 0 pixels"),
        (np.full((H, W), "x"), "values; give uint8"),
        (np.full((H, W), None), "object values"),
        (np.zeros((H, W), complex), "complex128 values"),
        (np.broadcast_to(np.uint8(0), (30_000, 30_000, 3)), "60 million"),
    ],
)
def test_refused_arrays(array, words):
    refused(array, words)


# ---- files, names and limits ----


def test_refused_sources(tmp_path):
    refused(tmp_path / "gone.jpg", r"^gone\.jpg does not exist")
    refused(tmp_path, "is a folder")
    refused("", "An empty name is a folder")
    refused("a\0b.jpg", r"^a\?b\.jpg cannot be opened")
    refused("x" * 5000, "cannot be opened")
    refused("https://example.org/face.jpg", "is a web address")
    refused("data:image/png;base64,AAAA", "is a web address")
    refused(42, "not int")
    refused(None, "not NoneType")
    refused(io.StringIO("text"), "open as text")
    refused(b"", "^The photo is empty")
    closed = io.BytesIO(b"x")
    closed.close()
    refused(closed, "open it again")


def test_links_pipes_and_permissions(tmp_path, monkeypatch):
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    refused(tmp_path / "loop.jpg", "leads back to itself")
    os.mkfifo(tmp_path / "pipe.jpg")
    refused(tmp_path / "pipe.jpg", "device or a pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s"))
        refused(tmp_path / "s", "device or a pipe")
    (tmp_path / "mine.png").write_bytes(card("PNG"))

    def closed(*args):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(Path, "open", closed)  # root may read everything, so chmod shows nothing
    refused(tmp_path / "mine.png", r"^mine\.png may not be read")


def test_names_are_made_safe(tmp_path):
    for name in ("a\nb\x1b[31m.jpg", "x" * 200 + ".jpg", "\udcff.jpg"):
        refused(tmp_path / name, "does not exist")


def test_limits(tmp_path):
    path = tmp_path / "card.png"
    path.write_bytes(card("PNG"))
    size = path.stat().st_size
    assert load(path, Limits(max_bytes=size)).shape == (H, W, 3)
    for source in (path, path.read_bytes(), io.BytesIO(path.read_bytes())):
        refused(source, "MiB accepted", limits=Limits(max_bytes=size - 1))
    refused(path, "million pixels", limits=Limits(max_pixels=W * H - 1))
    refused(path, "million pixels", limits=Limits(max_side=W - 1))
    refused(path, "at least 33", limits=Limits(min_side=33))
    refused(np.zeros((8, 8), np.uint8), "8 by 8 pixels, and each side needs at least 16")
    with pytest.raises(ValueError, match="at least 1"):
        Limits(max_pixels=0)


# ---- the corpus of broken files ----


def bmp(width, height, bits=24, compression=0, body=bytes(4000)):
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 2, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + info + body


def gif(width, height, x=0, y=0, w=W, h=H, extra=b""):
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + extra + b"," + struct.pack("<HHHHB", x, y, w, h, 0) + b"\x02\x02\x44\x01\0;"


def webp_canvas(width, height):
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0x02)
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flipped(data, *places):
    broken = bytearray(data)
    for place in places:
        broken[place] ^= 0xFF
    return bytes(broken)


def with_app1(payload):
    segment = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
    return card("JPEG", quality=95, subsampling=0).replace(b"\xff\xd8", b"\xff\xd8" + segment, 1)


def apng_bomb():
    """Pillow fills the whole canvas while it opens this one."""
    frame = struct.pack(">IIIIIHHBB", 0, 30_000, 30_000, 0, 0, 1, 1, 1, 0)
    extra = chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"fcTL", frame)
    return png(30_000, 30_000, 8, 2, b"", *extra)


def scan_bomb():
    data = card("JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * 600 + data[-2:]


def tag_bomb():
    """Each of 3,000 tags claims the whole file as its value."""
    body = bytes(100_000)
    return tiff([(1000 + number, 7, 100_000, 8) for number in range(3000)], body)


def icc_text(size):
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(size)))


ROWS = b"".join(b"\0" + row.tobytes() for row in CARD)
NOISE = np.random.default_rng(7).bytes(5000)
BIG = plain_tiff(RAMP, 16)
KINDS = {"jpeg": "jpeg", "png": "png", "webp": "webp lossless", "gif": "gif", "bmp": "bmp"}
KINDS |= {"tiff": "tiff", "tiff-lzw": "tiff lzw", "heic": "heic"}
HEADS = {kind: GOOD[name][0][:12] for kind, name in KINDS.items()}

BROKEN = {  # file name: (content, words of the refusal)
    "empty.jpg": (b"", "is empty"),
    "one.jpg": (b"\xff", "no known photo format"),
    "zero.jpg": (bytes(3000), "no known photo format"),
    "noise.jpg": (b"\x9b" + NOISE, "no known photo format"),
    "doc.jpg": (b"%PDF-1.7\n" + NOISE, "a PDF document"),
    "ps.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript file"),
    "zip.jpg": (b"PK\x03\x04" + NOISE, "a ZIP archive"),
    "gz.jpg": (b"\x1f\x8b\x08" + NOISE, "a compressed archive"),
    "page.jpg": (b"\n<!DOCTYPE html><html></html>", "a web page"),
    "drawing.png": (b'<?xml version="1.0"?><svg xmlns="x"/>', "an SVG drawing"),
    "clip.jpg": (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + NOISE, "an MP4 or QuickTime video"),
    "clip2.jpg": (b"\0\0\0\x08wide\0\0\0\0mdat" + NOISE, "an MP4 or QuickTime video"),
    "clip3.jpg": (b"\x1aE\xdf\xa3" + NOISE, "a Matroska or WebM video"),
    "clip4.jpg": (b"RIFF\0\0\0\0AVI LIST" + NOISE, "a video"),
    "sound.jpg": (b"ID3\x04" + NOISE, "a sound file"),
    "layers.jpg": (b"8BPS\0\x01" + NOISE, "a Photoshop document"),
    "j2k.jpg": (b"\xff\x4f\xff\x51" + NOISE, "a JPEG 2000 picture"),
    "jxl.jpg": (b"\xff\x0a" + NOISE, "a JPEG XL picture"),
    "favicon.jpg": (b"\0\0\x01\0\x01\0" + NOISE, "an icon"),
    "huge.tif": (b"II+\0\x08\0\0\0" + NOISE, "a BigTIFF picture"),
    "tool.jpg": (b"\x7fELF\x02\x01" + NOISE, "a program"),
    "notes.jpg": ("Grüße, kein Bild\n".encode(), "a text file"),
    "table.png": (b"a,b,c\n1,2,3\n" * 300, "a text file"),
    "pickle.jpg": (b"\x80\x04\x95\x10\0\0\0" + NOISE, "no known photo format"),
    "array.jpg": (b"\x93NUMPY\x01\0v\0" + NOISE, "no known photo format"),
    # bombs: the size is refused before anything is decoded
    "bomb.png": (png(100_000, 100_000, 8, 2, b""), "100000 by 100000 pixels"),
    "bomb2.png": (png(2**31 - 1, 2**31 - 1, 16, 6, b""), "pixels, more than"),
    "bomb3.png": (png(40_000, 16, 8, 0, b""), "40000 by 16 pixels"),
    "bomb4.png": (apng_bomb(), "30000 by 30000 pixels"),
    "bomb.gif": (gif(65_535, 65_535), "65535 by 65535 pixels"),
    "bomb2.gif": (gif(W, H, w=13_000, h=13_000), "13000 by 13000 pixels"),
    "bomb3.gif": (gif(W, H, w=20_000, h=20_000, extra=b"!\xf9\0\0\0"), "pixels, more than|looks"),
    "bomb4.gif": (gif(W, H, extra=(b"!\xfe\xff" + b"x" * 255 + b"\0") * 9000), "like a GIF"),
    "bomb.webp": (webp_canvas(16_384, 16_384), "16384 by 16384 pixels"),
    "bomb.bmp": (bmp(30_000, 30_000), "30000 by 30000 pixels"),
    "bomb.tif": (plain_tiff(RAMP, 16, changed={256: 10**5, 257: 10**5}), "100000 by 100000"),
    "bomb2.tif": (tag_bomb(), "like a TIFF"),
    "bomb3.tif": (
        plain_tiff(RAMP, 16, changed={322: 60_000, 323: 60_000, 273: 200}),
        "like a TIFF",
    ),
    "bomb.jpg": (
        GOOD["jpeg"][0].replace(struct.pack(">HH", H, W), b"\xff\xdc\xff\xdc", 1),
        "65500 by 65500 pixels",
    ),
    "scans.jpg": (scan_bomb(), "more than 500 scans"),
    "profile.png": (png(W, H, 8, 2, ROWS, icc_text(50 * 2**20)), "like a PNG"),
    # absurd headers
    "none.png": (png(0, 0, 8, 2, b""), "0 by 0 pixels"),
    "none.gif": (gif(0, 0, w=0, h=0), "0 by 0 pixels"),
    "tiny.png": (png(1, 1, 8, 0, b"\0\0"), "1 by 1 pixels"),
    "depth.png": (png(W, H, 7, 2, ROWS), "like a PNG"),
    "colour.png": (png(W, H, 8, 5, ROWS), "like a PNG"),
    "length.png": (b"\x89PNG\r\n\x1a\n\x7f\xff\xff\xffIHDR" + bytes(30) + b"IEND", "0 by 0"),
    "short.png": (png(W, H, 8, 2, ROWS[: len(ROWS) // 2]), "like a PNG"),
    "zlib.png": (GOOD["png"][0].replace(b"IDATx", b"IDATy", 1), "like a PNG"),
    "crc.png": (flipped(GOOD["png"][0], 29), "like a PNG"),
    "no-data.png": (b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), "like a PNG|pixels"),
    "negative.bmp": (bmp(-48, 32), "like a BMP|pixels"),
    "negative2.bmp": (bmp(-48, -32), "like a BMP|pixels"),
    "least.bmp": (bmp(-(2**31), -(2**31)), "like a BMP|pixels"),
    "bits.bmp": (bmp(48, 32, bits=13), "like a BMP"),
    "packed.bmp": (bmp(48, 32, compression=99), "like a BMP"),
    "short.bmp": (bmp(48, 32), "like a BMP"),
    "loop.tif": (tiff([(34665, 4, 1, 8), (256, 4, 1, W)]), "like a TIFF"),
    "offset.tif": (b"II*\0\xff\xff\xff\xff", "like a TIFF"),
    "offset2.tif": (plain_tiff(RAMP, 16, changed={273: 2**31}), "like a TIFF"),
    "count.tif": (b"MM\0*\0\0\0\x08\xff\xff" + bytes(100), "like a TIFF"),
    "samples.tif": (plain_tiff(RAMP, 16, changed={277: 2**32 - 1}), "like a TIFF"),
    "packed.tif": (plain_tiff(RAMP, 16, changed={259: 4711}), "like a TIFF"),
    "packed2.tif": (plain_tiff(RAMP, 16, changed={259: 8}), "like a TIFF"),
    "rows.tif": (plain_tiff(RAMP, 16, changed={278: 8}), "like a TIFF"),
    "planes.tif": (plain_tiff(RAMP, 16, changed={262: 2, 277: 3, 284: 2}), "like a TIFF"),
    "no-tags.tif": (tiff([]), "like a TIFF"),
    "two-widths.tif": (BIG.replace(struct.pack("<HHI", 256, 4, 1), b"\0\1\4\0\2\0\0\0"), "TIFF"),
    "garbage.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + NOISE, "like a HEIC"),
    "garbage.avif": (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + NOISE, "like a AVIF|AVIF photo"),
    "garbage.webp": (b"RIFF\xff\xff\xff\x7fWEBPVP8 " + NOISE, "like a WebP|pixels"),
    "header.jpg": (b"\xff\xd8\xff\xe0" + NOISE, "like a JPEG"),
    "bits.jpg": (GOOD["jpeg"][0].replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0f"), "a JPEG"),
    **{f"headers.{kind}": (head, "cannot be decoded|no known") for kind, head in HEADS.items()},
}

HARMLESS = {  # file name: (content, tolerance); the photo itself is whole
    "exif.jpg": (with_app1(b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + NOISE[:40]), 4),
    "exif2.jpg": (with_app1(b"Exif\0\0II*\0\xff\xff\xff\xff"), 4),
    "exif3.jpg": (with_app1(b"Exif\0\0" + NOISE[:200]), 4),
    "exif4.jpg": (with_app1(b"Exif\0\0"), 4),
    "exif.png": (card("PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01"), 0),
    "exif.webp": (card("WEBP", lossless=True, exif=b"Exif\0\0" + NOISE[:99]), 0),
    "icc.jpg": (card("JPEG", quality=95, subsampling=0, icc_profile=NOISE[:400]), 4),
    "icc.png": (card("PNG", icc_profile=NOISE[:400]), 0),
    "icc2.png": (card("PNG", icc_profile=swapped_profile()[:200]), 0),
    "icc.tif": (card("TIFF", icc_profile=NOISE[:400]), 0),
    "tables.jpg": (GOOD["jpeg"][0].replace(b"\xff\xc4", b"\xff\xfe"), 4),  # the standard ones
    "tail.jpg": (GOOD["jpeg"][0] + b"\xff\xda" + NOISE, 4),  # as motion photos have
    "tail.png": (GOOD["png"][0] + NOISE, 0),
    "text.png": (png(W, H, 8, 2, ROWS, chunk(b"tEXt", NOISE[:99])), 0),
    "acTL.png": (png(W, H, 8, 2, ROWS, chunk(b"acTL", struct.pack(">II", 0, 0))), 0),
}


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


@pytest.mark.parametrize("kind", [*KINDS, "avif"])
@pytest.mark.parametrize("flag", [False, True])
def test_truncated_files_are_refused_or_whole(kind, flag, monkeypatch):
    """At 25 lengths: the very pixels of the whole file, or a refusal; never half a photo."""
    name = KINDS.get(kind, kind)
    if name not in GOOD:
        pytest.skip("this Pillow has no AVIF")
    if flag and kind not in ("jpeg", "png", "webp"):
        pytest.skip("Pillow's switch to fill truncated photos, set by the host, is heeded there")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", flag)
    data = GOOD[name][0]
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


@pytest.mark.parametrize("kind", [*KINDS, "avif"])
def test_flipped_header_bytes_never_escape(kind, capfd):
    data = GOOD.get(KINDS.get(kind, kind), GOOD["png"])[0]
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
    resource = pytest.importorskip("resource")
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


# ---- find ----


@pytest.fixture
def album(tmp_path, monkeypatch):
    for name in ("b.JPG", "a.png", "notes.txt", "sub/c.heic", "sub/.hidden.jpg", ".git/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "odd[1].png").write_bytes(b"x")
    (tmp_path / "bare").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.png"], ["a.png"]),
        (["notes.txt"], ["notes.txt"]),  # named outright: load says what is wrong with it
        (["."], ["a.png", "b.JPG", "odd[1].png", "sub/c.heic"]),
        (["sub"], ["sub/c.heic"]),
        (["*"], ["a.png", "b.JPG", "odd[1].png"]),
        (["[ab].*"], ["a.png", "b.JPG"]),
        (["odd[1].png"], ["odd[1].png"]),  # a file comes before a pattern
        (["**/*.heic"], ["sub/c.heic"]),
        (["b.JPG", "*.png", "a.png"], ["b.JPG", "a.png", "odd[1].png"]),
        ([], []),
    ],
)
def test_find(album, names, expected):
    assert [path.as_posix() for path in find(names)] == expected


def test_find_takes_absolute_patterns(album):
    assert find([f"{album}/s*/*.heic"]) == [album / "sub/c.heic"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.jpg", r"^gone\.jpg names no photo"),
        ("*.bmp", r"^\*\.bmp names no photo"),
        ("*.txt", "names no photo"),
        ("bare", "^bare names no photo"),
        ("", "^An empty name names no photo"),
        ("https://example.org/a.jpg", "is a web address"),
        ("file:///etc/a.jpg", "is a web address"),
        ("x" * 5000, "names no photo"),
        ("a\0", "names no photo"),
    ],
)
def test_find_refuses(album, name, words):
    with pytest.raises(ImageError, match=words) as caught:
        find(["a.png", name])
    assert_sentence(str(caught.value))


def test_suffixes_are_lower_case():
    assert {".jpg", ".png", ".webp", ".gif", ".bmp", ".tiff", ".heic", ".avif"} <= images.SUFFIXES
    assert all(suffix == suffix.lower() for suffix in images.SUFFIXES)
