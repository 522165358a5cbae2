"""Tiny drawn pictures, and folders in the formats of public data sets made of them."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ferce.data.record import Blob, Sample, UnitLabel


def drawing(seed: int, size: int = 32) -> np.ndarray:
    """(size, size, 3) uint8: smooth random colour, different for each seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def save(path: Path, seed: int = 0, size: int = 32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawing(seed, size)).save(path)
    return path


RAFCE_ROWS = (  # name, class, partition code, action units
    ("0001.jpg", 0, 0, "1+2+12+25"),
    ("0002.jpg", 10, 1, "4+L10+17"),
    ("0003.jpg", 13, 2, "17+B22+T24"),
    ("0004.jpg", 5, 0, "null"),
)


def write_rafce(
    root: Path, rows: Sequence = RAFCE_ROWS, images: Sequence[str] = ("aligned",)
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, column in (("emolabel", 1), ("partition", 2), ("AUlabel", 3)):
        text = "".join(f"{row[0]} {row[column]}\n" for row in rows)
        (root / f"RAFCE_{name}.txt").write_text(text)
    for kind in images:
        for seed, row in enumerate(rows):
            end = "_aligned.jpg" if kind == "aligned" else ".jpg"
            save(root / kind / (Path(row[0]).stem + end), seed)
    return root


def write_rafdb(root: Path, rows: Mapping[str, int], part: str = "compound") -> Path:
    place = root / part / "EmoLabel"
    place.mkdir(parents=True)
    text = "".join(f"{name} {number}\n" for name, number in rows.items())
    (place / "list_patition_label.txt").write_text(text)
    for seed, name in enumerate(rows):
        save(root / part / "Image/aligned" / name.replace(".jpg", "_aligned.jpg"), seed)
        save(root / part / "Image/original" / name, seed)
    return root


def write_rafml(root: Path, rows: Mapping[str, tuple[str, int]]) -> Path:
    """`rows` maps a name to its six shares and its partition code."""
    place = root / "EmoLabel"
    place.mkdir(parents=True)
    lines = [f"{name} {shares}\n" for name, (shares, _) in rows.items()]
    (place / "distribution.txt").write_text("".join(lines))
    codes = [f"{name} {code}\n" for name, (_, code) in rows.items()]
    (place / "partition_label.txt").write_text("".join(codes))
    for seed, name in enumerate(rows):
        save(root / "Image/aligned" / name.replace(".jpg", "_aligned.jpg"), seed)
    return root


def sample(name: str = "a", label: str | None = None, units=None, seed: int = 0, **more) -> Sample:
    """A sample in memory; `units` are numbers or UnitLabels, None for not coded."""
    if units is not None:
        units = tuple(u if isinstance(u, UnitLabel) else UnitLabel(u) for u in units)
    return Sample(name, Blob(png(drawing(seed))), label, units, **more)
