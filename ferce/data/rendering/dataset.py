"""Write a data set: images, metadata.jsonl and data card, in parallel and resumable."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np
from PIL import Image as PILImage

from ferce.core import jsontext
from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.core.types import Pixels
from ferce.data.record import SPLITS
from ferce.data.rendering.compose import AssetPaths, render
from ferce.data.rendering.plan import Recipe, Settings

CAPTION = 14  # pixels of the line under a picture
DIED = (
    "A process that renders ended, perhaps for want of memory; use fewer (--workers), and the same "
    "command goes on where it was."
)


def draw_sheet(
    images: Sequence[Pixels], captions: Sequence[str], columns: int, size: int
) -> Pixels:
    """Draw pictures in rows, each `size` pixels wide with its caption below."""
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
) -> Pixels:
    """Draw a contact sheet of some lines of a data set's metadata."""
    images = [
        np.asarray(PILImage.open(folder / line["file_name"]).convert("RGB")) for line in lines
    ]
    return draw_sheet(images, [caption(line) for line in lines], columns, size)


def caption(line: dict[str, Any]) -> str:
    """Write expression and action units with their sides: "sadly angry 4 L15"."""
    units = []
    for unit in line["action_units"]:
        side = "" if unit["left"] and unit["right"] else "L" if unit["left"] else "R"
        units.append(f"{side}{unit['unit']}")
    return f"{line['expression'] or line['kind']} {' '.join(units)}"


METADATA, SETTINGS, IMAGES = "metadata.jsonl", "settings.json", "images"


@dataclass(frozen=True)
class Output:
    """Folder, size and format of the pictures."""

    folder: Path
    size: int
    suffix: str = ".jpg"  # .jpg, .webp or .png
    quality: int = 92

    def name(self, index: int) -> str:
        """Name picture `index`, relative to the folder."""
        return f"{IMAGES}/{index:06d}{self.suffix}"


def write_dataset(
    recipes: Sequence[Recipe], asset_paths: AssetPaths, output: Output, workers: int = 1
) -> Iterator[dict[str, Any]]:
    """Render what is missing; yield each new line of metadata, in any order.

    The pictures do not depend on the number of workers. metadata.jsonl grows as pictures are
    finished and is put into index order at the end.
    """
    (output.folder / IMAGES).mkdir(parents=True, exist_ok=True)
    for left in (output.folder / IMAGES).glob(".*.part"):  # by a kill
        left.unlink()
    done = finished_lines(output.folder)
    rest = [r for r in recipes if r.index not in done]
    end_last_line(output.folder / METADATA)
    with (output.folder / METADATA).open("a", encoding="utf-8") as log:
        for line in _work(rest, asset_paths, output, workers):
            log.write(json.dumps(line) + "\n")
            log.flush()
            yield line
    sort_metadata(output.folder, {r.index for r in recipes})


def finished_lines(folder: Path) -> dict[int, dict[str, Any]]:
    """Read lines whose picture exists, by index; a line cut off by a crash is left out."""
    path, out = folder / METADATA, {}
    if not path.is_file():
        return {}
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = jsontext.parse(text)
        except ValueError:
            continue
        if (folder / line["file_name"]).is_file():
            out[int(line["index"])] = line
    return out


def end_last_line(path: Path) -> None:
    """End a half-written last line, so that the next one starts afresh."""
    if path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        with path.open("a", encoding="utf-8") as log:
            log.write("\n")


def sort_metadata(folder: Path, wanted: set[int]) -> None:
    """Rewrite metadata.jsonl in index order, at once."""
    lines = [line for i, line in sorted(finished_lines(folder).items()) if i in wanted]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    _replace(folder / METADATA, text.encode())


def write_settings(folder: Path, settings: Settings, people: Sequence[str]) -> None:
    """Write what a folder is made from; refuse to mix two data sets in it."""
    now = json.dumps({"settings": asdict(settings), "people": sorted(people)}, indent=1)
    path = folder / SETTINGS
    if path.is_file() and path.read_text(encoding="utf-8") != now:
        raise ValueError(
            f"{folder} holds a data set with other settings or people; choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _replace(path, now.encode())


def save_image(image: Pixels, path: Path, quality: int) -> None:
    """Write a picture in one step: it is there whole, or not at all."""
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
    recipes: Sequence[Recipe], asset_paths: AssetPaths, output: Output, workers: int
) -> Iterator[dict[str, Any]]:
    jobs = [(recipe, asset_paths, output) for recipe in recipes]
    if workers <= 1:
        yield from map(_one, jobs)
        return
    # Not a multiprocessing.Pool, which waits for ever for a process that was killed.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _use_one_thread) as pool:
        try:
            for done in as_completed([pool.submit(_one, job) for job in jobs]):
                yield done.result()
        except BrokenProcessPool as error:
            raise OSError(DIED) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _use_one_thread() -> None:
    """Limit OpenCV to one thread in a worker process."""
    import cv2

    cv2.setNumThreads(1)


