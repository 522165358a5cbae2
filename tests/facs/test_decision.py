import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.core.types import Face, Scores, UnitEvidence
from ferce.facs.decision import decide, prediction_set
from ferce.facs.posterior import HYPOTHESES, posterior
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
        prediction.top == label or label in prediction.set[:2]
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
    assert max(prediction.probabilities.values()) < 0.5  # never pressed into a strong compound


def test_smile_with_unread_cheeks_and_lip_is_happy():
    prediction = read(seen(12, 25, unknown=(6, 9, 10, 11)))
    assert (prediction.state, prediction.label) == ("basic", "happy")
    assert prediction.components["happy"] > 0.8
    assert max(prediction.probabilities.values()) < 0.5


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
    assert max(prediction.probabilities.values()) < 0.5


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
    total = together.compound.sum(1) + together.single.sum(1) + together.neutral
    assert np.allclose(total, 1)
    assert np.allclose(together.classes().sum(1), 1)
    for i, one in enumerate(faces):
        assert np.allclose(posterior([one]).classes()[0], together.classes()[i])


@settings(max_examples=60, deadline=None)
@given(evidence)
def test_unknown_evidence_changes_nothing(units):
    wild = {u: UnitEvidence(u, 1 - e.intensity, 0.0) for u, e in units.items()}
    assert np.allclose(posterior([wild]).classes(), posterior([{}]).classes())


def test_no_faces():
    assert Prototypes().scores([]).classes.shape == (0, 14)
    assert len(HYPOTHESES) == 21


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
