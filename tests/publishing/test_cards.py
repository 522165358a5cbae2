"""Cards say what was measured, and there is none without; licences follow the data."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from publish_fixtures import measurements as told
from publish_fixtures import write

from ferce.core import notice
from ferce.core.labels import COMPOUNDS
from ferce.data import sources
from ferce.data.sources import LicenceError
from ferce.evaluation import metrics_file
from ferce.evaluation.metrics_file import MeasurementError, Measurements
from ferce.models.calibration import Calibration
from ferce.publishing import card as cards
from ferce.publishing.card_metadata import Footprint, Subject


def subject(**more):
    facts = {
        "name": "owner/model", "kind": "timm", "library": "timm", "architecture": "test_resnet",
        "base": "timm/test_resnet.r160_in1k", "sources": ("demo",),
        "licence": sources.Licence("apache-2.0"), "calibration": Calibration(1.5, 0.8),
    }  # fmt: skip
    return Subject(**{**facts, **more})


def measured(folder, split="test", **more):
    write(folder / "metrics.json", told(**more))
    return Measurements.load(folder, split)


def head(card):
    return yaml.safe_load(card.split("---")[1])


def test_every_figure_is_that_of_the_metrics(tmp_path):
    card = cards.model_card(subject(), measured(tmp_path))
    block = json.loads((tmp_path / "metrics.json").read_text())["test"]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([\d.]+) \|", card, re.MULTILINE))
    for name, text in metrics_file.FIGURES.items():
        if name in block:
            assert rows[text] == f"{block[name]:.3f}"
    low, high = block["macro_f1_interval"]
    assert f"| {block['macro_f1']:.3f} | {low:.3f} to {high:.3f} |" in card
    assert f"| {block['brier']:.3f} | not measured |" in card
    for name in COMPOUNDS:
        row = re.search(rf"^\| {name} \| 30 \|.*\| ([\d.]+) \|$", card, re.MULTILINE)
        assert row[1] == f"{block['f1'][name]:.3f}"
    results = {r["name"]: r["value"] for r in head(card)["model-index"][0]["results"][0]["metrics"]}
    assert results["accuracy"] == round(block["accuracy"], 4)


def test_head_and_sections(tmp_path):
    card = cards.model_card(subject(footprint=Footprint(70, 400)), measured(tmp_path))
    top = head(card)
    assert top["library_name"] == "timm"
    assert top["base_model"] == "timm/test_resnet.r160_in1k"
    assert top["license"] == "apache-2.0"
    assert top["co2_eq_emissions"]["emissions"] == 0.7  # 70 W for 90 s at 400 g/kWh
    assert "datasets" not in top  # the demo set is not on the Hub
    for point in notice.POINTS:
        assert point in card
    assert "temperature 1.500" in card
    assert "90 s" in card
    assert "![Confusion matrix, test split](confusion.png)" in card
    assert 'load_classifier("timm:owner/model")' in card
    assert "$" not in card


def test_figures_on_renders_say_so(tmp_path):
    assert "**These are renders" in cards.model_card(subject(), measured(tmp_path))
    found = measured(tmp_path, data="folder:/faces")
    assert "**These are renders" not in cards.model_card(subject(sources=("folder:/x",)), found)


def test_val_figures_say_that_they_flatter(tmp_path):
    assert "flatter" in cards.model_card(subject(), measured(tmp_path, "val"))
    assert "flatter" not in cards.model_card(subject(), measured(tmp_path, "test"))


def test_weights_of_raf_are_for_research(tmp_path):
    found = measured(tmp_path, data="rafce:/data/RAF-CE")
    licence = sources.licence_for(("rafce:/data/RAF-CE",), None)
    card = cards.model_card(subject(licence=licence, sources=("rafce:/data/RAF-CE",)), found)
    assert head(card)["license"] == "other"
    assert head(card)["license_name"] == "research-only"
    assert head(card)["datasets"] == ["raf-ce"]
    assert "research and non-commercial use only" in card
    assert "/data" not in card


def test_rare_classes_are_named(tmp_path):
    card = cards.model_card(subject(), measured(tmp_path))
    assert "hardly measured" not in card  # 30 faces each
    block = told()["test"]
    gone = COMPOUNDS[3]
    block["confusion"][3] = [0] * 14
    for k, name in enumerate(COMPOUNDS):
        column = sum(row[k] for row in block["confusion"])
        block["f1"][name] = 2 * block["confusion"][k][k] / (column + sum(block["confusion"][k]))
    card = cards.model_card(subject(), measured(tmp_path, test=block))
    assert f"hardly measured: {gone}." in card
    assert f"| {gone} | 0 | 0.000 | no face | 0.000 |" in card


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.pop("test"), r"no measurements of the test split \(it has: val\)"),
        (lambda t: t["test"].pop("ece"), "test measurements lack ece"),
        (lambda t: t["test"].pop("macro_f1_interval"), "lack the interval of macro_f1"),
        (lambda t: t["test"].update(nll=float("nan")), "nll must be a finite number; got nan"),
        (lambda t: t["test"].update(accuracy="0.9"), "accuracy must be a finite number"),
        (lambda t: t["test"].update(macro_f1_interval=[0.9, 0.1]), "the wrong way round"),
        (lambda t: t["test"].update(macro_f1_interval=0.1), r"must be \[low, high\]"),
        (lambda t: t["test"].update(confusion=[[1]]), "need a 14 x 14 confusion of counts"),
        (lambda t: t["test"].update(confusion=[[1], [2, 3]]), "need a 14 x 14 confusion"),
        (lambda t: t["test"]["f1"].update(dict.fromkeys(COMPOUNDS, 1.0)), "confusion gives"),
        (lambda t: t["test"].update(faces=3), "faces says 3"),
        (lambda t: t.pop("data"), "an object under 'data'"),
        (lambda t: t["data"].pop("spec"), "name the spec of the data"),
        (lambda t: t.update(machine={}), "name the device"),
        (lambda t: t.update(val={"val": 0.5, "val_loss": 1.0}), None),
    ],
)  # fmt: skip
def test_gaps_and_contradictions_are_named(tmp_path, change, reason):
    found = told()
    change(found)
    write(tmp_path / "metrics.json", found)
    if reason is None:  # another split is not looked at
        assert Measurements.load(tmp_path).split == "test"
        return
    with pytest.raises(MeasurementError, match=reason):
        Measurements.load(tmp_path)


def test_no_metrics_no_card(tmp_path):
    with pytest.raises(MeasurementError, match=r"A card needs measurements, but .*metrics\.json"):
        Measurements.load(tmp_path)
    write(tmp_path / "metrics.json", told())
    with pytest.raises(MeasurementError, match=r"one of test, val; got 'train'"):
        Measurements.load(tmp_path, "train")


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(pair):
    hits, n = pair
    low, high = metrics_file.wilson(hits, n)
    assert 0 <= low <= hits / n + 1e-9
    assert hits / n - 1e-9 <= high <= 1
    mirrored = metrics_file.wilson(n - hits, n)
    assert low == pytest.approx(1 - mirrored[1], abs=1e-9)


@pytest.mark.parametrize("hits", [0, 1, 7, 29, 30])
def test_wilson_agrees_with_scipy(hits):
    from scipy.stats import binomtest

    expected = binomtest(hits, 30).proportion_ci(method="wilson")
    assert metrics_file.wilson(hits, 30) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_licences_follow_the_data():
    assert sources.licence_for(("demo",), "apache-2.0").key == "apache-2.0"
    assert sources.licence_for(("demo", "rafdb:/x"), None).name == "research-only"
    with pytest.raises(LicenceError, match="RAF-CE are for research only"):
        sources.licence_for(("rafce:/x", "demo"), "apache-2.0")
    with pytest.raises(LicenceError, match="Say under which licence"):
        sources.licence_for(("demo",), None)
    with pytest.raises(LicenceError, match="Unknown data 'nonsense:x'"):
        sources.licence_for(("nonsense:x",), None)
    assert sources.dataset_id("hub:owner/faces@v1?split=x") == "owner/faces"
