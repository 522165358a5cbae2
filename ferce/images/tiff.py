"""TIFF: mute directory entries that Pillow warns about or fails on, and check the tiles."""

import math
import struct

from PIL import Image, TiffImagePlugin, TiffTags

_MAX_DIRECTORIES = 8  # EXIF, GPS, interoperability in one TIFF, with room to spare
_NUMBERS = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
}  # TIFF 6.0, 2


class TiffTamer:
    """A TIFF's bytes, in which the entries that Pillow warns about or fails on are muted.

    An entry is muted (its type set to 0, which readers skip) when its values lie outside the file,
    when it has more values than its tag allows, when it points to a broken sub-directory, or when
    all values together would be longer than the file.
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.order = "<" if data[:1] == b"I" else ">"
        self.left = len(data)  # bytes that values may still take
        self.seen: set[int] = set()  # where directories begin; each is visited once

    def tamed(self) -> bytes:
        """Return the file with those entries muted; struct.error when it has no sound directory."""
        (first,) = struct.unpack_from(self.order + "I", self.data, 4)
        self._tame(first)
        return bytes(self.data)

    def _tame(self, start: int) -> None:
        """Mute a directory's entries in place; struct.error when it does not fit the file."""
        self.seen.add(start)
        (count,) = struct.unpack_from(self.order + "H", self.data, start)
        end = start + 2 + 12 * count
        struct.unpack_from(self.order + "I", self.data, end)  # the pointer behind it
        for place in range(start + 2, end, 12):
            if not self._is_sound(place):
                struct.pack_into(self.order + "H", self.data, place + 2, 0)

    def _is_sound(self, place: int) -> bool:
        tag, kind, count, value = struct.unpack_from(self.order + "HHII", self.data, place)
        length = count * _NUMBERS.get(kind, 0)
        if length > 4:
            self.left -= length
            if self.left < 0 or value + length > len(self.data):
                return False
        if tag in TiffTags.TAGS_V2_GROUPS:
            return self._leads_to_sound(value)
        return count == 1 or kind in (1, 2, 7) or TiffTags.lookup(tag).length != 1

    def _leads_to_sound(self, start: int) -> bool:
        if start in self.seen or len(self.seen) > _MAX_DIRECTORIES:
            return False
        try:
            self._tame(start)
        except struct.error:
            return False
        return True


def tiles_are_sound(image: Image.Image, max_pixels: int) -> bool:
    """Tell whether a TIFF's tiles are ones Pillow reads, not too large, without a gap."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or not image.tile:
        return True
    tags = image.tag_v2
    is_planar = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2
    if is_planar and max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) > 8:
        return False  # Pillow 12 takes the 16-bit planes for 8-bit ones and shows noise
    sides = [tags.get(tag, 1) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)]
    boxes = {tile[1] for tile in image.tile if tile[1]}  # one box for all planes
    covered = sum((right - left) * (low - top) for left, top, right, low in boxes)
    return math.prod(sides) <= max_pixels and covered >= math.prod(image.size)
