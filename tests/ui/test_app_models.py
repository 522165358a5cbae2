"""Several models without a browser: what is offered, compared, told of each, and switched to."""

import json
from dataclasses import replace

import numpy as np
import pytest
from app_fixtures import (
    BROKEN,
    NEGATIVE,
    Brightness,
    Negative,
    SquareReader,
    face,
    label_of,
    loader,
    others,
    scene,
)
from app_server import connect
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE
from PIL import Image
from publish_fixtures import measurements

from ferce.core.labels import OUTCOMES
from ferce.core.parts import Heatmap, Reading
from ferce.core.types import Scores
from ferce.evaluation.leaderboard import FILE, VISION, Check, Entry, Leaderboard
from ferce.evaluation.metrics_file import Figure
from ferce.models import PACKAGED
from ferce.publishing import dossier
from ferce.reading import agreement
from ferce.ui.web import Settings
from ferce.ui.web.models import Catalogue
from ferce.ui.web.panels import compare
from ferce.ui.web.panels import models as panel
from ferce.ui.web.reading import ReadPhoto
from ferce.ui.web.runner import run
from ferce.ui.web.session import READ, Compared, Session
from ferce.ui.web.tabs.compare import Compare
from ferce.ui.web.tabs.models import FollowStates, ModelPanels, UseModel


@pytest.fixture
def save(tmp_path):
    def write(pixels, name="photo.png"):
        Image.fromarray(pixels).save(tmp_path / name)
        return tmp_path / name

    return write


def catalogue_of(*models, allow_any=False):
    told = Settings(models=models, allow_any=allow_any)
    made = Catalogue(told, loader(SquareReader()), others)
    made.start()
    assert made.wait(PATIENCE)
    return made


def last_reading(reader, one):
    *_, reading = reader.stream(one)
    return reading


# ---- agreement ----


def heat(values):
    return Heatmap(np.asarray(values, np.float32), "happily sad", "occlusion")


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_a_map_agrees_with_itself_whatever_its_scale(cells, scale):
    one = heat(np.reshape(cells, (2, 2)))
    if one.empty:
        assert agreement.likeness(one, one) is None
    else:
        same = agreement.likeness(one, replace(one, values=one.values * scale))
        assert same == pytest.approx(1)


def test_maps_of_other_places_share_nothing():
    assert agreement.likeness(heat([[1, 0], [0, 0]]), heat([[0, 0], [0, 5]])) == 0
    half = agreement.likeness(heat([[1, 1], [0, 0]]), heat([[1, 0], [1, 0]]))
    assert half == pytest.approx(0.5)
    with pytest.raises(ValueError, match="one crop"):
        agreement.likeness(heat([[1]]), heat([[1, 0], [0, 0]]))


def test_a_model_of_compounds_votes_for_its_own_and_unclear_is_no_vote():
    (reading,) = SquareReader().predict([face(10)])
    unclear = replace(reading.prediction, state="unclear", label=None)
    scores = Brightness().scores([face(10)])
    alone = replace(reading, prediction=unclear, scores=scores)
    whole = Scores.of_outcomes(np.full((1, len(OUTCOMES)), 1 / len(OUTCOMES)))
    silent = replace(reading, prediction=unclear, scores=whole)
    assert agreement.vote(alone) == label_of(10)
    assert agreement.vote(silent) is None
    assert agreement.compare([alone, silent]).labels == ((label_of(10), 1),)
    assert "To 1 of them none is clear" in compare._votes(((label_of(10), 1),), 2)


def test_agreement_counts_labels_and_shares_probability():
    same, other = (last_reading(SquareReader(), face(level)) for level in (10, 200))
    found = agreement.compare([same, same, other])
    assert found.labels == ((label_of(10), 2), (label_of(200), 1))
    share = 2 * 0.3 / 13 + 12 * 0.3 / 13  # of two readings that differ
    assert found.overlap == pytest.approx((1 + 2 * share) / 3)
    assert found.maps == pytest.approx(1)
    assert agreement.compare([same, same]).unanimous
    assert agreement.compare([same, Reading(face(10))]) is None


# ---- comparing ----


def compared(catalogue, path, names=None, session=None):
    session = session or Session(catalogue)
    session.compared = Compared(path, tuple(catalogue.names if names is None else names))
    return list(run(Compare(catalogue), session, session.take("compare")))


