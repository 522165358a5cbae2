"""The measured voice says what the action units say, and no more."""

import pytest
from text_fixtures import face, prediction

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import Voice
from ferce.explanation.text import PHRASINGS, compose, parse, phrasing_of
from ferce.models.measured import Measured, load
from ferce.models.prompts import questions
from ferce.models.spec import parse as spec

SMILING = {12: 0.9, 25: 0.7, 1: 0.5, 2: 0.6}


def answer(question, intensities, **changes):
    (given,) = Measured().answer(face(intensities, **changes), [question])
    assert (given.question, given.voice) == (question, "measured")
    return given.answer


def test_it_is_a_voice():
    assert isinstance(load(spec("measured"), "cpu"), Voice)
    with pytest.raises(ValueError, match="'measured' alone"):
        load(spec("measured:somewhere"), "cpu")


def test_the_pieces_of_an_explanation_are_the_composed_text():
    made, told = face(SMILING), prediction("happily surprised")
    pieces = list(Measured().explain(made, told))
    assert "".join(pieces) == compose(made, told, phrasing_of(made))
    assert len(pieces) > 1


@pytest.mark.parametrize(
    ("question", "intensities", "expected"),
    [
        ("Is the mouth open?", SMILING, "Yes, the lips are parted (AU25)."),
        ("Is the mouth open?", {24: 0.6}, "No. The lips are pressed together (AU24)."),
        ("Is the mouth closed?", SMILING, "No, the lips are parted (AU25)."),
        ("Is he smiling?", SMILING, "Yes, the mouth smiles (AU12)."),
        ("Is there a frown?", {}, "No. The brows show no clear movement."),
        (
            "Is the left brow raised?",
            {1: (0.9, 0.0), 2: (0.9, 0.0)},
            "Yes, the left brow is raised",
        ),
        (
            "Is the right brow raised?",
            {1: (0.9, 0.0), 2: (0.9, 0.0)},
            "No. The left brow is raised",
        ),
        ("Is the nose wrinkled?", SMILING, "Whether the nose is wrinkled (AU9) cannot be told"),
        ("Are the eyes wide, narrowed or closed?", {5: 0.8}, "The eyes are widened (AU5)."),
        (
            "Are the eyes wide, narrowed or closed?",
            {},
            "None of these shows. The eyes show no clear movement.",
        ),
        ("Which facial cue speaks for surprise?", {1: 0.5, 2: 0.5}, "For surprise: both brows"),
        ("Which facial cue speaks for fear?", {12: 0.5}, "No measured movement speaks for fear."),
        ("Where is there muscle tension?", {4: 0.6, 24: 0.5}, "Tension shows where the brows are"),
        ("Is there tension in the eyes?", {4: 0.6}, "No clear tension shows"),
        ("Do the two sides of the face differ?", {12: (0.9, 0.1)}, "Yes, the left lip corner"),
        ("Do the two sides of the face differ?", {12: 0.9}, "No; the measured movements"),
        ("What is the expression of this face?", {12: 0.9, 25: 0.5}, "By its action units alone"),
        ("Which two emotions does it combine?", {12: 0.9, 25: 0.5}, "Only happiness stands out"),
        ("What do the brows do?", {4: 0.6}, "The brows are drawn together (AU4)."),
        ("What is the nose doing?", {}, "What the nose does cannot be told from this photo."),
        ("Which cue is strongest?", {12: 0.9, 25: 0.3}, "Most clearly the mouth smiles"),
        ("Why is the sky blue?", SMILING, "This voice answers from measured facial movements only"),
        ("Is the person happy?", {}, "No measured movement speaks for happiness."),
    ],
)
def test_answers(question, intensities, expected):
    assert answer(question, intensities).startswith(expected)


def test_without_measurements_every_answer_says_so():
    for question in questions():
        assert answer(question, {}, units={}).startswith("That cannot be told from this photo.")


@pytest.mark.parametrize("intensities", [SMILING, {}, {4: 0.5, 15: 0.4, 43: 0.8}])
def test_the_whole_questionnaire_is_answered_in_clean_sentences(intensities):
    for question in questions(prediction("happily surprised")):
        text = answer(question, intensities)
        assert text[0].isupper()
        assert text.endswith(".")
        assert "  " not in text
        assert "{" not in text
        assert not text.startswith("This voice answers")


def test_answers_claim_only_what_was_measured():
    made = face(SMILING)
    there = {u for u, seen in made.units.items() if seen.intensity >= 0.25}
    for given in Measured().answer(made, questions()):
        claims = {c.unit for c in parse(given.answer) if not c.negated and c.unit}
        assert claims <= there, given.answer


def test_explanations_never_say_what_a_person_feels():
    for label in COMPOUNDS:
        for seed in range(PHRASINGS):
            text = "".join(Measured().explain(face(SMILING, seed=seed), prediction(label)))
            assert "resembles" in text
            assert "feels" not in text
