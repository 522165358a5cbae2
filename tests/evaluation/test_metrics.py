import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from ferce.evaluation import metrics

TRUTH = np.array([0, 0, 1, 1, 2, 2, 2, 0])
GUESS = np.array([0, 1, 1, 1, 2, 0, 2, -1])


def test_known_confusion():
    assert metrics.confusion(TRUTH, GUESS, 3).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 2]]
    assert metrics.accuracy(TRUTH, GUESS) == 5 / 8  # the unparsed answer is wrong


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_agrees_with_scikit_learn(pairs):
    truth, guess = (np.array(column) for column in zip(*pairs, strict=True))
    ours = metrics.macro_f1(truth, guess, 5)
    present = np.union1d(truth, guess)
    theirs = reference.f1_score(truth, guess, average="macro", labels=present, zero_division=0)
    assert ours == pytest.approx(theirs)
    recall = reference.recall_score(
        truth, guess, average="macro", labels=np.unique(truth), zero_division=0
    )
    assert metrics.unweighted_recall(truth, guess, 5) == pytest.approx(recall)


def test_macro_f1_over_some_classes():
    assert metrics.macro_f1(TRUTH, GUESS, 3, np.array([1])) == pytest.approx(0.8)


def test_top_two():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])
    assert metrics.top_k(np.array([1, 0, 2]), probabilities, 2) == pytest.approx(1 / 3)


def test_perfect_calibration_and_its_opposite():
    sure = np.eye(3)[TRUTH]
    assert metrics.calibration_error(TRUTH, sure) == 0
    assert metrics.brier(TRUTH, sure) == 0
    assert metrics.calibration_error((TRUTH + 1) % 3, sure) == 1
    assert metrics.brier((TRUTH + 1) % 3, sure) == 2
    assert metrics.negative_log_likelihood(TRUTH, sure) == 0


def test_temperature_is_recovered():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20000, 5))
    cumulative = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (cumulative.cumsum(1) > rng.random((20000, 1))).argmax(1)
    assert metrics.fit_temperature(truth, logits * 3) == pytest.approx(3, rel=0.05)


def test_conformal_set_covers_new_data():
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(14, 0.3), 4000)
    truth = (probabilities.cumsum(1) > rng.random((4000, 1))).argmax(1)
    found = []
    for _ in range(6):
        fitted, fresh = np.split(rng.permutation(4000), 2)
        mass = metrics.fit_set_mass(truth[fitted], probabilities[fitted])
        found.append(metrics.set_coverage(truth[fresh], probabilities[fresh], mass))
    assert np.mean(found) == pytest.approx(0.9, abs=0.015)
    assert metrics.set_sizes(probabilities, 0.0).max() == 1
    assert metrics.set_sizes(probabilities, 1.0).min() >= 1


def test_the_sets_of_a_sure_model_stay_small():
    probabilities = np.full((200, 14), 0.0001)
    truth = np.arange(200) % 14
    probabilities[np.arange(200), truth] = 1 - 13 * 0.0001
    mass = metrics.fit_set_mass(truth, probabilities)
    assert metrics.set_sizes(probabilities, mass).max() == 1


def test_bootstrap_draws_people_not_pictures():
    """Ten copies of each of 20 people carry no more certainty than the 20 people."""
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 1, 20)
    many, people = np.repeat(scores, 10), np.repeat(np.arange(20), 10)
    wide = metrics.bootstrap(lambda i: many[i].mean(), people)
    narrow = metrics.bootstrap(lambda i: many[i].mean(), np.arange(200))
    single = metrics.bootstrap(lambda i: scores[i].mean(), np.arange(20))
    assert wide.low <= wide.value <= wide.high
    assert (wide.high - wide.low) > 2 * (narrow.high - narrow.low)
    assert (wide.high - wide.low) == pytest.approx(single.high - single.low, rel=0.2)


def test_mcnemar_known_value():
    right_a = np.array([True] * 10 + [False] * 2)
    right_b = np.array([False] * 10 + [True] * 2)
    assert metrics.mcnemar(right_a, right_b) == pytest.approx(0.03857, abs=1e-4)
    assert metrics.mcnemar(right_a, right_a) == 1


def test_paired_difference():
    rng = np.random.default_rng(3)
    hard = rng.random(300)
    a, b = (hard < 0.7).astype(float), (hard < 0.5).astype(float)
    gap = metrics.paired_bootstrap(lambda i: a[i].mean(), lambda i: b[i].mean(), np.arange(300))
    assert gap.value == pytest.approx(a.mean() - b.mean())
    assert gap.low > 0
    assert gap.p < 0.01
    same = metrics.paired_bootstrap(lambda i: a[i].mean(), lambda i: a[i].mean(), np.arange(300))
    assert same.p == 1


def test_auc():
    scores = np.array([0.1, 0.4, 0.35, 0.8])
    assert metrics.auc(scores, np.array([False, False, True, True])) == 0.75
    assert np.isnan(metrics.auc(scores, np.ones(4, bool)))