def test_columns_fill_and_a_model_that_fails_costs_its_column(save, caplog):
    catalogue = catalogue_of(BROKEN, NEGATIVE)
    *_, done = compared(catalogue, save(scene(10)))
    assert done["columns"].count("<article") == 3
    assert f"</small> {label_of(10)}" in done["columns"]
    assert f"</small> {label_of(245)}" in done["columns"]
    assert "The Hub has no test/broken." in done["columns"]
    assert "2 of 3 models read it" in done["status"]
    assert f"The 2 models differ: <strong>{label_of(10)}</strong>" in done["agreement"]


def test_a_new_choice_stops_the_comparison(save):
    catalogue = catalogue_of(NEGATIVE)
    session = Session(catalogue)
    session.compared = Compared(save(scene(10)), catalogue.names)
    steps = run(Compare(catalogue), session, session.take("compare"))
    next(steps)
    session.take("compare")
    assert list(steps) == []


@pytest.mark.parametrize(
    ("levels", "names", "words"),
    [((), None, "No face was found"), ((10,), (), "Choose at least one model")],
)
def test_what_cannot_be_compared_is_one_sentence(save, levels, names, words):
    *_, done = compared(catalogue_of(NEGATIVE), save(scene(*levels)), names)
    assert words in done["status"]


def test_claims_of_two_columns_have_their_own_evidence(save):
    *_, done = compared(catalogue_of(NEGATIVE), save(scene(10)))
    ids = [piece.split('"')[0] for piece in done["columns"].split('<div id="')[1:]]
    assert len(ids) == len(set(ids)) == 2
    for name in ids:
        assert f'aria-describedby="{name}"' in done["columns"]


def test_one_model_alone_has_no_agreement(save):
    *_, done = compared(catalogue_of(), save(scene(10)))
    assert "The 2 models" not in done["agreement"]
    assert compare.ALONE in done["agreement"]
    assert "tick another one" in done["status"]
    assert compare.blank(["<b>"])["columns"].count("<b>") == 0


# ---- what is offered ----


def test_the_default_and_the_operators_models_are_offered():
    catalogue = catalogue_of(NEGATIVE, "embedded")
    assert catalogue.names == ("embedded", NEGATIVE)
    assert catalogue.of("embedded") is catalogue
    assert catalogue.of(NEGATIVE) is catalogue.of(f" {NEGATIVE} ")


@pytest.mark.parametrize("name", ["measured", "nonsense:x"])
def test_a_list_with_what_cannot_classify_is_refused_at_the_start(name):
    with pytest.raises(ValueError, match="FERCE_MODELS lists classifiers"):
        Catalogue(Settings(models=(name,)), loader(SquareReader()))


def test_packaged_models_are_offered_by_default():
    assert Settings.from_environment({}).models == PACKAGED
    assert Settings.from_environment({"FERCE_MODELS": ""}).models == ()
    catalogue = Catalogue(Settings(), loader(SquareReader()), others)
    assert catalogue.names == ("embedded", *PACKAGED)
    assert catalogue.voices == ("fastvlm-mini", "measured", "blip2-mini")


def test_another_voice_speaks_of_what_was_read(save):
    catalogue = Catalogue(Settings(), loader(SquareReader()), others)
    catalogue.start()
    session = Session(catalogue)
    session.begin(save(scene(10)))
    *_, first = run(ReadPhoto(), session, session.turn(READ))
    work = session.speak(catalogue.speaking(session.models, "blip2-mini"))
    steps = list(run(ReadPhoto(), session, session.turn(READ)))
    assert work.models.ready().classifier is catalogue.ready().classifier
    assert work.readings[0].heatmap is work.located[0].heatmap
    assert work.readings[0].explanation.text == "The mouth smiles."
    assert steps[-1]["prediction"] == first["prediction"]
    with pytest.raises(ValueError, match="is not offered"):
        catalogue.speaking(session.models, "timm:owner/x")


def test_states_are_drawn_again_as_models_become_ready(tmp_path):
    gate = tmp_path / "open"
    catalogue = Catalogue(Settings(), loader(SquareReader(), gate), others)
    catalogue.start()
    session = Session(catalogue)
    panels = ModelPanels(catalogue, tmp_path)
    steps = run(FollowStates(panels), session, session.take("states"))
    assert "Loading" in next(steps)["facts"]
    gate.touch()
    *_, last = steps
    assert "Loaded" in last["facts"]
    assert panels.loading == frozenset()


