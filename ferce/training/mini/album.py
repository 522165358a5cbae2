"""Aligned faces packed into one array on disk, and varied a whole batch at a time."""

import io
import json
import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ferce.data.align import Aligned
from ferce.data.record import PRESENT, Sample, UnitLabel, hidden_in
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import in_region
from ferce.training.checkpoint import write_atomic
from ferce.training.options import Json
from ferce.training.progress import TrainingError

QUALITY = 80  # of WebP: about 1.7 kB a face of 128 pixels
PART = 12_000_000  # bytes of a file, at most
SIZES = "sizes.npy"

SHIFT, SCALE, TURN = 0.04, 0.08, math.radians(6)  # of the side; about 1; radians
GREY, BLUR, NOISE = 0.15, 0.25, 0.03  # shares of the pictures; standard deviation at most


def write(pixels: NDArray[np.uint8], folder: Path, quality: int = QUALITY) -> None:
    """Write (N, S, S, 3) faces as `part-000.bin` and so on, and the size of each face."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    sizes, part, held = [], 0, bytearray()
    for face in pixels:
        buffer = io.BytesIO()
        Image.fromarray(face).save(buffer, "WEBP", quality=quality)
        if len(held) + buffer.tell() > PART:
            (folder / f"part-{part:03}.bin").write_bytes(held)
            part, held = part + 1, bytearray()
        held += buffer.getvalue()
        sizes.append(buffer.tell())
    (folder / f"part-{part:03}.bin").write_bytes(held)
    np.save(folder / SIZES, np.array(sizes, np.int64), allow_pickle=False)


def read(folder: Path) -> NDArray[np.uint8]:
    """Read (N, S, S, 3) faces into memory.

    Raises:
        TrainingError: a part is missing or cut short.
    """
    from PIL import Image

    sizes = np.load(folder / SIZES, allow_pickle=False)
    data = b"".join(path.read_bytes() for path in sorted(folder.glob("part-*.bin")))
    if len(data) != int(sizes.sum()):
        raise TrainingError(f"{folder} should hold {sizes.sum()} bytes of faces, not {len(data)}.")
    ends = np.cumsum(sizes)
    faces = [
        np.asarray(Image.open(io.BytesIO(data[end - size : end])).convert("RGB"))
        for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)
    ]
    return np.stack(faces)


SIDE = 128  # pixels; the tower reads a part of it, so that shifts find something at the border


PIXELS, ROWS = "pixels.npy", "rows.jsonl"


KEPT = ("source", "style", "kind", "occluder", "age", "sex", "ethnicity")  # attributes


BAND = 0.15  # a unit this much above or below `PRESENT` is surely there or not


@dataclass(frozen=True, eq=False)
class Album:
    """N faces: `pixels` (N, SIDE, SIDE, 3) uint8 RGB on disk, and what is known of each."""

    pixels: NDArray[np.uint8]
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def where(self, split: str) -> NDArray[np.int64]:
        """List the indices of the faces of a split."""
        return np.flatnonzero([sample.split == split for sample in self.samples])

    def crops(self, numbers: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read the faces with these numbers: (n, SIDE, SIDE, 3)."""
        return np.stack([self.pixels[i] for i in numbers])

    def strengths(self, numbers: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute (n, A) strengths of the action units of the faces with these numbers."""
        return strengths([self.samples[i] for i in numbers])

    def aligned(self, numbers: NDArray[np.int64]) -> list[Aligned]:
        """Wrap these samples as a `Gallery` takes them; it must not be asked for pictures."""
        return [Aligned(self.samples[i], Path()) for i in numbers]


def pack(items: Iterable[Aligned], count: int, folder: Path) -> Album:
    """Write the faces of `items` (at most `count`) to `folder`, and open it.

    The rows are written last: an album that has them is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, SIDE, SIDE, 3)
    pixels = np.lib.format.open_memmap(folder / PIXELS, "w+", np.uint8, shape)
    lines = []
    for place, item in enumerate(items):
        pixels[place] = _resized(item.face().crop)
        lines.append(json.dumps(_row(item.sample)))
    pixels.flush()
    write_atomic(folder / ROWS, lambda part: part.write_text("\n".join(lines), "utf-8"))
    return load(folder)


def load(folder: Path) -> Album:
    """Open an album; its pixels stay on disk, unless it was squeezed.

    Raises:
        TrainingError: there is none, or it was not finished.
    """
    if not (folder / ROWS).is_file():
        raise TrainingError(f"There is no whole album in {folder}; pack it first.")
    rows = (folder / ROWS).read_text("utf-8").split("\n")
    if (folder / PIXELS).is_file():
        pixels = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
    else:
        pixels = read(folder)
    return Album(pixels, tuple(_sample(json.loads(row)) for row in rows))


def squeeze(source: Path, target: Path) -> None:
    """Write the album of one folder to another in little space, to be carried elsewhere."""
    write(load(source).pixels, target)
    shutil.copy(source / ROWS, target / ROWS)


