"""The demo set that ships: complete, small, openly licensed, and no person in two splits."""

import json

import pytest
from PIL import Image

from ferce.core.labels import COMPOUNDS
from ferce.data.rendering.dataset import dataset_card
from ferce.data.sources import DEMO

LINES = [json.loads(t) for t in (DEMO / "metadata.jsonl").read_text().splitlines()]
EXAMPLES = [json.loads(t) for t in (DEMO / "examples" / "metadata.jsonl").read_text().splitlines()]


def test_every_picture_is_there_once():
    names = {line["file_name"] for line in LINES}
    assert names == {f"images/{p.name}" for p in (DEMO / "images").iterdir()}
    assert len(names) == len(LINES) >= 650


def test_demo_is_small():
    sizes = [p.stat().st_size for p in DEMO.rglob("*") if p.is_file()]
    assert sum(sizes) < 6_000_000
    assert max(sizes) < 1_000_000


def test_every_split_has_every_class_and_neutral():
    for split in ("train", "val", "test"):
        there = {line["expression"] for line in LINES if line["split"] == split}
        assert there >= {*COMPOUNDS, "neutral"}


def test_no_person_is_in_two_splits():
    homes = {}
    for line in [*LINES, *EXAMPLES]:
        assert homes.setdefault(line["person"], line["split"]) == line["split"]


@pytest.mark.parametrize("line", [*LINES[:3], *EXAMPLES], ids=lambda line: line["file_name"])
def test_pictures_open_at_their_size(line):
    folder, size = (DEMO, 128) if "/" in line["file_name"] else (DEMO / "examples", 512)
    with Image.open(folder / line["file_name"]) as picture:
        assert picture.size == (size, size)


def test_sources_are_cc0_or_the_kit():
    assert {(s["source"], s["licence"]) for s in [*LINES, *EXAMPLES]} <= {
        ("faker", "CC0-1.0"),
        ("ICT-FaceKit", "MIT"),
    }


def test_the_card_counts_what_is_there():
    card = (DEMO / "README.md").read_text()
    assert dataset_card(
        LINES,
        size=128,
        command="python -m train.make_demo",
        examples=len(EXAMPLES),
        detected=(len(LINES), len(EXAMPLES)),
    ).startswith(card[:1500])
    assert f"{len(LINES)} pictures" in card