def test_what_is_not_offered_is_not_loaded():
    with pytest.raises(
        ValueError, match=f"is not offered here; choose one of: embedded, {NEGATIVE}"
    ):
        catalogue_of(NEGATIVE).of("timm:owner/other")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:/etc", "A|a model of the Hub"),
        ("timm:../up/model", "a model of the Hub"),
        ("timm:tests/screenshots", "a model of the Hub"),  # a folder of the server
        ("blip2:Salesforce/blip2-opt-2.7b+/etc/x", "a model of the Hub"),
        ("remote:http://10.0.0.1/v1#x?allow=1", "of the kinds"),
        ("measured", "of the kinds"),
        ("timm", "a model of the Hub"),
        ("clip:openai/clip?head=/etc", "operator's to give"),
        ("", "kind:where"),
    ],
)
def test_visitors_load_models_of_the_hub_and_nothing_else(name, words, tmp_path, monkeypatch):
    (tmp_path / "tests/screenshots").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        catalogue_of(allow_any=True).of(name)


def test_visitors_models_do_not_pile_up():
    catalogue = catalogue_of(allow_any=True)
    for i in range(5):
        assert catalogue.of(f"timm:owner/model{i}").wait(PATIENCE)
    assert list(catalogue.known()) == ["embedded", "timm:owner/model3", "timm:owner/model4"]


# ---- dossiers ----


@pytest.fixture
def folder(tmp_path):
    """A model's folder with a card and measurements; no weights, as none are read."""
    place = tmp_path / "model"
    place.mkdir()
    (place / "metrics.json").write_text(json.dumps(measurements()))
    front = "---\nlicense: other\nlicense_name: research-only\n---\n"
    (place / "README.md").write_text(f"{front}# A card\n<img src=http://x/y> ![p](http://x/z)\n")
    return place


def test_a_dossier_is_read_from_files(folder):
    told = dossier.read(f"timm:{folder}")
    assert (told.licence, told.roles) == ("research-only", ("classifier",))
    assert told.trained_on.startswith("ferce's demo set")
    assert told.counts == {"train": 280, "val": 280}
    assert [one.split for one in told.measured] == ["test", "val"]
    assert f'ferce.load_classifier("timm:{folder}")' in told.code
    html = panel.draw(told, used=False, state="Loaded")
    figure = told.measured[0].figures["macro_f1"]
    assert f"{figure.value:.3f}</td><td>{figure.interval[0]:.3f} to" in html
    assert html.count('class="confusion"') == 2
    compile(told.code, "code", "exec")


def test_what_no_file_tells_is_said_to_be_untold():
    told = dossier.read("measured")
    assert (told.licence, told.measured, told.card) == ("apache-2.0, as this repository", (), "")
    html = panel.draw(told, used=True, state="Loaded")
    assert "There are no measurements of this model here" in html
    assert "data-use" not in html


@pytest.mark.parametrize("name", ["embedded", *PACKAGED])
def test_packaged_models_have_licence_card_and_figures(name):
    told = dossier.read(name)
    assert told.licence == "apache-2.0"
    assert "## " in told.card
    assert told.measured
    assert not told.problems


def test_broken_measurements_are_told(folder):
    (folder / "metrics.json").write_text('{"test": {}}')
    told = dossier.read(f"timm:{folder}")
    assert told.measured == ()
    assert len(told.problems) == 1
    assert str(folder) not in told.problems[0]


def test_figures_of_an_evaluation_stand_in(tmp_path):
    place = tmp_path / "evaluation"
    place.mkdir()
    name = "timm:owner/name"
    told = measurements() | {"evaluation": {"model": name, "date": "2026-01-01"}}
    (place / "metrics.json").write_text(json.dumps(told))
    assert [one.split for one in dossier.read(name, tmp_path).measured] == ["test", "val"]
    assert dossier.read("timm:owner/other", tmp_path).measured == ()


def entry(spec, value):
    figures = {n: Figure(value, (value - 0.1, value + 0.1)) for n in ("macro_f1", "accuracy")}
    return Entry(spec, VISION, "f", 420, 0, figures, {}, "demo", False, "cpu", None)


