"""One model on one split: figures, losses, resuming, comparison, and the script."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_fixtures import Grey, Words, write_data

from ferce import models
from ferce.core.labels import COMPOUNDS
from ferce.core.types import UnitEvidence
from ferce.evaluation import EvaluationError, Plan, evaluate, result
from ferce.evaluation.classification import FEW
from ferce.evaluation.metrics_file import Measurements
from ferce.evaluation.pictures import FILE
from ferce.evaluation.plan import Tools
from ferce.evaluation.result import summary
from ferce.evaluation.run import fresh

ROOT = Path(__file__).parents[2]
FAST = {"detect": "no", "draws": 30}


@pytest.fixture
def tools(tmp_path):
    return Tools(tmp_path / "cache", shown=False)


@pytest.fixture
def spec(tmp_path):
    return write_data(tmp_path)


def loaded(monkeypatch, classifier):
    monkeypatch.setattr(models, "load_classifier", lambda spec, device: classifier)
    return classifier


def test_a_perfect_model(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Grey())
    told = evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools, "python this")
    block = told["test"]
    assert block["faces"] == 42
    assert block["people"] == 3
    for name in ("macro_f1", "accuracy", "uar", "top2", "macro_f1_11", "macro_f1_11_way"):
        assert block[name] == 1
    assert block["macro_f1_interval"] == [1, 1]
    assert block["brier"] == pytest.approx(0.1**2 + 13 * (0.1 / 13) ** 2, abs=1e-5)
    assert block["ece"] == pytest.approx(0.1, abs=1e-5)
    assert block["set_size"] == 1
    assert block["set_coverage"] == 1
    assert np.array_equal(block["confusion"], 3 * np.eye(14))
    assert len(block["rare"]) == 14
    assert all(row["faces"] < FEW for row in block["rare"])
    assert told["evaluation"]["command"] == "python this"
    assert {"numpy", "scipy"} <= set(told["evaluation"]["versions"])
    for name in ("confusion.png", "confusion_counts.png", "reliability.png"):
        assert (tmp_path / "out" / name).read_bytes()[:4] == b"\x89PNG"
    assert "| accuracy | 1.000 | 1.000 to 1.000 |" in summary(told, "test")


def test_action_units_of_the_detector_are_not_the_models(tmp_path, tools, monkeypatch):
    """Detected faces have units by MediaPipe; a model that measures none gets no figure of them."""

    class Told(Grey):
        def scores(self, faces):
            units = [{12: UnitEvidence(12, 0.9, 0.9)} for _ in faces]
            return replace(super().scores(faces), units=units)

    spec = write_data(tmp_path)
    table = tmp_path / "table.jsonl"
    rows = [json.loads(line) | {"action_units": [12]} for line in table.read_text().splitlines()]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    loaded(monkeypatch, Grey())
    told = evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools)
    assert told["test"]["units"] == {"not_measured": ["AU12"]}
    loaded(monkeypatch, Told())
    told = evaluate(Plan(data=spec, **FAST), tmp_path / "two", tools)
    assert told["test"]["units"]["macro_f1"]["value"] == 1


def test_what_cannot_be_read_is_listed_and_wrong(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Grey())
    block = evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools)["test"]
    seen = block["pictures"]
    assert (seen["pictures"], seen["read"], seen["lost"]) == (46, 44, 2)
    assert sorted(seen["lost_names"]) == ["broken.png", "missing.png"]
    assert sum(seen["lost_reasons"].values()) == 2
    every = block["lost_are_wrong"]
    assert seen["lost_without_label"] == 1  # of a missing file nothing is known
    assert every["faces"] == 43
    assert every["unanswered"] == 1
    assert every["accuracy"] == pytest.approx(42 / 43)


def test_a_basic_or_neutral_label_counts_among_components_only(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Grey())
    block = evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools)["test"]
    parts = block["components"]
    assert block["faces"] == 42
    assert parts["faces"] == 44
    assert parts["basic_faces"] == parts["neutral_faces"] == 1
    assert parts["pairs"] == {"both_right": 1, "one_or_more_right": 1}
    assert parts["neutral_recall"] == 0  # this model knows compounds only


def test_data_without_compounds(tmp_path, tools, monkeypatch):
    """Neutral and happy faces, both of class 0 by their grey: happily surprised."""
    loaded(monkeypatch, Grey())
    spec = write_data(tmp_path, per_class=0, extra=False)
    told = evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools)
    block = told["test"]
    assert block["faces"] == 0
    assert "macro_f1" not in block
    assert block["components"]["basic_faces"] == 1
    assert block["components"]["neutral_recall"] == 0
    text = summary(told, "test")
    assert "none shows a compound" in text
    assert "| faces of one emotion: named alone | 0.000 |" in text
    assert not (tmp_path / "out/confusion.png").exists()


def test_cards_read_the_file(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Grey(wrong=1))
    evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools)
    read = Measurements.load(tmp_path / "out")
    assert read.figures["accuracy"].value == 0
    assert read.measured_on == spec
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.json").write_text('{"val": {"faces": 1}}')
    result.record(json.loads((tmp_path / "out/metrics.json").read_text())["test"], "test", run)
    assert set(json.loads((run / "metrics.json").read_text())) == {"val", "test"}
    with pytest.raises(EvaluationError, match="no run"):
        result.record({}, "test", tmp_path)


def test_a_killed_run_goes_on(tmp_path, tools, spec, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    loaded(monkeypatch, Grey())
    first = evaluate(Plan(data=spec, **FAST), whole, tools)
    evaluate(Plan(data=spec, **FAST), out, tools)
    lines = (out / FILE).read_text().splitlines(keepends=True)
    (out / FILE).write_text("".join(lines[:10]) + lines[10][:37])  # killed within a line
    again = loaded(monkeypatch, Grey())
    second = evaluate(Plan(data=spec, **FAST), out, tools)
    assert again.asked == 44 - 9
    assert (out / FILE).read_bytes() == (whole / FILE).read_bytes()
    assert first["test"] == second["test"]


def test_another_evaluation_needs_another_folder(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Grey())
    evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools)
    with pytest.raises(EvaluationError, match="split = 'test', not 'val'"):
        evaluate(Plan(data=spec, split="val", **FAST), tmp_path / "out", tools)
    fresh(tmp_path / "out")
    with pytest.raises(EvaluationError, match="no pictures in its val split"):
        evaluate(Plan(data=spec, split="val", **FAST), tmp_path / "out", tools)


def test_a_changed_label_is_noticed(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Grey())
    evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools)
    path = tmp_path / "table.jsonl"
    path.write_text(path.read_text().replace(COMPOUNDS[3], COMPOUNDS[4], 1))
    with pytest.raises(EvaluationError, match=r"03-0\.png.*the data changed"):
        evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools)


def test_two_models_are_compared(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Grey(wrong=1))
    evaluate(Plan(data=spec, **FAST), tmp_path / "bad", tools)
    loaded(monkeypatch, Grey())
    told = evaluate(Plan(data=spec, **FAST), tmp_path / "good", tools, against=tmp_path / "bad")
    against = told["test"]["against"]
    assert against["faces"] == 42
    assert against["mcnemar_p"] < 1e-9
    assert against["accuracy"] == {"difference": 1.0, "interval": [1.0, 1.0], "p": 0.0}
    with pytest.raises(EvaluationError, match=r"holds no images\.csv"):
        evaluate(Plan(data=spec, **FAST), tmp_path / "x", tools, against=tmp_path / "none")


def test_slices_and_their_gap(tmp_path, tools, spec, monkeypatch):
    class Unfair(Grey):
        def scores(self, faces):
            self.wrong = 0 if self.asked % 3 == 0 else 1  # person 0 is read right, others not
            return super().scores(faces)

    monkeypatch.setattr("ferce.evaluation.pictures.batches", lambda items: ([x] for x in items))
    loaded(monkeypatch, Unfair())
    sex = evaluate(Plan(data=spec, **FAST), tmp_path / "out", tools)["test"]["slices"]["sex"]
    assert {name: part["faces"] for name, part in sex["parts"].items()} == {
        "female": 28,
        "male": 14,
    }
    assert (sex["gap"]["best"], sex["gap"]["worst"]) == ("male", "female")
    assert sex["gap"]["accuracy"] == 1


def test_an_unparsed_answer_is_wrong(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Words())
    told = evaluate(Plan(data=spec, free_text=True, **FAST), tmp_path / "out", tools)["test"]
    assert told["accuracy"] == 1
    assert told["free_text"]["unanswered"] == 3 * 5
    assert told["free_text"]["accuracy"] == pytest.approx(1 - 15 / 42)
    loaded(monkeypatch, Grey())
    with pytest.raises(EvaluationError, match="probabilities only"):
        evaluate(Plan(data=spec, free_text=True, **FAST), tmp_path / "two", tools)


def test_undetected_faces_are_counted(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Grey())
    with pytest.raises(EvaluationError, match="46 pictures, 46 could not be read, the first as"):
        evaluate(Plan(data=spec, draws=10), tmp_path / "out", tools)


def test_end_to_end_counts_what_the_app_loses(tmp_path, tools, spec, monkeypatch):
    loaded(monkeypatch, Grey())
    told = evaluate(Plan(data=spec, end_to_end=spec, **FAST), tmp_path / "out", tools)["test"]
    assert told["accuracy"] == 1
    app = told["end_to_end"]
    assert (app["pictures"], app["lost"]) == (46, 46)  # grey squares show no face
    assert app["choice"]["accuracy"] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"split": "dev"}, "train, val, test"),
        ({"clip": "x"}, "name a voice"),
        ({"heatmaps": -1}, "0 or more"),
        ({"detect": "maybe"}, "auto, yes or no"),
    ],
)
def test_a_plan_is_checked(settings, words):
    with pytest.raises(EvaluationError, match=words):
        Plan(**settings)


@pytest.mark.parametrize(
    ("settings", "detects"),
    [
        ({}, True),  # prototypes read landmarks
        ({"model": "timm:x"}, False),
        ({"model": "timm:x", "detect": "yes"}, True),
        ({"model": "timm:x", "data": "rafce:/data"}, True),
        ({"model": "timm:x", "data": "rendered:/data"}, False),
    ],
)
def test_whether_faces_are_found(settings, detects):
    assert Plan(**settings).detects is detects


def test_the_script(tmp_path, spec):
    """As a path with a table of three demo faces, and as a module for its errors."""
    rows = (ROOT / "ferce/data/demo/metadata.jsonl").read_text().splitlines()
    rows = [json.loads(row) for row in rows]
    rows = [row for row in rows if row["split"] == "test" and row["label"]][:3]
    for row in rows:
        row["file_name"] = str(ROOT / "ferce/data/demo" / row["file_name"])
    few = tmp_path / "few.jsonl"
    few.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    settings = ["--data", f"manifest:{few}", "--output", str(out), "--cache", str(tmp_path / "c")]
    settings += ["--model", "prototypes"]
    more = ["--end-to-end", "--voice", "measured", "--heatmaps", "2", "--draws", "20", "--quiet"]
    done = subprocess.run(
        [sys.executable, "train/evaluate.py", *settings, *more],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    block = json.loads((out / "metrics.json").read_text())["test"]
    assert block["text"]["texts"] == block["heat"]["faces"] + 1 == 3
    assert block["heat"]["insertion"]["value"] > block["heat"]["insertion"]["control"]["value"]
    assert block["rouge_l"] > block["text"]["rouge_l"]["control"]["value"] - 1
    assert "opens none" in block["heat"]["notes"][0]
    with (out / "images.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3
    done = subprocess.run(
        [sys.executable, "-m", "train.evaluate", "--data", "nonsense:x"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "Unknown data" in done.stderr
