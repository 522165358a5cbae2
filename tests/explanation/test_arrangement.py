"""A trained voice's plain statements, put in order: nothing is lost, nothing is said twice."""

import random

import pytest
from text_fixtures import face, prediction

from ferce.core.labels import COMPOUNDS, OUTCOMES
from ferce.data import captions
from ferce.data.families import TRAINING
from ferce.data.record import UnitLabel
from ferce.explanation.text import parse
from ferce.explanation.text.arrangement import arrange
from ferce.explanation.text.statements import statements
from ferce.facs.action_units import UNITS


def arranged(text, label, seed=0):
    made = prediction(label, None if label else "unclear")
    return "".join(arrange(iter([text]), face(seed=seed), made))


def spoken(seed):
    """A label and a text as the voices learnt them, of up to five random units."""
    dice = random.Random(seed)
    units = []
    for unit in dice.sample(sorted(UNITS), dice.randint(0, 5)):
        value = dice.choice([0.3, 0.6, 0.9])
        sides = dice.choice([(value, value), (value, 0.0)]) if UNITS[unit].sided else (None, None)
        units.append(UnitLabel(unit, value, *sides))
    label = dice.choice([None, *OUTCOMES])
    caption = captions.explain(units, label, seed, TRAINING)
    assert caption is not None
    return label, caption


@pytest.mark.parametrize("seed", range(150))
def test_every_text_that_voices_learn_is_read_back(seed):
    _, caption = spoken(seed)
    read = statements(caption.text)
    assert read is not None
    assert {u for one in read for sign in one.signs for u in sign.units} == set(caption.units)


@pytest.mark.parametrize("seed", range(150))
def test_each_unit_is_said_once_and_none_is_lost(seed):
    label, caption = spoken(seed)
    text = arranged(caption.text, label, seed)
    said = [cue.unit for cue in parse(text) if cue.unit is not None and not cue.negated]
    assert sorted(said) == sorted(caption.units)
    assert "clearly" not in text or "no clear" in text
    assert text.endswith(".")
    assert "  " not in text
    assert all(sentence[0].isupper() for sentence in text.split(". "))


def test_repetition_is_said_once():
    text = arranged(
        "This face looks happy. The lip corners are pulled up, which fits happiness. Apart from "
        "the label, the mouth corners are lifted into a smile.",
        "happy",
    )
    assert "Apart" not in text
    assert [cue.unit for cue in parse(text)] == [12]


def test_what_fits_the_label_is_not_called_unexplained():
    text = arranged(
        "This face looks angry. The brows are knitted, which fits anger. Apart from the label, the "
        "lips are pressed together.",
        "angry",
    )
    assert "the brows are knitted and the lips are pressed together" in text.lower()


def test_the_opposite_is_conceded():
    text = arranged(
        "This face looks happy. The lip corners are pulled up, which fits happiness. Apart from "
        "the label, the brows are knitted and the lip corners are pulled down.",
        "happy",
    )
    assert ", although the lip corners are pulled down." in text
    assert {cue.unit for cue in parse(text)} == {4, 12, 15}


@pytest.mark.parametrize("label", ["neutral", "sad"])
def test_what_speaks_against_the_label_is_conceded(label):
    text = arranged(f"This face looks {label}. One can see a smile and parted lips.", label)
    assert ", although the mouth smiles and the lips are parted." in text


def test_rest_is_conceded_of_an_expression_and_can_be_checked():
    text = arranged(
        "This face looks sad. Nothing in this face moves clearly away from rest.", "sad"
    )
    assert ", although the brows" in text
    assert {(cue.region, cue.negated) for cue in parse(text)} == {
        ("brows", True),
        ("eyes", True),
        ("mouth", True),
    }
    plain = arranged("This face looks neutral. The brows, eyes and mouth are at rest.", "neutral")
    assert "although" not in plain


@pytest.mark.parametrize(
    "text",
    [
        "The mouth is open, and I like it. The mouth is open, and I like it.",
        "This face looks sad. The brows are knitted.",
        "This face looks happy. The brows are knitted, which fits anger.",
        "Smiling, she looks at the camera without any doubt.",
        "",
    ],
)
def test_other_texts_pass_through(text):
    assert arranged(text, "happy") == text


def test_another_text_is_passed_on_as_it_comes():
    pieces = arrange(
        iter(["Smiling widely, the woman ", "looks ahead."]), face(), prediction(COMPOUNDS[0])
    )
    assert next(pieces) == "Smiling widely, the woman "


def test_frames_differ_between_photos():
    text = "This face looks happy. The lip corners are pulled up, which fits happiness."
    assert len({arranged(text, "happy", seed) for seed in range(40)}) > 8


def test_what_lies_beside_a_part_is_not_said_of_it():
    text = "The brows are knitted, the cheeks are bunched up under the eyes and the lips are thin."
    assert [cue.unit for cue in parse(text)] == [4, 6, 23]
