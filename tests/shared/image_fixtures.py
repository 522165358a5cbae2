"""Photos of a test card in every good format, and how a refusal is checked."""

import io
import re
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, features

from ferce.images import ImageError, load

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
    pillow_heif.from_pillow(Image.fromarray(CARD)).save(file, quality=-1, **options)
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


def swapped_profile():
    """An sRGB profile whose red and green colorants are exchanged and whose name says nothing."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")
    return data.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


RAMP = np.linspace(0, 65535, W * H).round().astype(np.uint16).reshape(H, W)
RAMP8 = np.round(RAMP / 257.0)[..., None].repeat(3, axis=2)
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
