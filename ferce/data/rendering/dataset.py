"""Writing a data set: images and metadata.jsonl, in parallel, safe to stop and go on."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from ferce.data.rendering.compose import Studio, render
from ferce.data.rendering.plan import Recipe, Settings

Image = NDArray[np.uint8]
CAPTION = 14  # pixels of the line under a picture


def draw_sheet(images: Sequence[Image], captions: Sequence[str], columns: int, size: int) -> Image:
    """Pictures in rows, each `size` pixels wide with its caption below."""
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (size + CAPTION), columns * size, 3), 255, np.uint8)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        y, x = (i // columns) * (size + CAPTION), (i % columns) * size
        way = cv2.INTER_AREA if len(image) > size else cv2.INTER_CUBIC
        sheet[y : y + size, x : x + size] = cv2.resize(image, (size, size), interpolation=way)
        spot = (x + 3, y + size + CAPTION - 4)
        cv2.putText(
            sheet, caption, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.34, (20, 20, 20), 1, cv2.LINE_AA
        )
    return sheet


def sheet_of(
    folder: Path, lines: Sequence[dict[str, Any]], columns: int = 8, size: int = 224
) -> Image:
    """The sheet of some lines of a data set's metadata."""
    images = [
        np.asarray(PILImage.open(folder / line["file_name"]).convert("RGB")) for line in lines
    ]
    return draw_sheet(images, [caption(line) for line in lines], columns, size)


def caption(line: dict[str, Any]) -> str:
    """Expression and action units with their sides: "sadly angry 4 L15"."""
    units = []
    for unit in line["action_units"]:
        side = "" if unit["left"] and unit["right"] else "L" if unit["left"] else "R"
        units.append(f"{side}{unit['unit']}")
    return f"{line['expression'] or line['kind']} {' '.join(units)}"


METADATA, SETTINGS, IMAGES = "metadata.jsonl", "settings.json", "images"


@dataclass(frozen=True)
class Output:
    """Where and how pictures are stored."""

    folder: Path
    size: int
    suffix: str = ".jpg"  # .jpg, .webp or .png
    quality: int = 92

    def name(self, index: int) -> str:
        """Path of picture `index`, relative to the folder."""
        return f"{IMAGES}/{index:06d}{self.suffix}"


def write_dataset(
    recipes: Sequence[Recipe], studio: Studio, output: Output, workers: int = 1
) -> Iterator[dict[str, Any]]:
    """Render what is not there yet; yields each new line of metadata, in any order.

    The pictures do not depend on the number of workers. metadata.jsonl grows as pictures are
    finished and is put into index order at the end.
    """
    (output.folder / IMAGES).mkdir(parents=True, exist_ok=True)
    done = finished(output.folder)
    rest = [r for r in recipes if r.index not in done]
    mend_tail(output.folder / METADATA)
    with (output.folder / METADATA).open("a", encoding="utf-8") as log:
        for line in _work(rest, studio, output, workers):
            log.write(json.dumps(line) + "\n")
            log.flush()
            yield line
    sort_metadata(output.folder, {r.index for r in recipes})


def finished(folder: Path) -> dict[int, dict[str, Any]]:
    """Lines whose picture exists, by index; a line cut off by a crash is left out."""
    path, out = folder / METADATA, {}
    if not path.is_file():
        return {}
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if (folder / line["file_name"]).is_file():
            out[int(line["index"])] = line
    return out


def mend_tail(path: Path) -> None:
    """End a half-written last line, so that the next one starts afresh."""
    if path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        with path.open("a", encoding="utf-8") as log:
            log.write("\n")


def sort_metadata(folder: Path, wanted: set[int]) -> None:
    """Rewrite metadata.jsonl in index order, at once."""
    lines = [line for i, line in sorted(finished(folder).items()) if i in wanted]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    _replace(folder / METADATA, text.encode())


def keep_settings(folder: Path, settings: Settings, people: Sequence[str]) -> None:
    """Remember what a folder is made from; refuse to mix two data sets in it."""
    now = json.dumps({"settings": asdict(settings), "people": sorted(people)}, indent=1)
    path = folder / SETTINGS
    if path.is_file() and path.read_text(encoding="utf-8") != now:
        raise ValueError(
            f"{folder} holds a data set with other settings or people; choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _replace(path, now.encode())


def save_image(image: Image, path: Path, quality: int) -> None:
    """Write a picture at once: it is there whole, or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    kinds = {".jpg": "JPEG", ".webp": "WEBP", ".png": "PNG"}
    if path.suffix not in kinds:
        raise ValueError(f"expected a name that ends in {sorted(kinds)}, came {path.name}")
    options = {"method": 6} if path.suffix == ".webp" else {"optimize": True}
    PILImage.fromarray(image).save(part, kinds[path.suffix], quality=quality, **options)
    part.replace(path)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def _work(
    recipes: Sequence[Recipe], studio: Studio, output: Output, workers: int
) -> Iterator[dict[str, Any]]:
    jobs = [(recipe, studio, output) for recipe in recipes]
    if workers <= 1:
        yield from map(_one, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_calm) as pool:
        yield from pool.imap_unordered(_one, jobs, chunksize=4)


def _calm() -> None:
    """One thread a worker: the workers are the parallelism."""
    import cv2

    cv2.setNumThreads(1)


def _one(job: tuple[Recipe, Studio, Output]) -> dict[str, Any]:
    recipe, studio, output = job
    image, line = render(studio.load(), recipe, output.size)
    name = output.name(recipe.index)
    save_image(image, output.folder / name, output.quality)
    return {"file_name": name, **line}
