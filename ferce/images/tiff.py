"""TIFF: find the picture among the directories, mute what Pillow fails on, take samples apart."""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image, TiffTags
from PIL import TiffImagePlugin as Tag

from ferce.images.refusal import IS_RAW, Refusal

_MAX_DIRECTORIES = 8  # EXIF, GPS, interoperability in one TIFF, with room to spare
_MAX_PAGES, _MAX_ENTRIES = 1000, 65_535
_MAX_SUBS = 16  # directories below one, and those that may tell a raw file
_MAX_VALUES = 2**20  # of a tag that is read here; strips and tiles are fewer
_MAX_LOOKS = 2**18  # at entries, of all directories together: they may lie in each other
# Type of an entry -> bytes of one value (TIFF 6.0, 2; BigTIFF).
_NUMBERS = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8), 1)) | {13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}  # types of whole numbers

_LISTS = (Tag.STRIPOFFSETS, Tag.STRIPBYTECOUNTS, Tag.TILEOFFSETS, Tag.TILEBYTECOUNTS)
# Tags that say how the samples of a picture are stored.
_STORED = {*range(256, 280), Tag.PLANAR_CONFIGURATION, Tag.PREDICTOR, Tag.TILEWIDTH} - {274}
_STORED |= {Tag.TILELENGTH, Tag.SAMPLEFORMAT, *_LISTS}
_SUBFILE, _OLD_SUBFILE, _SUB_DIRECTORIES = 254, 255, 330
_REDUCED, _MASK = 1, 4  # bits of a subfile's kind
_RAW = (32803, 34892)  # photometric: what a camera's sensor saw


@dataclass(frozen=True)
class _Form:
    """Where the place of the first directory stands, and how counts and places are stored."""

    first: int
    count: str
    place: str


_CLASSIC, _BIG = _Form(4, "H", "I"), _Form(8, "Q", "Q")


class _Entry(NamedTuple):
    """An entry of a directory: where it is, and its fields."""

    place: int
    tag: int
    kind: int
    number: int  # of values
    value: int


