"""Verdicts on claims, and the repair of texts whose claims fail."""

import numpy as np
import pytest
from text_fixtures import Looker, face, masks, prediction

from ferce.core.parts import Cue, Explanation, Heatmap
from ferce.core.types import UnitEvidence
from ferce.explanation.text import check, parse, revise, strange

LABEL = "happily surprised"


def heat(region, size=96):
    values = np.zeros((size, size), np.float32)
    values[masks()[region]] = 1.0
    return Heatmap(values, LABEL, "made")


def checked(text, intensities, classifier=None, heatmap=None, **changes):
    made = face(intensities, **changes)
    return check(parse(text), made, prediction(LABEL), heatmap, classifier)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("The mouth smiles.", "supported"),
        ("There is no smile.", "contradicted"),
        ("The brows are lowered.", "contradicted"),
        ("The brows are not lowered.", "supported"),
        ("The nose is wrinkled.", "cannot be told"),  # a dead channel
        ("The nose is not wrinkled.", "cannot be told"),
        ("The left brow is raised.", "supported"),
        ("The right brow is raised.", "contradicted"),
        ("The right brow is not raised.", "supported"),
        ("The mouth shows joy.", "supported"),
        ("The eyes show joy.", "contradicted"),
        ("The eyes are relaxed.", "supported"),
        ("The jaw is clenched.", "cannot be told"),
        ("The nostrils are flared.", "cannot be told"),
        ("The chin is slightly pushed up.", "cannot be told"),  # hedged, and just below the line
        ("The chin is pushed up.", "contradicted"),
    ],
)
def test_seen(text, verdict):
    (cue, *_) = checked(text, {12: 0.8, 1: (0.9, 0.1), 2: (0.9, 0.1), 17: 0.2})
    assert cue.seen == verdict
    assert cue.evidence


@pytest.mark.parametrize(
    ("text", "intensity"),
    [
        ("The mouth smiles.", 0.0),
        ("There is no smile.", 0.8),
        ("The mouth shows joy.", 0.0),
    ],
)
@pytest.mark.parametrize(
    ("confidence", "verdict"), [(0.4, "cannot be told"), (0.6, "contradicted")]
)
def test_an_unsure_measurement_contradicts_nothing(text, intensity, confidence, verdict):
    made = face().replace(units={12: UnitEvidence(12, intensity, confidence)})
    (cue,) = check(parse(text), made, prediction(LABEL))
    assert cue.seen == verdict


def test_emotions_named_against_the_prediction_are_found():
    text = "Happily surprised, with fear in the eyes and no anger; if it were sadness."
    assert [cue.text for cue in strange(text, prediction(LABEL))] == ["fear"]


def test_a_phrase_for_two_units_holds_when_one_is_there():
    both = checked("The brows are raised.", {2: 0.8})
    assert [(c.unit, c.seen) for c in both] == [(1, "supported"), (2, "supported")]
    assert "AU1" in both[0].evidence
    assert "AU2" in both[0].evidence


def test_without_trust_nothing_is_decided():
    made = face().replace(units={})
    assert [c.seen for c in check(parse("She smiles."), made, prediction(LABEL))] == [
        "cannot be told"
    ]


def test_a_network_that_looks_only_at_the_mouth_uses_the_mouth_alone():
    looker = Looker("mouth")
    cues = checked("The mouth smiles, the brows are raised and the eyes are wide.", {}, looker)
    assert {c.region: c.used for c in cues} == {
        "mouth": "used",
        "brows": "not used",
        "eyes": "not used",
    }
    assert looker.calls == 1  # every deletion in one batch
    assert "With the mouth hidden the probability of happily surprised falls by" in cues[0].evidence


def test_heat_alone_decides_when_there_is_no_classifier():
    cues = checked("The mouth smiles and the brows are raised.", {}, None, heat("mouth"))
    assert {c.region: c.used for c in cues} == {"mouth": "used", "brows": "not used"}


