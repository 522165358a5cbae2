"""Our own decoders with good and broken input; `fuzz.py` searches further, guided by coverage."""

import json
import random
import struct
import time

import pytest
from harnesses import HARNESSES, SECONDS, boards, configs, figures, fusions, runs
from mutants import mutated

MUTANTS = 300  # of each decoder
REFUSING = ("spec", "reply", "csv", "jsonl", "column", "archive")  # some of their seeds


@pytest.mark.parametrize("name", HARNESSES)
def test_good_input_is_read(name):
    harness = HARNESSES[name]
    outcomes = [harness.once(seed) for seed in harness.seeds()]
    assert "read" in outcomes
    assert name in REFUSING or set(outcomes) == {"read"}
    harness.once(b"")


@pytest.mark.parametrize("name", HARNESSES)
def test_broken_input_is_read_or_refused_in_one_sentence(name):
    harness = HARNESSES[name]
    seeds = harness.seeds()
    for number in range(MUTANTS):
        rng = random.Random(f"{name} {number}")
        data = mutated(rng.choice(seeds), rng, harness.text)
        begun = time.monotonic()
        try:
            harness.once(data)
        except Exception as error:
            raise AssertionError(f"{name} {number} fell on {data[:400]!r}") from error
        assert time.monotonic() - begun < SECONDS, (name, number)


# ---- what a decoder fell on once ----


def overlapping(pages, entries):
    """A TIFF whose directories begin 12 bytes apart and lie in each other."""
    made = bytearray(b"II*\0" + struct.pack("<I", 8) + bytes(14 + 12 * (entries + pages)))
    for page in range(pages):
        place = 8 + 12 * page
        following = 8 + 12 * (page + 1) if page + 1 < pages else 0
        struct.pack_into("<H", made, place, entries)
        struct.pack_into("<I", made, place + 2 + 12 * entries, following)
    return bytes(made)


def changed(seed, *keys, **values):
    """A JSON document with other values in the object that `keys` lead to."""
    tree = json.loads(seed)
    holder = tree
    for key in keys:
        holder = holder[key]
    holder.update(values)
    return json.dumps(tree).encode()


def row(**values):
    return json.dumps({"file": "a.png", **values}).encode()


METRICS, BOARD, CONFIG, RUN = figures()[0], boards()[0], configs()[0], runs()[0]
HEADED = fusions()[0].replace(b'\\"heads\\": {', b'\\"heads\\": [', 1)
FELL = [
    ("tiff", overlapping(1000, 60_000), "read"),  # took minutes
    ("spec", b"timm:~nobody/x", "refused"),
    ("spec", b"timm:/" + b"x" * 300, "refused"),
    ("spec", b"remote:http://[::1/v1#m", "refused"),
    ("spec", b"remote:http://h/v1#m?tries=" + b"9" * 400, "refused"),
    ("spec", b"timm:a?" + b"\x1b" * 1000, "refused"),
    ("question", b"Is she unhappy?", "read"),  # was answered with nothing
    ("reply", b"[" * 100_000, "read"),
    ("jsonl", row(file="x" * 5000), "read"),
    ("jsonl", row(shares={"happy": []}), "refused"),
    ("jsonl", b'{"file": "a.png", "shares": {"happy": NaN}}', "refused"),
    ("jsonl", b'{"file": "a.png", "shares": {"happy": 1' + b"0" * 400 + b"}}", "refused"),
    ("jsonl", row(coded_units=[[]]), "refused"),
    ("jsonl", b'{"file": "a.png", "coded_units": [Infinity]}', "refused"),
    ("jsonl", b'{"file": "a.png", "units": [{"unit": Infinity}]}', "refused"),
    ("csv", b'sep="\nfile,label\na.png,sad\n', "refused"),
    ("column", b"a.jpg \xf5\n", "refused"),
    ("column", b"a.jpg " + b"9" * 5000, "refused"),
    ("frame", b'{"image": "data:image/jpeg;base64,\xc3\xa4", "stream": []}', "read"),
    ("journal", b'{"journal": 1, "models": {}, "asked": []}\n{"name": "a", "stamp": null}\n',
     "refused"),
    ("metrics", changed(METRICS, "test", faces=10**400), "refused"),
    ("metrics", changed(METRICS, "test", confusion=[[10**400] * 14] * 14), "refused"),
    ("metrics", changed(METRICS, "test", confusion=[[1e300] * 14] * 14), "refused"),
    ("metrics", changed(METRICS, "data", train=[3]), "refused"),
    ("metrics", changed(METRICS, "data", train={"happy": "3"}), "refused"),
    ("metrics", changed(METRICS, origin={"a": 1}), "refused"),
    ("metrics", changed(METRICS, places={"cam": {"faces": 1}}), "refused"),
    ("leaderboard", changed(BOARD, people="<script>alert(7)</script>"), "refused"),
    ("leaderboard", changed(BOARD, failed=[1]), "refused"),
    ("leaderboard", changed(BOARD, split="<script>alert(7)</script>"), "read"),
    ("settings", changed(CONFIG, pretrained_cfg="x"), "refused"),
    ("settings", changed(CONFIG, "pretrained_cfg", input_size=[3, 10**9, 10**9]), "refused"),
    ("settings", changed(CONFIG, "pretrained_cfg", mean=[[], 0, 0]), "refused"),
    ("settings", changed(CONFIG, "pretrained_cfg", crop_pct="wide"), "refused"),
    ("settings", changed(CONFIG, mix=[1, 2]), "read"),
    ("settings", changed(CONFIG, mix={"happy": "x"}), "read"),
    ("settings", changed(CONFIG, units=[3]), "read"),
    ("weights", HEADED, "refused"),
    ("published", b"[]", "refused"),
    ("published", changed(RUN, "config.json", num_classes=[]), "refused"),
    ("published", changed(RUN, "config.json", pretrained_cfg="x"), "refused"),
    ("published", changed(RUN, "ferce.json", training=[1]), "refused"),
    ("published", changed(RUN, "ferce.json", "training", learning_rate="fast"), "read"),
    ("published", changed(RUN, "metrics.json", plan="x"), "refused"),
    ("published", changed(RUN, "metrics.json", plan={"basic_data": ["x"]}), "refused"),
    ("published", changed(RUN, "metrics.json", origin="timm <script>"), "refused"),
    *(
        ("published", changed(RUN, *keys, **{name: "<script>alert(7)</script>"}), "read")
        for *keys, name in (
            ("metrics.json", "machine", "device"),
            ("metrics.json", "machine", "torch"),
            ("metrics.json", "origin"),
            ("ferce.json", "training", "precision"),
            ("config.json", "architecture"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "outcome"), FELL)
def test_what_fell_once_stands(name, data, outcome):
    begun = time.monotonic()
    assert HARNESSES[name].once(data) == outcome
    assert time.monotonic() - begun < SECONDS