class TiffSanitiser:
    """A TIFF's bytes, in which the entries that Pillow warns about or fails on are muted.

    An entry is muted (its type set to 0, which readers skip) when its values lie outside the file,
    when it has more values than its tag allows, when it points to a broken sub-directory, or when
    all values together would be longer than the file.

    The picture is the first directory that is no reduced copy and no mask, and the only one that
    is left; `pages` is the number of such directories, `page` the one taken, from 1.

    Raises:
        struct.error: it has no sound directory.
        Refusal: it holds what a camera's sensor saw.
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.order = "<" if data[:1] == b"I" else ">"
        self.form = _BIG if 43 in data[2:4] else _CLASSIC
        self.left = len(data)  # bytes that values may still take
        self.looks = _MAX_LOOKS  # at entries that are left
        self.seen: set[int] = set()  # where directories begin; each is visited once
        self.start, self.pages = self._picture()
        if data[8:10] == b"CR":  # Canon's CR2
            raise Refusal(IS_RAW)

    def sanitised(self) -> bytes:
        """Return the file with those entries muted and the picture as its only directory."""
        end = self._sanitise(self.start)
        self._pack(self.form.place, end, 0)
        self._pack(self.form.place, self.form.first, self.start)
        return bytes(self.data)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture; ValueError where they are not single numbers."""
        (width,), (height,) = self.values(Tag.IMAGEWIDTH), self.values(Tag.IMAGELENGTH)
        return width, height

    def values(self, tag: int, start: int | None = None, most: int = _MAX_VALUES) -> Sequence[int]:
        """Read the whole numbers of a tag, by default of the picture; empty without them.

        Raises:
            struct.error: the directory is cut, or the directories have too many entries.
        """
        start = self.start if start is None else start
        for entry in self._entries(start):
            if entry.tag == tag and entry.kind in _WHOLE:
                return self._read(entry, most)
        return ()

    def _read(self, entry: _Entry, most: int) -> Sequence[int]:
        width = struct.calcsize(self.form.place)
        inside = entry.number * _NUMBERS[entry.kind] <= width
        place = entry.place + 4 + width if inside else entry.value
        end = place + entry.number * _NUMBERS[entry.kind]
        if entry.number > _MAX_VALUES or end > len(self.data):
            return ()
        return self._unpack(f"{min(entry.number, most)}{_WHOLE[entry.kind]}", place)

    def value(self, tag: int, default: int = 0, start: int | None = None) -> int:
        """Read the first whole number of a tag."""
        return next(iter(self.values(tag, start, 1)), default)

    def _picture(self) -> tuple[int, int]:
        """Find where the picture's directory begins, and how many there are."""
        chain = list(self._chain())
        full = [start for start in chain if self._is_full(start)]
        below = [sub for start in chain for sub in self.values(_SUB_DIRECTORIES, start, _MAX_SUBS)]
        if any(map(self._is_raw, [*chain[:_MAX_SUBS], *below[:_MAX_SUBS]])):
            raise Refusal(IS_RAW)  # whatever previews lie beside it
        return next(iter(full or filter(self._is_full, below)), chain[0]), max(len(full), 1)

    def _chain(self) -> Iterator[int]:
        (start,) = self._unpack(self.form.place, self.form.first)
        seen: set[int] = set()
        while start and start not in seen and len(seen) < _MAX_PAGES:
            seen.add(start)
            try:
                end = self._end(start)
                (following,) = self._unpack(self.form.place, end)
            except struct.error:
                if len(seen) == 1:
                    raise
                return
            yield start
            start = following
        if not seen:
            raise struct.error("no directory")

    def _is_full(self, start: int) -> bool:
        kind = self.value(_SUBFILE, start=start)
        return not kind & (_REDUCED | _MASK) and self.value(_OLD_SUBFILE, start=start) != 2

    def _is_raw(self, start: int) -> bool:
        try:
            return self.value(Tag.PHOTOMETRIC_INTERPRETATION, start=start) in _RAW
        except struct.error:  # a broken sub-directory, which is muted later
            return False

    def _unpack(self, form: str, place: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + form, self.data, place)

    def _pack(self, form: str, place: int, *values: int) -> None:
        struct.pack_into(self.order + form, self.data, place, *values)

    def _end(self, start: int) -> int:
        (count,) = self._unpack(self.form.count, start)
        if count > _MAX_ENTRIES:
            raise struct.error("too many entries")
        return start + struct.calcsize(self.form.count) + self._step * int(count)

    @property
    def _step(self) -> int:
        return 4 + 2 * struct.calcsize(self.form.place)

    def _entries(self, start: int) -> Iterator[_Entry]:
        first, end = start + struct.calcsize(self.form.count), self._end(start)
        for place in range(first, min(end, len(self.data)), self._step):
            self.looks -= 1
            if self.looks < 0:
                raise struct.error("too many entries")
            yield _Entry(place, *self._unpack("HH" + 2 * self.form.place, place))

    def _sanitise(self, start: int) -> int:
        """Mute a directory's entries in place, return its end; struct.error when it is cut."""
        self.seen.add(start)
        end = self._end(start)
        self._unpack(self.form.place, end)  # the pointer behind it
        for entry in list(self._entries(start)):
            if not self._is_sound(entry):
                self._pack("H", entry.place + 2, 0)
        return end

    def _is_sound(self, entry: _Entry) -> bool:
        length = entry.number * _NUMBERS.get(entry.kind, 0)
        if length > struct.calcsize(self.form.place):
            self.left -= length
            if self.left < 0 or entry.value + length > len(self.data):
                return False
        if entry.tag in TiffTags.TAGS_V2_GROUPS:
            return self._leads_to_sound(entry.value)
        several = TiffTags.lookup(entry.tag).length != 1
        return entry.number == 1 or entry.kind in (1, 2, 7) or several

    def _leads_to_sound(self, start: int) -> bool:
        if start in self.seen or len(self.seen) > _MAX_DIRECTORIES:
            return False
        try:
            self._sanitise(start)
        except struct.error:
            return False
        return True


