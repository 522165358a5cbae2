"""Scoring over a shared prefix, calibration and the parsing of free answers, with known answers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ferce.core.labels import COMPOUNDS, NOUNS, components
from ferce.models.vlm import phrases, scoring
from ferce.models.vlm.loading import Settings

LOGITS = torch.tensor([[0.0, 1.0, 2.0], [2.0, 0.0, 0.0]])  # two pictures, three words


class Repeats:
    """A cache that remembers which picture each row belongs to."""

    def __init__(self):
        self.rows = torch.arange(2)

    def reorder_cache(self, rows):
        self.rows = self.rows[rows]


def bigram(ids, cache):
    """Word w follows word v with logit v * w, plus 10 for word 2 on the second picture."""
    words = torch.arange(3.0)
    bonus = 10.0 * (cache.rows == 1)[:, None, None] * (words == 2)
    return ids[..., None] * words + bonus


def test_causal_prefix_sums_what_the_model_says():
    prefix = scoring.CausalPrefix(LOGITS, Repeats(), bigram)
    found = scoring.likelihoods(prefix, [[2], [1, 2], [0, 1, 2]], "cpu")
    first = LOGITS.log_softmax(-1)
    follow = [
        torch.stack([(v * torch.arange(3.0)).log_softmax(0) for v in range(3)]),
        torch.stack(
            [(v * torch.arange(3.0) + torch.tensor([0, 0, 10.0])).log_softmax(0) for v in range(3)]
        ),
    ]
    for n in range(2):
        known = [
            first[n, 2],
            (first[n, 1] + follow[n][1, 2]) / 2,
            (first[n, 0] + follow[n][0, 1] + follow[n][1, 2]) / 3,
        ]
        assert torch.allclose(found[n], torch.stack(known), atol=1e-5)


def test_single_tokens_need_no_step():
    prefix = scoring.CausalPrefix(LOGITS, None, None)
    found = scoring.likelihoods(prefix, [[0], [1], [2]], "cpu")
    assert torch.allclose(found, LOGITS.log_softmax(-1))


def test_an_empty_phrase_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        scoring.pad([[1], []], "cpu")


scores = arrays(float, (3, 14), elements=st.floats(-30, 0))


@given(scores, arrays(float, 14, elements=st.floats(-30, 0)))
def test_calibrated_rows_sum_to_one_and_a_content_free_picture_is_even(values, prior):
    found = phrases.probabilities(values, [prior])
    assert np.allclose(found.sum(1), 1)
    even = phrases.probabilities(prior[None], [prior])
    assert np.allclose(even, 1 / 14)


@given(scores)
def test_without_a_prior_it_is_the_softmax(values):
    known = np.exp(values) / np.exp(values).sum(1, keepdims=True)
    assert np.allclose(phrases.probabilities(values), known)


def test_two_priors_are_averaged_as_probabilities():
    priors = [np.log(np.array([0.8, 0.2])), np.log(np.array([0.4, 0.6]))]
    found = phrases.probabilities(np.log(np.array([[0.6, 0.4]])), priors)
    assert np.allclose(found, 0.5)


def test_race_times_both_and_compares_them():
    race = phrases.race(lambda: np.zeros((1, 2)), lambda: np.full((1, 2), 0.5), repeats=2)
    assert race.difference == 0.5
    assert race.ratio == race.whole / race.shared


@pytest.mark.parametrize("label", COMPOUNDS)
def test_every_label_is_read_in_every_form(label):
    one, two = components(label)
    forms = [
        label,
        f"The expression is {label.upper()}!",
        f"{NOUNS[one]} and {NOUNS[two]}",
        f"She looks both {two} and {one}.",
    ]
    assert [phrases.parse(form) for form in forms] == [label] * len(forms)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a woman in a red coat",
        "happy",  # one emotion
        "happy and angry",  # no such compound
        "happy, sad and surprised",
        "not happily surprised",
        "surprised rather than sad",
        "She doesn’t look sadly angry",
        "unhappily surprised",
    ],
)
def test_what_names_no_compound_is_unparsed(text):
    assert phrases.parse(text) == phrases.UNPARSED


def test_settings_are_read_from_options():
    found = Settings.parse({"load": "8bit", "batch": "3", "calibrate": "both", "template": "units"})
    assert (found.load, found.batch, found.calibrate, found.template) == (
        "8bit",
        3,
        "both",
        "units",
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"load": "7bit"}, "load must be one of auto, fp32, bf16, 8bit, 4bit; got '7bit'"),
        ({"batch": "0"}, "batch must be at least 1; got 0"),
        ({"batch": "many"}, "batch must be a whole number; got 'many'"),
        ({"template": "poem"}, "template must be one of plain, region, units; got 'poem'"),
        ({"speed": "9"}, "Unknown option 'speed'"),
    ],
)
def test_settings_refuse_what_they_do_not_know(options, reason):
    with pytest.raises(ValueError, match=reason):
        Settings.parse(options)
