"""Convert a decoded image of any mode to upright RGB: orientation, profile, alpha, 16 bits."""

import functools
import struct
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFilter, TiffImagePlugin

from ferce.core.types import Pixels
from ferce.images.refusal import Refusal


def to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale uint8, uint16, bool or float 0..1 to 0..255, rounding; any shape."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if kind == "u" and size == 1:
        return np.ascontiguousarray(values)
    if kind == "u" and size == 2:
        # round(v / 257) within 16 bits: 257 is odd, so no tie arises
        scaled: NDArray[np.uint8] = (values // 257 + (values % 257 > 128)).astype(np.uint8)
        return scaled
    if kind == "f":
        return _scaled(values)
    raise Refusal(f"has {values.dtype} values; give uint8, uint16, bool or float in 0..1")


def _scaled(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())  # NaN passes through to both
    if not (low >= 0.0 and high <= 1.0):
        raise Refusal(f"has float values from {low:g} to {high:g}; scale them to 0..1")
    return (values.astype(np.float32) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


_TURNS = {  # EXIF 2.32, tag 0x0112: what brings the stored rows upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_rgb(image: Image.Image) -> Pixels:
    """Turn a decoded image of any mode into (H, W, 3) RGB uint8, upright.

    `info["coding"]` may tell its colours and light, for `to_srgb`; an ICC profile goes before that.
    """
    turn = _TURNS.get(_orientation(image.info.get("exif")))
    if image.mode[0] in "IF":
        grey = Image.fromarray(to_bytes(_deep_grey(image)))
        grey.info["icc_profile"] = image.info.get("icc_profile")
        rgb = _as_rgb(_managed(grey))
    elif image.has_transparency_data:
        rgba = image.convert("RGBA")
        rgb = on_white(_managed(_as_rgb(rgba)), rgba.getchannel("A"))
    else:
        keep = image.mode in ("L", "CMYK", "LAB")
        rgb = _as_rgb(_managed(image if keep else _as_rgb(image)))
    pixels = np.array(rgb.transpose(turn) if turn is not None else rgb)
    coding = () if image.info.get("icc_profile") else image.info.get("coding", ())
    return to_srgb(pixels, *coding)


def _as_rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")  # convert would copy


def on_white(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    """Lay the picture on white by its alpha channel."""
    canvas = Image.new("RGB", rgb.size, "white")
    canvas.paste(rgb, mask=alpha)
    return canvas


def _deep_grey(image: Image.Image) -> NDArray[Any]:
    """Read grey values (H, W) of 16 bits or floats; a TIFF may hold 12 bits, or white as zero."""
    values: NDArray[Any] = np.asarray(image)
    if values.dtype.kind == "f":
        return values
    if values.dtype.itemsize > 2:
        raise Refusal("has 32-bit whole numbers, whose white is not known; save it as 16-bit")
    tags = getattr(image, "tag_v2", {})
    if tags.get(TiffImagePlugin.BITSPERSAMPLE) == (12,):
        values = values << 4 | values >> 8
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        values = ~values
    return values


def _orientation(exif: object) -> int:
    """Read tag 0x0112 of an EXIF block, 1 (upright) when there is none or it is broken.

    Ours, because Pillow's reader warns about broken EXIF and a warning may be an error.
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, place)
            if tag == 0x0112:
                return int(value)
    except struct.error:
        pass
    return 1


def _managed(image: Image.Image) -> Image.Image:
    """Convert by the embedded ICC profile to sRGB; unchanged when there is none that fits.

    An sRGB profile is not applied, which keeps the pixels exact.
    """
    data = image.info.get("icc_profile")
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif isinstance(data, bytes):
            source = ImageCms.ImageCmsProfile(BytesIO(data))
        else:
            return image
        fits = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
        if fits.get(source.profile.xcolor_space.strip()) != image.mode:
            return image
        if "sRGB" in (source.profile.profile_description or ""):
            return image
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a broken profile says nothing about the pixels


_PQ, _HLG = 16, 18  # transfer characteristics of high dynamic range, ITU-T H.273
_2020 = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
_P3 = [[1.2249, -0.2247, -0.0002], [-0.0420, 1.0419, 0.0001], [-0.0196, -0.0786, 1.0982]]
_TO_709 = {9: _2020, 12: _P3}  # colour primaries there -> their linear RGB to that of sRGB
_WHITE = 203.0  # cd/m2 of a white page, BT.2408
_KNEE = 0.75  # of that; what is brighter is rolled off


def to_srgb(pixels: Pixels, primaries: int | None = None, transfer: int | None = None) -> Pixels:
    """Bring pixels (H, W, 3) of BT.2020, Display P3, PQ or HLG to sRGB; others stay as they are.

    `primaries` and `transfer` are numbers of ITU-T H.273. Faces of high dynamic range come out as
    bright as others.
    """
    if transfer not in (_PQ, _HLG):
        if primaries not in _TO_709:
            return pixels
        transfer = None
    table = _table(primaries if primaries in _TO_709 else 9, transfer)
    return np.array(Image.fromarray(pixels).filter(table))


@functools.cache
def _table(primaries: int, transfer: int | None) -> ImageFilter.Color3DLUT:
    axis = np.linspace(0, 1, 33)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    values = np.stack([red, green, blue], -1)
    light = np.maximum(_light(values, transfer) @ np.transpose(_TO_709[primaries]), 0)
    if transfer:
        over = np.maximum(light - _KNEE, 0)
        light = np.minimum(light, _KNEE) + over * (1 - _KNEE) / (over + 1 - _KNEE)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return ImageFilter.Color3DLUT(33, srgb.astype(np.float32).ravel())


def _light(values: NDArray[np.float64], transfer: int | None) -> NDArray[np.float64]:
    """Compute the light, 1 for a white page, of values 0..1 (..., RGB); by default of sRGB's."""
    if transfer == _PQ:
        return _pq_light(values) / _WHITE
    if transfer == _HLG:
        return _hlg_light(values) / _WHITE
    low = values <= 0.04045
    return np.asarray(np.where(low, values / 12.92, ((values + 0.055) / 1.055) ** 2.4))


def _pq_light(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute cd/m2 of PQ values 0..1 (BT.2100, table 4)."""
    root = values ** (32 / 2523)
    ratio = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return np.asarray(10_000 * ratio ** (16384 / 2610))


def _hlg_light(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute cd/m2 of HLG values 0..1 (..., RGB) on a display of 1,000 (BT.2100, table 5)."""
    upper = (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12
    scene = np.where(values <= 0.5, values**2 / 3, upper)
    luminance = scene @ [0.2627, 0.6780, 0.0593]
    return np.asarray(1000 * luminance[..., None] ** 0.2 * scene)