def test_heat_against_hiding_cannot_be_told():
    cues = checked("The brows are raised.", {}, Looker("mouth"), heat("brows"))
    assert {c.used for c in cues} == {"cannot be told"}


def test_without_map_and_classifier_use_stays_open():
    assert [c.used for c in checked("She smiles.", {})] == [None]


def test_without_regions_use_stays_open():
    (cue,) = checked("She smiles.", {}, Looker("mouth"), None, regions={})
    assert cue.used is None


def test_checking_is_repeatable():
    text = "The mouth smiles."
    assert checked(text, {12: 0.8}, Looker("mouth")) == checked(text, {12: 0.8}, Looker("mouth"))


TEXT = (
    "The expression resembles *happily surprised*: the mouth smiles and the lips are parted, which "
    "fits happiness; the brows are lowered and the nose is wrinkled, which fits disgust. There is "
    "no sign of raised brows."
)


def test_revision_keeps_what_stands_and_names_what_went():
    cues = check(parse(TEXT), face({12: 0.9, 25: 0.7, 1: 0.5, 2: 0.6}), prediction(LABEL))
    before = Explanation(TEXT, "voice", cues)
    after, dropped = revise(before, cues)
    assert after.text == (
        "The expression resembles *happily surprised*: the mouth smiles and the lips are parted, "
        "which fits happiness. Left out is what the measurement speaks against: the face shows no "
        "furrowed brows. Against the first text, both brows are raised. Whether the nose is "
        "wrinkled cannot be told from this photo."
    )
    assert [c.text for c in dropped] == [
        "brows are lowered",
        "nose is wrinkled",
        "raised brows",
        "raised brows",
    ]
    assert before.text == TEXT
    assert after.voice == "voice, revised"
    assert {c.seen for c in after.cues} == {"supported"}


def test_a_sound_explanation_is_left_alone():
    cues = check(parse("She smiles."), face({12: 0.9}), prediction(LABEL))
    explanation = Explanation("She smiles.", "voice", cues)
    assert revise(explanation, cues) == (explanation, ())


@pytest.mark.parametrize(
    "text",
    [
        "The brows are lowered.",
        "The brows are lowered and the mouth smiles; the eyes are wide! Really?",
        "Eyes: wide. Mouth: smiling.",
        "No smile.",
        "The eyes convey fear: the jaw is dropped (AU26).",
    ],
)
def test_a_revised_text_makes_no_claim_that_the_face_contradicts(text):
    made = face({12: 0.9})
    cues = check(parse(text), made, prediction(LABEL))
    after, dropped = revise(Explanation(text, "voice", cues), cues)
    assert dropped
    again = check(parse(after.text), made, prediction(LABEL))
    assert all(c.seen != "contradicted" for c in again)
    assert after.text[0].isupper()
    assert after.text.endswith((".", "?", "!"))


@pytest.mark.parametrize(
    ("text", "intensities", "expected"),
    [
        ("He looks sad, although the lips are parted.", {}, "He looks sad. Left out"),
        (
            "He is sad, although the lips are parted and the brows are raised. Then he sits.",
            {25: 0.9},
            "He is sad, although the lips are parted. Then he sits. Left out",
        ),
        (
            "The eyes are wide, although the lips are parted.",
            {25: 0.9},
            "The lips are parted. Left",
        ),
        (
            "He smiles, although the brows are lowered.",
            {12: 0.9, 4: 0.9},
            "He smiles, although the",
        ),
    ],
)
def test_what_is_conceded_goes_or_stays_by_itself(text, intensities, expected):
    made = face(intensities)
    cues = check(parse(text), made, prediction(LABEL))
    after, _ = revise(Explanation(text, "voice", cues), cues)
    assert after.text.startswith(expected)


def test_cues_made_by_hand_need_no_text():
    cue = Cue("smile", 0, 5, 12, "mouth")
    assert check([cue], face({12: 0.9}), prediction(LABEL))[0].seen == "supported"
