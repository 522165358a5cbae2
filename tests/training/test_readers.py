"""Linear readers recover what was planted; tables of real faces say what their sources said."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ferce.core.labels import COMPOUNDS, OUTCOMES
from ferce.models.calibration import EVEN, softmax
from ferce.models.torch_net import ExpressionNet
from ferce.training.embedded import outcomes, readers
from ferce.training.embedded.packaging import _portable
from ferce.training.embedded.readers import EMOTIONS, Table
from train import convert_prior, portraits

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)


def planted(count: int = 210) -> Table:
    """Evidence 0..6 says the label, evidence 7 the unit; 8 and 9 are noise."""
    truth = np.arange(count) % len(EMOTIONS)
    x = RNG.normal(size=(count, 10))
    x[np.arange(count), truth] += 4
    unit = (RNG.random(count) < 0.3).astype(float)
    x[:, 7] += 4 * unit
    return Table(x, np.eye(len(EMOTIONS))[truth], unit[:, None], np.ones(count))


def test_labels_are_read_by_faces_not_seen():
    table = planted()
    head = readers.fit_labels(table, EMOTIONS, 0.03)
    assert head.names == EMOTIONS
    assert head.weight.argmax(1).tolist() == list(range(7))
    fresh = planted()
    assert (head(fresh.x).argmax(1) == fresh.shares.argmax(1)).mean() > 0.9


def test_a_label_that_nobody_shows_is_never_said():
    table = planted()
    table = table.rows(table.shares.argmax(1) < 2)
    head = readers.fit_labels(table, EMOTIONS, 0.1)
    assert softmax(head(table.x))[:, 2:].max() < 1e-3


def test_evidence_left_out_has_no_weight():
    table = planted().only(np.arange(10) < 7)
    head = readers.fit_labels(table, EMOTIONS, 0.1)
    assert np.abs(head.weight[:, 7:]).max() == 0


def test_the_reader_that_knows_weighs_most():
    truth = np.tile(np.arange(len(COMPOUNDS), len(OUTCOMES)), 30)
    scores = RNG.normal(size=(3, len(truth), len(OUTCOMES)))
    scores[0, np.arange(len(truth)), truth] += 3
    weight = outcomes.add(scores, truth, np.ones(len(truth)), EVEN)[:, len(COMPOUNDS) :]
    assert weight[0].min() > 2 * np.abs(weight[1:]).max()


def test_compounds_get_the_share_that_annotators_give_them():
    scores = RNG.normal(size=(50, len(OUTCOMES)))
    shares = np.eye(len(OUTCOMES))[[0, *[20] * 9] * 5]
    even = EVEN
    chances = even.applied(softmax(scores + outcomes.offset(scores, shares, even)))
    assert chances[:, : len(COMPOUNDS)].sum(1).mean() == pytest.approx(0.1)


def test_a_unit_is_read_and_its_threshold_keeps_neutral_faces_quiet():
    real, rendered = planted(), planted(70)
    scores = readers.held_out_unit(real, rendered, 0, 0.1)
    assert readers.reliability(scores, real.units[:, 0]) > 0.9
    truth = np.array([1, 1, 1, 0, 0, np.nan])
    told = np.array([3.0, 2.0, 1.0, 0.5, 0.0, 9.0])
    assert readers.threshold(told, truth, np.zeros(0)) == pytest.approx(0.75)
    assert 2.0 < readers.threshold(told, truth, np.full(100, 2.5)) <= 3.0
    assert readers.reliability(told, truth) == 0, "three faces are too few"
    assert readers.reliability(np.tile(told, 2), np.tile(truth, 2)) == 1


def test_no_folder_of_this_machine_is_written_down():
    portable = _portable(
        {"data": "rendered:/tmp/x/renders?without=/tmp/faces/people.txt", "n": [1]}
    )
    assert portable == {"data": "rendered:renders?without=people.txt", "n": [1]}
    assert _portable("timm/resnet18 at 1/2") == "timm/resnet18 at 1/2"


def face(file: str, **more: str) -> dict[str, str]:
    return {"file": file, "source": "s", "subject": file, "known_expression": "", **more}


def seen(annotator: str, primary: str, units: str, **more: str) -> dict[str, str]:
    base = {"split": "tune", "usable": "1", "compound": "none"}
    return {**base, "annotator": annotator, "primary": primary, "action_units": units, **more}


def test_portraits_say_what_two_annotators_agree_on():
    told = portraits.annotated([seen("a", "sad", "1+4"), seen("b", "sad", "4")])
    assert told["label"] == "sad" and told["compound"] == "none"  # noqa: PT018
    assert {u["unit"] for u in told["action_units"]} == {4}
    assert 1 not in told["coded_units"]
    assert 12 in told["coded_units"]
    told = portraits.annotated([seen("a", "sad", "none"), seen("b", "contempt", "14")])
    assert told["label"] is None
    assert told["shares"] == {"sad": 0.5}


def test_portraits_hold_people_out_and_leave_averages_out():
    people = [f"p{i:03}" for i in range(40)]
    posed = [
        face(f"{p}_{e}", subject=p, known_expression=e)
        for p in people
        for e in ("neutral", "smile")
    ]
    rows = [*posed, face("x"), face("mean", source="composite"), face("y")]
    made = portraits.tables(rows, {"x": [seen("a", "happy", "12"), seen("b", "happy", "12")]})
    held = {r["subject"] for r in made["london"] if r["split"] == "test"}
    assert held == set(people[-portraits.HELD_OUT :])
    assert [r["file_name"] for r in made["annotated"]] == ["x"]
    assert [r["file_name"] for r in made["others"]] == ["y"]
    smile = next(r for r in made["london"] if r["label"] == "happy")
    assert smile["coded_units"] == [12]


def test_portraits_script_writes_its_tables(tmp_path):
    rows = [face("a.jpg"), face("b.jpg")]
    write(tmp_path / "manifest.csv", rows)
    write(tmp_path / "ann.csv", [{"file": "a.jpg", **seen("a", "happy", "12")}])
    command = [
        sys.executable,
        "train/portraits.py",
        "annotated",
        "--manifest",
        tmp_path / "manifest.csv",
    ]
    command += ["--crops", tmp_path, "--annotations", tmp_path / "ann.csv"]
    command += ["--output", tmp_path / "out"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (line,) = (tmp_path / "out" / "annotated.jsonl").read_text().splitlines()
    assert json.loads(line)["file_name"] == "../a.jpg"
    assert (tmp_path / "out" / "people.txt").read_text() == "a.jpg\n"


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_prior_is_converted_name_by_name():
    own = {name: tensor.numpy() for name, tensor in ExpressionNet().state_dict().items()}
    found = convert_prior.converted(theirs(own))
    assert set(found) == set(own)
    for name, values in own.items():
        np.testing.assert_array_equal(found[name], values)


def test_quantised_weights_are_read_with_their_scale(tmp_path):
    scale = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
    items = [
        {"name": "fc/bias", "shape": [2], "dtype": "float32"},
        {"name": "fc/weights", "shape": [3], "dtype": "float32", "quantization": scale},
    ]
    manifest = tmp_path / f"{convert_prior.STEM}-weights_manifest.json"
    manifest.write_text(json.dumps([{"weights": items}]))
    raw = np.array([1, 2], np.float32).tobytes() + bytes([0, 2, 255])
    (tmp_path / f"{convert_prior.STEM}.bin").write_bytes(raw)
    found = convert_prior.read(tmp_path)
    assert found["fc/bias"].tolist() == [1, 2]
    assert found["fc/weights"].tolist() == [-1, 0, 126.5]


def theirs(own: dict) -> dict:
    """Our names and shapes as face-api.js has them."""
    made = {}
    for name, values in own.items():
        parts = name.split(".")
        if parts[0] == "head":
            made["fc/weights" if parts[1] == "weight" else "fc/bias"] = values.T
            continue
        what = {"conv": "filters", "depthwise": "depthwise_filter", "pointwise": "pointwise_filter"}
        key = what[parts[4]] if parts[5] == "weight" else "bias"
        order = (2, 3, 0, 1) if key == "depthwise_filter" else (2, 3, 1, 0)
        place = f"dense{parts[1]}/conv{parts[3]}/{key}"
        made[place] = values if key == "bias" else values.transpose(order)
    return made