def some(numbers: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Draw at most so many by chance, but always the same; 0 takes all."""
    return np.random.default_rng(1).permutation(numbers)[: most or None]


def targets(sample: Sample) -> NDArray[np.float32]:
    """Make (2, A) targets 0..1 of the units on the person's left and right, NaN where unknown.

    Rises in a line over `PRESENT` +- `BAND`, so that what is hardly there is learnt as a doubt.
    """
    if sample.units is None:
        return np.full((2, len(UNIT_NUMBERS)), np.nan, np.float32)
    shown = np.zeros((2, len(UNIT_NUMBERS)), np.float32)
    for unit in sample.units:
        if unit.unit in UNIT_NUMBERS:
            shown[:, UNIT_NUMBERS.index(unit.unit)] = [_sure(v) for v in _sides(unit)]
    hidden = hidden_in(sample) or ()
    for place, number in enumerate(UNIT_NUMBERS):
        unasked = sample.coded is not None and number not in sample.coded
        if unasked or any(in_region(number, region) for region in hidden):
            shown[:, place] = np.nan
    return shown


def strengths(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Compute (N, A) strengths 0..1 of each unit, 1 where only presence was coded, NaN if unknown.

    Nothing is known where something covers an unknown part of the face: it may be the very part.
    """
    made = np.zeros((len(samples), len(UNIT_NUMBERS)), np.float32)
    for row, sample in zip(made, samples, strict=True):
        for unit in sample.units or ():
            if unit.unit in UNIT_NUMBERS:
                row[UNIT_NUMBERS.index(unit.unit)] = max(_sides(unit))
        row[np.isnan(targets(sample)[0])] = np.nan
        if hidden_in(sample) is None:
            row[:] = np.nan
    return made


def _sides(unit: UnitLabel) -> tuple[float, float]:
    whole = 1.0 if unit.intensity is None else unit.intensity
    if unit.left is None or unit.right is None:
        return whole, whole
    if unit.intensity is None:
        return unit.left, unit.right
    # The renderer's sides are absolute, so the stronger one is the intensity.
    return unit.left, unit.right


def _sure(strength: float) -> float:
    return min(max((strength - PRESENT + BAND) / (2 * BAND), 0.0), 1.0)


def _resized(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    if len(crop) == SIDE:
        return crop
    made = Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(made, np.uint8)


def _row(sample: Sample) -> Json:
    return {
        "name": sample.name,
        "label": sample.label,
        "units": None if sample.units is None else [asdict(unit) for unit in sample.units],
        "subject": sample.subject,
        "split": sample.split or "train",
        "coded": None if sample.coded is None else sorted(sample.coded),
        "attributes": {k: v for k, v in sample.attributes.items() if k in KEPT},
    }


def _sample(row: Json) -> Sample:
    units, coded = row.pop("units"), row.pop("coded")
    return Sample(
        image=Path(),
        units=None if units is None else tuple(UnitLabel(**unit) for unit in units),
        coded=None if coded is None else frozenset(coded),
        **row,
    )


def plain(pixels: Tensor, side: int) -> Tensor:
    """Convert (N, S, S, 3) uint8 to (N, 3, side, side) float32 in -1..1, as the processor does."""
    images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    if images.shape[-1] == side:
        return images
    return functional.interpolate(images, (side, side), mode="bilinear", antialias=True)


def varied(pixels: Tensor, side: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    """Vary pictures at random; gives (N,) bool which of them are mirrored, too.

    Args:
        pixels: (N, S, S, 3) uint8.
        side: of the result.
        dice: a `torch.Generator` on the device of the pixels.
    """
    images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    n, device = len(images), images.device

    def draw(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=dice, device=device) * (high - low) + low

    mirrored = draw(0, 1) < 0.5
    angle, scale = draw(-TURN, TURN), 1 + draw(-SCALE, SCALE)
    across, down = draw(-2 * SHIFT, 2 * SHIFT), draw(-2 * SHIFT, 2 * SHIFT)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
    turn = turn / scale[:, None, None]
    turn[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]
    matrix = torch.cat([turn, torch.stack([across, down], 1)[..., None]], 2)
    grid = functional.affine_grid(matrix, [n, 3, side, side], align_corners=False)
    made = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return _coloured(made, draw, dice), mirrored


def _coloured(
    images: Tensor, draw: Callable[[float, float], Tensor], dice: torch.Generator
) -> Tensor:
    """Vary light, contrast, tint, grey, blur and noise; still about -1..1."""
    n = len(images)
    low, high = 0.7, 1.35
    bent = ((images.clamp(-1, 1) + 1) / 2).pow(draw(low, high).view(n, 1, 1, 1))
    tint = torch.stack([draw(0.9, 1.1) for _ in range(3)], 1)[..., None, None]
    made = (bent * tint * draw(0.8, 1.2).view(n, 1, 1, 1)) * 2 - 1
    grey = (draw(0, 1) < GREY).view(n, 1, 1, 1)
    made = torch.where(grey, made.mean(1, keepdim=True).expand_as(made), made)
    soft = functional.avg_pool2d(functional.pad(made, (1, 1, 1, 1), mode="replicate"), 3, 1)
    made = torch.where((draw(0, 1) < BLUR).view(n, 1, 1, 1), soft, made)
    noise = torch.randn(made.shape, generator=dice, device=made.device)
    return (made + noise * draw(0, NOISE).view(n, 1, 1, 1)).clamp(-1, 1)