def _one(job: tuple[Recipe, AssetPaths, Output]) -> dict[str, Any]:
    recipe, asset_paths, output = job
    image, line = render(asset_paths.load(), recipe, output.size)
    name = output.name(recipe.index)
    save_image(image, output.folder / name, output.quality)
    return {"file_name": name, **line}


CARD = Template(
    """---
license: other
license_name: cc0-1.0-and-mit
task_categories: [image-classification]
tags: [facial-expression, compound-expression, action-units, synthetic]
size_categories: [n<1K]
---
# Rendered compound expressions (demo set)

$count pictures of $size x $size pixels with exact labels: $compounds of the 14 RAF-CE
compounds, $basics basic expressions, $neutral neutral faces and $random random sets of
action units. Every training and evaluation script of ferce runs on them when it is given no data.
Nobody in them exists: the photo style uses AI-generated portraits, the clay style painted heads.

Nothing measured here tells how a model does on photographs of real people.

| | train | val | test |
|---|--:|--:|--:|
| pictures | $split_pictures |
| people (no person is in two splits) | $split_people |
$label_rows

## What is in it
- `metadata.jsonl`: file_name, label (compound or null), expression, kind (compound, basic, neutral,
  random), action_units (unit, intensity, left, right: the subject's sides, 0..1), person, split,
  style (photo, clay), yaw, pitch, roll (degrees; yaw > 0 faces the picture's right, pitch > 0 up,
  roll > 0 tilts to the picture's left after levelling the eyes), light (null = as in the portrait),
  occluder, degradation, source, licence, attribution, seed, index.
- `images/`: the pictures, framed like ferce's aligned crops: a square of 1.3 to 1.5 sides of the
  face mesh, eyes level within 2 degrees.
- `examples/`: $examples pictures of 512 pixels, of people of the test split, with their own
  `metadata.jsonl`.

## How it was made
Action units follow the prototypes of Du, Tao & Martinez (PNAS 2014; the last two classes:
EmotioNet, CVPR 2016), with variants at their frequency, intensities 0.5 to 1, small asymmetries.
ICT-FaceKit (Li et al., CVPR 2020) was fitted to each portrait; the portrait is its texture. Folds
of skin, teeth, eyeballs, lamps, occluders ($occluded pictures) and degradations ($degraded) are
drawn.

    $command

FaceLandmarker finds $seen_images of $count pictures and $seen_examples of $examples examples
(counted by the same command).

## Limits
- The labels say which expression was acted with the kit, not what anybody feels.
- Portraits: $photo_people AI-generated people (the neutral ones of 200), a generator's idea of a
  face; by the look of them more have dark skin than light. No figure per group should be read
  from so few.
- Prototypes are laboratory expressions; those in the wild differ in units and frequency.
- Small glances, tongues, tears, blush and moving hair are missing; teeth are one set for all.

## Sources and licences
$sources

The renders themselves are dedicated to the public domain (CC0 1.0), as far as rights exist in them.
ICT-FaceKit: MIT, (c) 2020 USC Institute for Creative Technologies; none of its files is included.
"""
)


def dataset_card(
    lines: Sequence[dict[str, Any]],
    *,
    size: int,
    command: str,
    examples: int,
    detected: tuple[int, int],
) -> str:
    """Write the data card; `detected` counts pictures and examples with a detected face."""
    kinds = Counter(line["kind"] for line in lines)
    return CARD.substitute(
        count=len(lines),
        photo_people=len({line["person"] for line in lines if line["style"] == "photo"}),
        size=size,
        compounds=kinds["compound"],
        basics=kinds["basic"],
        neutral=kinds["neutral"],
        random=kinds["random"],
        split_pictures=_row([line["split"] for line in lines]),
        split_people=_row([s for _, s in {(line["person"], line["split"]) for line in lines}]),
        label_rows=_label_rows(lines),
        occluded=sum(line["occluder"] is not None for line in lines),
        degraded=sum(bool(line["degradation"]) for line in lines),
        examples=examples,
        command=command,
        seen_images=detected[0],
        seen_examples=detected[1],
        sources=_sources(lines),
    )


def _row(splits: Sequence[str]) -> str:
    counts = Counter(splits)
    return " | ".join(str(counts[s]) for s in SPLITS)


def _label_rows(lines: Sequence[dict[str, Any]]) -> str:
    rows = []
    for name in (*COMPOUNDS, *BASICS, NEUTRAL):
        splits = [line["split"] for line in lines if line["expression"] == name]
        rows.append(f"| {name} | {_row(splits)} |")
    return "\n".join(rows)


def _sources(lines: Sequence[dict[str, Any]]) -> str:
    counts = Counter((line["source"], line["licence"], line["attribution"]) for line in lines)
    return "\n".join(
        f"- {s}: {n} pictures, {lic}. {who}" for (s, lic, who), n in counts.most_common()
    )