def grey_files(tiff: TiffSanitiser) -> list[bytes]:
    """Make grey TIFFs of an RGB picture that Pillow cannot read, or reads wrong; else none.

    Planes of more than 8 bits give a file each; floats side by side give one, with a column for
    each sample.

    Raises:
        Refusal: the numbers are of a kind that is not read, or packed so that a column cannot stand
            for a sample.
    """
    bits, samples = tiff.value(Tag.BITSPERSAMPLE, 1), tiff.value(Tag.SAMPLESPERPIXEL, 1)
    planar, floating = (
        tiff.value(Tag.PLANAR_CONFIGURATION, 1) == 2,
        tiff.value(Tag.SAMPLEFORMAT, 1) == 3,
    )
    if tiff.value(Tag.PHOTOMETRIC_INTERPRETATION) != 2 or samples not in (3, 4) or bits <= 8:
        return []
    if floating and bits != 32:
        raise Refusal(f"has floats of {bits} bits; save it with 32, or as 16-bit whole numbers")
    if bits > 16 and not floating:
        raise Refusal(f"has {bits}-bit whole numbers, whose white is not known; save it as 16-bit")
    grey = {
        Tag.BITSPERSAMPLE: [bits],
        Tag.SAMPLESPERPIXEL: [1],
        Tag.PHOTOMETRIC_INTERPRETATION: [1],
        Tag.PLANAR_CONFIGURATION: [1],
        Tag.SAMPLEFORMAT: [3 if floating else 1],
    }
    if planar:
        return [_written(tiff, grey | _part(tiff, i, samples)) for i in range(samples)]
    if not floating:
        return []
    if tiff.value(Tag.PREDICTOR, 1) != 1:
        raise Refusal("is a TIFF of floats packed with a predictor; save it without")
    wide = {
        tag: [samples * tiff.value(tag)]
        for tag in (Tag.IMAGEWIDTH, Tag.TILEWIDTH)
        if tiff.value(tag)
    }
    return [_written(tiff, grey | wide)]


def _part(tiff: TiffSanitiser, i: int, parts: int) -> dict[int, Sequence[int]]:
    """Cut out where the strips or tiles of a plane lie."""
    stored = {tag: tiff.values(tag) for tag in _LISTS}
    if any(len(values) % parts for values in stored.values()):
        raise ValueError("planes of unlike numbers of strips")
    size = {tag: len(values) // parts for tag, values in stored.items() if values}
    return {tag: stored[tag][i * n : (i + 1) * n] for tag, n in size.items()}


def _written(tiff: TiffSanitiser, changed: Mapping[int, Sequence[int]]) -> bytes:
    """Write the file with a new directory behind it: how the picture is stored, and the changes."""
    stored = {**{tag: values for tag in _STORED if (values := tiff.values(tag))}, **changed}
    kind, form, order = 4 if tiff.form is _CLASSIC else 16, tiff.form, tiff.order
    size = struct.calcsize(form.place)
    start = len(tiff.data)
    there = start + struct.calcsize(form.count) + len(stored) * (4 + 2 * size) + size
    entries, arrays = [struct.pack(order + form.count, len(stored))], []
    for tag, values in sorted(stored.items()):
        where = values[0] if len(values) == 1 else there
        entries.append(struct.pack(order + "HH" + 2 * form.place, tag, kind, len(values), where))
        if len(values) > 1:
            arrays.append(struct.pack(f"{order}{len(values)}{form.place}", *values))
            there += len(arrays[-1])
    head = tiff.data[: form.first] + struct.pack(order + form.place, start)
    return bytes(head + tiff.data[len(head) :]) + b"".join((*entries, bytes(size), *arrays))


def tiles_are_sound(image: Image.Image, max_pixels: int) -> bool:
    """Tell whether a TIFF's tiles are ones Pillow reads, not too large, without a gap."""
    if not isinstance(image, Tag.TiffImageFile) or not image.tile:
        return True
    tags = image.tag_v2
    is_planar = tags.get(Tag.PLANAR_CONFIGURATION, 1) == 2
    if is_planar and max(tags.get(Tag.BITSPERSAMPLE, (1,))) > 8:
        return False  # Pillow 12 takes the 16-bit planes for 8-bit ones and shows noise
    sides = [tags.get(tag, 1) for tag in (Tag.TILEWIDTH, Tag.TILELENGTH)]
    boxes = {tile[1] for tile in image.tile if tile[1]}  # one box for all planes
    covered = sum((right - left) * (low - top) for left, top, right, low in boxes)
    return math.prod(sides) <= max_pixels and covered >= math.prod(image.size)
