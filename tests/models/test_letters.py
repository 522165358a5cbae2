"""Labels read from single letters: bias cancels, missing ones are bounded, nothing is guessed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ferce.core.labels import COMPOUNDS
from ferce.models.calibration import softmax
from ferce.models.remote import letters
from ferce.models.remote.letters import LETTERS

COUNTS = range(3, 15)
logits = arrays(np.float64, 14, elements=st.floats(-4, 4))


def tops(evidence, bias, count, listed=14):
    """What a model with additive evidence and letter bias would list, one list an order."""
    found = []
    for order in letters.orders(count):
        p = softmax((evidence[order] + bias)[None])[0]
        best = np.argsort(-p)[:listed]
        found.append([(LETTERS[i], math.log(p[i])) for i in best])
    return found


@pytest.mark.parametrize("count", COUNTS)
def test_each_order_shows_each_label_once_and_no_label_twice_at_a_letter(count):
    shown = letters.orders(count)
    assert shown.shape == (count, 14)
    assert (np.sort(shown, axis=1) == np.arange(14)).all()
    assert all(len(set(column)) == count for column in shown.T)


def test_two_letters_share_at_most_one_label_in_four_orders():
    shown = letters.orders(4)
    assert max(len(set(shown[:, a]) & set(shown[:, b])) for a in range(14) for b in range(a)) == 1


@settings(max_examples=60, deadline=None)
@given(logits, logits, st.sampled_from(COUNTS))
def test_any_letter_bias_cancels(evidence, bias, count):
    found = letters.probabilities(tops(evidence, bias, count))
    assert found == pytest.approx(softmax(evidence[None])[0], abs=1e-5)
    assert found.sum() == pytest.approx(1)


def test_the_fourteen_orders_agree_with_the_plain_mean():
    rng = np.random.default_rng(0)
    logs = np.log(rng.dirichlet(np.ones(14), 14))
    shown = letters.orders(14)
    mean = np.zeros(14)
    np.add.at(mean, shown.ravel(), logs.ravel() / 14)
    fitted = letters.evidence(logs)
    assert fitted - fitted.mean() == pytest.approx(mean - mean.mean(), abs=1e-9)


def test_a_single_order_is_refused():
    for count in (1, 2, 15):
        with pytest.raises(ValueError, match=r"must lie in 3\.\.14"):
            letters.orders(count)


@pytest.mark.parametrize(
    "token", ["B", " B", "B.", "(B", "B)", "**B", "Ġ" + "B", "▁B", '"B"', "\nB"]
)
def test_tokens_that_name_a_letter(token):
    assert letters.letter_of(token) == "B"


@pytest.mark.parametrize("token", ["b", " a", "Be", "O", "Z", "1", "", ".", "<think>", "AB", "А"])
def test_tokens_that_name_none(token):  # the last one is Cyrillic
    assert letters.letter_of(token) is None


def test_ways_to_write_a_letter_add_up():
    found = letters.shares([("A", math.log(0.5)), (" A", math.log(0.2)), ("The", math.log(0.1))])
    assert found[0] == pytest.approx(0.7)
    assert found[-1] == pytest.approx(0.2)


def test_missing_letters_share_what_is_left():
    flat = [(x, math.log(0.15)) for x in "ABCDE"]  # nine missing share 0.25
    assert np.exp(letters.log_shares(flat))[5:] == pytest.approx(np.full(9, 0.25 / 9))
    steep = [("A", math.log(0.5)), ("B", math.log(0.001))]  # none is above the smallest listed
    assert np.exp(letters.log_shares(steep))[2:] == pytest.approx(np.full(12, 0.001))


def test_nothing_is_ruled_out():
    sure = [("A", 0.0), ("B", -9999.0)]
    assert np.exp(letters.log_shares(sure))[1:] == pytest.approx(np.full(13, letters.FLOOR))


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, 14, elements=st.floats(0.01, 1)), st.integers(1, 14))
def test_bounds_hold(weights, listed):
    p = weights / weights.sum()
    best = np.argsort(-p, kind="stable")[:listed]
    bound = np.exp(letters.log_shares([(LETTERS[i], math.log(p[i])) for i in best]))
    assert bound[best] == pytest.approx(p[best])
    others = np.setdiff1d(np.arange(14), best)
    assert bound[others].sum() == pytest.approx(p[others].sum()) or (
        bound[others] == pytest.approx(p[best].min())
    )


@settings(max_examples=40, deadline=None)
@given(logits, st.floats(1.5, 6), st.integers(0, 13), st.integers(5, 13))
def test_the_best_label_survives_short_lists(noise, lead, best, listed):
    evidence = noise / 4
    evidence[best] = evidence.max() + lead
    found = letters.probabilities(tops(evidence, np.zeros(14), 4, listed))
    assert found.argmax() == best


def test_an_answer_that_is_no_letter_is_refused():
    thinking = [("<think>", math.log(0.98)), ("A", math.log(0.01))]
    with pytest.raises(ValueError, match=r"1% of its first token and begins with '<think>'"):
        letters.probabilities([thinking] * 4)


def test_the_question_lists_all_labels_in_order():
    order = letters.orders(4)[2]
    lines = letters.question(order).splitlines()
    assert [line[3:] for line in lines[1:-1]] == [COMPOUNDS[i] for i in order]
    assert [line[:3] for line in lines[1:-1]] == [f"{letter}. " for letter in LETTERS]
