"""Tables of real faces for training and for reporting, from crops, a manifest and annotations.

python train/portraits.py --manifest FACES/manifest.csv --crops FACES/crops \
    --annotations FACES/annotations.csv FACES/annotations_more.csv --output faces

The manifest has one row a crop (file, source, licence, subject, known_expression, age, sex,
ethnicity); the annotations, one file or more, have one row a crop and annotator (file, split,
annotator, usable, primary, compound, action_units). Written are

* annotated.jsonl: faces that two annotators saw. Split `val` (their "tune", to choose and fit) and
  `test` (to report only). `label` where both name the same leading emotion, `compound` where they
  agree on a compound or on "none"; `shares` of the outcome that each named, the compound where
  there is one, else the leading emotion; an action unit is coded where both agree.
* london.jsonl: faces of people who posed neutral and smiling; the last 30 people are `test`.
* others.jsonl: the rest, without labels; all `train`. Averages of several people are left out.
* people.txt: who is in annotated.jsonl, to be left out of rendered data (rendered:...?without=).
"""

import csv
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.facs.action_units import UNITS
from ferce.training import options

HELD_OUT = 30  # people of London, last by name; rendering holds out the same
SPLITS = {"tune": "val", "test": "test"}
KEPT = ("source", "licence", "attribution", "age", "sex", "ethnicity", "yaw")
ARGUMENTS = {
    "manifest": "CSV with a row for each crop",
    "crops": "folder of the crops",
    "output": "folder of the tables to write",
}
Row = Mapping[str, str]


def units(row: Row) -> frozenset[int]:
    """Action units that an annotator saw."""
    text = row["action_units"]
    return frozenset() if text in ("", "none") else frozenset(map(int, text.split("+")))


def outcome(row: Row) -> str | None:
    """What an annotator named: the compound where there is one, else the leading emotion."""
    if row["compound"] in COMPOUNDS:
        return row["compound"]
    return row["primary"] if row["primary"] in (*BASICS, NEUTRAL) else None


def annotated(seen: Iterable[Row]) -> dict[str, Any]:
    """A face with what its annotators saw."""
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
    """A face whose expression was asked for: neutral shows nothing, a smile AU12."""
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
    """The rows of the three tables."""
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


def main() -> None:
    """Read both tables, write three."""
    made = options.parser(__doc__)
    for name, text in ARGUMENTS.items():
        made.add_argument(f"--{name}", type=Path, required=True, help=text)
    made.add_argument("--annotations", type=Path, nargs="+", required=True, help="CSV with a row "
        "for each crop and annotator, one file or more")  # fmt: skip
    given = made.parse_args()
    with given.manifest.open(newline="", encoding="utf-8") as file:
        faces: list[Row] = list(csv.DictReader(file))
    seen: dict[str, list[Row]] = defaultdict(list)
    for table in given.annotations:
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                seen[row["file"]].append(row)
    given.output.mkdir(parents=True, exist_ok=True)
    base = os.path.relpath(given.crops, given.output)
    for name, rows in tables(faces, seen).items():
        lines = [json.dumps({**row, "file_name": f"{base}/{row['file_name']}"}) for row in rows]
        (given.output / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if name == "annotated":
            people = sorted({row["subject"] for row in rows})
            (given.output / "people.txt").write_text("\n".join(people) + "\n", encoding="utf-8")
        print(f"{name}: {dict(Counter((r['split'], r.get('label')) for r in rows))}")


if __name__ == "__main__":
    options.run("portraits", main, OSError)
