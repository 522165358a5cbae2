"""Broken files with the words of their refusal, and damaged ones whose photo is whole."""

import struct
import zlib

import numpy as np
from image_fixtures import (
    CARD,
    GOOD,
    RAMP,
    H,
    W,
    card,
    chunk,
    plain_tiff,
    png,
    swapped_profile,
    tiff,
)


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
KINDS |= {"avif": "avif"} if "avif" in GOOD else {}
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
    "layers.jpg": (b"8BPS\0\x01" + NOISE, "a Photoshop picture"),
    "j2k.jpg": (b"\xff\x4f\xff\x51" + NOISE, "a JPEG 2000 picture"),
    "jxl.jpg": (b"\xff\x0a" + NOISE, "a JPEG XL picture"),
    "favicon.jpg": (b"\0\0\x01\0\x01\0" + NOISE, "an icon"),
    "huge.tif": (b"II+\0\x08\0\0\0" + NOISE, "like a TIFF"),
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
