import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferce.core.labels import BASICS, COMPOUNDS, OUTCOMES, components
from ferce.core.types import Face, Scores, UnitEvidence
from ferce.facs.decision import decide, posterior, prediction_set
from ferce.facs.prototypes import PROTOTYPES, UNITS
from ferce.models.measured import Prototypes

CROP = np.full((16, 16, 3), 128, np.uint8)


def seen(*active, confidence=0.9, intensity=0.9, unknown=()):
    """Evidence: the named units are there, `unknown` cannot be told and the rest are not."""
    return {
        u: UnitEvidence(u, intensity if u in active else 0.0, 0.0 if u in unknown else confidence)
        for u in UNITS
    }


def read(units):
    face = Face(crop=CROP, units=units)
    return decide(Prototypes().scores([face]), 0, face, "prototypes")


@pytest.mark.parametrize("label", COMPOUNDS)
def test_full_prototype_of_each_compound(label):
    prototype = PROTOTYPES[label]
    likely = [u for u, share in prototype.variants.items() if share > 0.5]
    prediction = read(seen(*prototype.core, *likely))
    assert (
        prediction.compound == label or label in prediction.set[:2]
    )  # happily fearful is close to surprised


def test_most_compounds_are_named():
    named = 0
    for label in COMPOUNDS:
        prototype = PROTOTYPES[label]
        likely = [u for u, share in prototype.variants.items() if share > 0.5]
        prediction = read(seen(*prototype.core, *likely))
        named += prediction.state == "compound" and prediction.label == label
    assert named >= 10


@pytest.mark.parametrize(
    ("units", "label"),
    [
        ((12,), "happy"),
        ((6, 12), "happy"),
        ((12, 25), "happy"),
        ((1, 4, 15, 17), "sad"),
        ((4, 7, 24), "angry"),
        ((1, 2, 5, 26), "surprised"),
        ((9, 10, 17), "disgusted"),
    ],
)
def test_one_emotion_is_basic(units, label):
    prediction = read(seen(*units))
    assert (prediction.state, prediction.label) == ("basic", label)
    # never pressed into a strong compound
    assert max(prediction.outcomes[name] for name in COMPOUNDS) < 0.5


def test_smile_with_unread_cheeks_and_lip_is_happy():
    prediction = read(seen(12, 25, unknown=(6, 9, 10, 11)))
    assert (prediction.state, prediction.label) == ("basic", "happy")
    assert prediction.components["happy"] > 0.8
    assert max(prediction.outcomes[name] for name in COMPOUNDS) < 0.5


def test_nothing_active_is_neutral():
    prediction = read(seen())
    assert (prediction.state, prediction.label) == ("neutral", "neutral")
    assert "No action unit" in prediction.reason


def test_nothing_known_is_unclear():
    prediction = read(seen(confidence=0.0))
    assert prediction.state == "unclear"
    assert prediction.label is None


def test_photo_of_a_smile_is_basic_happiness(smiling):
    prediction = decide(Prototypes().scores([smiling]), 0, smiling, "prototypes")
    assert (prediction.state, prediction.label) == ("basic", "happy")
    assert prediction.components["happy"] > 0.8
    assert max(prediction.outcomes[name] for name in COMPOUNDS) < 0.5


def test_classifier_without_other_outputs_is_gated_by_the_face(smiling):
    """A network that presses a plain smile into a compound is overruled by the action units."""
    sure = np.full((1, 14), 0.01 / 13)
    sure[0, COMPOUNDS.index("happily disgusted")] = 0.99
    prediction = decide(Scores(sure), 0, smiling, "net")
    assert (prediction.state, prediction.label) == ("basic", "happy")
    bare = Face(crop=smiling.crop)
    assert decide(Scores(sure), 0, bare, "net").label == "happily disgusted"


def test_flat_probabilities_are_unclear():
    prediction = decide(Scores(np.full((1, 14), 1 / 14)), 0, Face(crop=CROP), "net")
    assert prediction.state == "unclear"


