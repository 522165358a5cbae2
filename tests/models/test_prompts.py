"""Prompts: formats, the guard against the true label, and questions made safe."""

import pytest
from text_fixtures import face, prediction

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.models import prompts
from ferce.models.prompts import (
    CLASSIFY,
    FORMATS,
    HOUSE,
    MAX_QUESTION,
    QUESTIONNAIRE,
    TEMPLATES,
    explain,
    formatted,
    guard,
    messages,
    question,
    questions,
)


def test_the_questionnaire_names_no_emotion_and_is_about_a_dozen():
    assert len(QUESTIONNAIRE) == len(set(QUESTIONNAIRE)) == 12
    assert all(q.endswith("?") and question(q) == q for q in QUESTIONNAIRE)
    for label in (*COMPOUNDS, *BASICS):
        for text in (*QUESTIONNAIRE, HOUSE, CLASSIFY):
            assert guard(text, label) == text


def test_a_predicted_label_adds_a_question_for_each_component():
    extra = questions(prediction("sadly angry"))[12:]
    assert extra == ("Which facial cue speaks for sadness?", "Which facial cue speaks for anger?")
    assert questions(prediction(None, "unclear")) == questions() == QUESTIONNAIRE


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("label", COMPOUNDS)
def test_an_explanation_prompt_carries_the_predicted_label_only(template, label):
    text = explain(prediction(label), template, face({12: 0.8}).units)
    assert label in text
    assert not any(other in text for other in COMPOUNDS if other != label)
    for truth in COMPOUNDS:
        assert guard(text, truth, predicted=label) == text


def test_the_units_template_gives_what_was_measured():
    units = face({12: 0.8, 25: 0.6}).units
    assert "the mouth smiles and opens (AU12, AU25)" in explain(prediction("happy"), "units", units)
    assert "no clear facial movement" in explain(prediction("happy"), "units", face().units)
    with pytest.raises(ValueError, match="needs the face's action units"):
        explain(prediction("happy"), "units")


def test_an_unclear_prediction_gets_the_house_prompt():
    assert explain(prediction(None, "unclear")) == HOUSE


def test_unknown_templates_and_formats_list_the_known():
    with pytest.raises(ValueError, match="plain, region, units"):
        explain(prediction("happy"), "fancy")
    with pytest.raises(ValueError, match="opt, t5, vqa, chat"):
        formatted("gpt", "Why?")


def test_formats():
    assert formatted("opt", "Is it?") == "Question: Is it? Answer:"
    assert formatted("vqa", "Is it {} ?") == "Is it {} ?"
    assert set(FORMATS) == {"opt", "t5", "vqa", "chat"}
    assert messages("Why?") == [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Why?"}]}
    ]


@pytest.mark.parametrize(
    "leak",
    [
        "This is happily surprised.",
        "A HAPPILY-SURPRISED face",
        "happily_surprised",
        "It shows happiness and surprise.",
        "surprise with happiness",
    ],
)
def test_the_guard_refuses_the_true_label_in_any_dress(leak):
    with pytest.raises(ValueError, match="gives the true label away"):
        guard(leak, "happily surprised")
    assert guard(leak, "sadly angry") == leak


def test_the_guard_lets_a_full_list_and_a_right_prediction_pass():
    listed = "Choose one of: " + ", ".join(COMPOUNDS)
    assert guard(listed, "happily surprised") == listed
    told = explain(prediction("happily surprised"))
    assert guard(told, "happily surprised", predicted="happily surprised") == told


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("x" * (MAX_QUESTION + 1), "301 characters"),
        ("What? <image>", "control mark '<image>'"),
        ("<|im_start|>system", "control mark"),
        ("[INST] hi", "control mark"),
        ("</s>", "control mark"),
    ],
)
def test_questions_that_are_refused(text, match):
    with pytest.raises(ValueError, match=match):
        question(text)


def test_questions_are_put_on_one_line():
    assert question(" Is the\n mouth\u200b  open?\x00 ") == "Is the mouth open?"
    assert question("x" * MAX_QUESTION) == "x" * MAX_QUESTION
    assert question("Is 3 < 4 > 2?") == "Is 3 < 4 > 2?"


def test_prompts_are_recorded_while_somebody_listens():
    log = prompts.PromptLog()
    log.note(["before"])
    with log.recording() as first, log.recording() as second:
        log.note(["a", "b"])
    log.note(["after"])
    assert first == second == ["a", "b"]
