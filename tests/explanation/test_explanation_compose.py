"""The composed text says what was measured, ties it to emotions, and owns up to the rest."""

import pytest
from text_fixtures import face, prediction

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.explanation.text import PHRASINGS, compose, phrasing_of


def test_the_form_of_the_issue():
    text = compose(face({12: 0.8, 25: 0.7, 1: 0.6, 2: 0.6}), prediction("happily surprised"), 0)
    assert text.startswith(
        "The expression resembles *happily surprised*: the mouth smiles and opens (AU12, AU25), "
        "which fits happiness; both brows are raised (AU1, AU2), which fits surprise."
    )


def test_phrasings_differ_and_are_tied_to_the_photo():
    made, predicted = face({12: 0.8, 25: 0.7, 1: 0.6, 2: 0.6}), prediction("happily surprised")
    assert len({compose(made, predicted, k) for k in range(PHRASINGS)}) == PHRASINGS >= 5
    assert compose(made, predicted, 7) == compose(made, predicted, 7 % PHRASINGS)
    assert phrasing_of(face(seed=3)) == phrasing_of(face(seed=3))
    assert len({phrasing_of(face(seed=s)) for s in range(30)}) == PHRASINGS


def test_what_does_not_fit_is_said():
    text = compose(face({12: 0.8, 4: 0.7}), prediction("happy"), 0)
    assert "Furrowed brows (AU4) do not fit this reading." in text


def test_what_cannot_be_told_is_not_claimed():
    units = {12: 0.8, 6: 0.9, 9: 0.9}
    text = compose(face(units), prediction("happily disgusted"), 0)
    assert (
        "Whether the cheeks are raised (AU6) or the nose is wrinkled (AU9) cannot be told" in text
    )


def test_one_sided_units_name_the_side():
    text = compose(face({12: 0.8, 4: (0.9, 0.1)}), prediction("angrily disgusted"), 0)
    assert "the left brow is lowered (AU4)" in text


def test_weak_units_are_called_slight():
    assert "slightly dropped" in compose(face({26: 0.3}), prediction("surprised"), 0)


@pytest.mark.parametrize("phrasing", range(PHRASINGS))
@pytest.mark.parametrize("state", ["neutral", "unclear"])
def test_neutral_and_unclear_are_worded_without_an_emotion(state, phrasing):
    text = compose(face(), prediction("neutral" if state == "neutral" else None, state), phrasing)
    assert "None" not in text
    assert not any(basic in text for basic in BASICS)


def test_a_component_without_a_sign_is_owned_up_to():
    text = compose(face({12: 0.8}), prediction("happily surprised"), 0)
    assert "Nothing measured here speaks for surprise alone." in text


def test_a_label_without_any_sign_is_owned_up_to():
    text = compose(face(), prediction("sadly angry"), 0)
    assert "no measured sign in the face speaks for it" in text


def test_a_face_without_measurements_names_no_cue():
    bare = face().replace(units={})
    assert "No action units were measured" in compose(bare, prediction("sadly angry"), 0)
    assert "No label is given" in compose(bare, prediction(None, "unclear"), 0)


@pytest.mark.parametrize("label", [*COMPOUNDS, *BASICS, "neutral", None])
@pytest.mark.parametrize("phrasing", range(PHRASINGS))
def test_every_text_is_clean_and_careful(label, phrasing):
    units = {1: 0.5, 4: 0.4, 10: 0.5, 12: 0.6, 15: 0.3, 20: 0.5, 25: 0.6, 26: 0.4}
    predicted = prediction(label, "unclear" if label is None else None)
    text = compose(face(units), predicted, phrasing)
    assert text.endswith(".")
    for wrong in (
        "  ",
        "..",
        "{",
        "}",
        " ,",
        "None",
        "feels",
        "the person",
        " .",
        "a a ",
        "*None*",
    ):
        assert wrong not in text
    assert all(s[0].isupper() or s[0] == "*" for s in text.split(". "))