evidence = st.dictionaries(
    st.sampled_from(sorted(UNITS)), st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=24
).map(lambda d: {u: UnitEvidence(u, i, c) for u, (i, c) in d.items()})


@settings(max_examples=60, deadline=None)
@given(st.lists(evidence, min_size=1, max_size=5))
def test_posterior_sums_to_one_and_ignores_batch_mates(faces):
    together = posterior(faces)
    assert np.allclose(together.sum(1), 1)
    for i, one in enumerate(faces):
        assert np.allclose(posterior([one])[0], together[i])


@settings(max_examples=60, deadline=None)
@given(evidence)
def test_unknown_evidence_changes_nothing(units):
    wild = {u: UnitEvidence(u, 1 - e.intensity, 0.0) for u, e in units.items()}
    assert np.allclose(posterior([wild]), posterior([{}]))


def test_no_faces():
    assert Prototypes().scores([]).classes.shape == (0, 14)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.001, 1), min_size=14, max_size=14), st.floats(0.05, 0.99))
def test_set_is_the_smallest_that_reaches_the_mass(raw, mass):
    classes = np.array(raw) / np.sum(raw)
    chosen = prediction_set(classes, mass)
    by_name = dict(zip(COMPOUNDS, classes, strict=True))
    assert sum(by_name[name] for name in chosen) >= mass - 1e-6
    assert sum(by_name[name] for name in chosen[:-1]) < mass
    assert by_name[chosen[0]] == max(classes)


def test_components_keep_their_order():
    assert tuple(read(seen(12)).components) == BASICS


outcomes = st.lists(st.floats(0, 1), min_size=21, max_size=21).filter(lambda raw: sum(raw) > 0.1)


@settings(max_examples=60, deadline=None)
@given(outcomes, st.sampled_from([None, 0.6, 0.95]))
def test_all_that_is_shown_follows_from_one_distribution(raw, mass):
    row = np.array(raw) / np.sum(raw)
    prediction = decide(Scores.of_outcomes(row[None], outcome_mass=mass), 0, Face(crop=CROP), "net")
    assert sum(prediction.outcomes.values()) == pytest.approx(1)
    assert sum(prediction.compounds.values()) == pytest.approx(1)
    for basic, share in prediction.components.items():
        held = sum(p for name, p in prediction.outcomes.items() if basic in components(name))
        assert share == pytest.approx(held)
    assert prediction.label is None or prediction.label in prediction.set
    assert sum(prediction.outcomes[name] for name in prediction.set) >= max(mass or 0, 0.9) - 1e-6
    assert prediction.calibrated == (mass is not None)


def test_an_emotion_spread_over_its_compounds_leads_without_a_claim_of_being_alone():
    row = np.zeros(21)
    for name in ("happily surprised", "happily disgusted", "happy", "neutral"):
        row[OUTCOMES.index(name)] = 0.25
    prediction = decide(Scores.of_outcomes(row[None]), 0, Face(crop=CROP), "net")
    assert (prediction.state, prediction.label) == ("basic", "happy")
    assert "whether alone or with a second emotion is not clear" in prediction.reason


def test_given_a_compound_the_compounds_are_the_outcomes():
    row = np.full((1, 21), 0.01)
    row[0, OUTCOMES.index("neutral")] = 0.6
    row[0, OUTCOMES.index("sadly angry")] = 0.21
    scores = Scores.of_outcomes(row, mass=0.7, calibrated=True)
    narrowed = decide(scores.given_compound(), 0, Face(crop=CROP), "net")
    assert (narrowed.state, narrowed.label) == ("compound", "sadly angry")
    assert narrowed.outcomes["sadly angry"] == pytest.approx(0.21 / 0.34)
    assert narrowed.outcomes["neutral"] == 0
    assert narrowed.calibrated
    assert decide(scores, 0, Face(crop=CROP), "net").label == "neutral"