def test_leaderboards_are_shown_where_they_are(tmp_path):
    board = Leaderboard(
        "demo", "test", "0", 430, 420, 60, (Check("twins", "passed", "none"),),
        (entry("timm:a/b", 0.4), entry("prototypes", 0.2)), (), {"chat:x/y": "No Hub."}, {},
    )  # fmt: skip
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / FILE).write_text(json.dumps(board.to_json(), default=dict))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / FILE).write_text("{}")
    html = panel.boards(dossier.leaderboards(tmp_path))
    assert html.index("timm:a/b") < html.index("prototypes")
    assert "0.400<small>0.300 to 0.500</small>" in html
    assert "No Hub." in html
    assert panel.boards(dossier.leaderboards(tmp_path / "none")) == ""


# ---- switching ----


def used(session, flow):
    return list(run(flow, session, flow.begin(session)))


def test_a_page_turns_to_another_model_once_it_is_loaded(tmp_path):
    catalogue = catalogue_of(NEGATIVE, BROKEN)
    panels, session = ModelPanels(catalogue, tmp_path), Session(catalogue)
    *_, shown, done = used(session, UseModel(panels, NEGATIVE))
    assert done == {"used": NEGATIVE}
    assert session.model == NEGATIVE
    assert isinstance(session.models.reader, Negative)
    assert "In use on this page" in shown["facts"]
    *_, failed = used(session, UseModel(panels, BROKEN))
    assert "The Hub has no test/broken." in failed["facts"]
    assert session.model == NEGATIVE


def test_a_free_id_is_refused_in_one_sentence_where_it_is_not_allowed(tmp_path):
    catalogue = catalogue_of()
    panels, session = ModelPanels(catalogue, tmp_path), Session(catalogue)
    (shown,) = used(session, UseModel(panels, "timm:owner/name"))
    assert "is not offered here" in shown["facts"]
    assert "hub-model" not in shown["names"]
    assert session.models is catalogue
    (shown,) = used(session, UseModel(panels, ""))
    assert "is not offered here" in shown["facts"]


def test_a_newer_choice_of_a_model_ends_the_older(tmp_path):
    catalogue = catalogue_of(NEGATIVE, "embedded")
    panels, session = ModelPanels(catalogue, tmp_path), Session(catalogue)
    older = run(UseModel(panels, NEGATIVE), session, session.take("models"))
    session.take("models")
    assert list(older) == []
    assert session.models is catalogue


def test_a_photo_stays_with_the_model_that_began_it(save):
    catalogue = catalogue_of(NEGATIVE)
    session, path = Session(catalogue), save(scene(10, 200))
    session.begin(path)
    list(run(ReadPhoto(), session, session.turn(READ)))
    session.models = catalogue.of(NEGATIVE)
    assert session.models.wait(PATIENCE)
    session.pick(1)
    *_, same = run(ReadPhoto(), session, session.turn(READ))
    assert label_of(200) in same["prediction"]
    session.begin(path)
    *_, again = run(ReadPhoto(), session, session.turn(READ))
    assert label_of(245) in again["prediction"]


def test_a_card_brings_no_pictures_and_no_html(folder, tmp_path):
    catalogue = catalogue_of(f"timm:{folder}")
    panels, session = ModelPanels(catalogue, tmp_path), Session(catalogue)
    session.opened = f"timm:{folder}"
    card = panels.draw(session)["card"]
    assert card.strip() == "# A card"


# ---- over HTTP ----


def test_api_compares_models(squares, save):
    from gradio_client import handle_file

    photo, client = handle_file(str(save(scene(10, 200)))), connect(squares)
    told = client.predict(photo, api_name="/compare")
    fewer = client.predict(photo, f"embedded {NEGATIVE}", api_name="/compare")
    refused = client.predict(photo, "timm:/etc", api_name="/compare")
    assert [row["model"] for row in told["models"]] == ["embedded", NEGATIVE, BROKEN]
    labels = [face["prediction"]["label"] for face in told["models"][1]["faces"]]
    assert labels == [label_of(245), label_of(55)]
    assert "no test/broken" in told["models"][2]["error"]
    assert told["agreement"][0]["labels"] == {label_of(10): 1, label_of(245): 1}
    assert len(fewer["models"]) == 2
    assert set(refused) == {"photo", "error"}
