"""The decoder on ONNX Runtime: phrases that begin alike, padding, and texts of several lengths."""

import numpy as np
import pytest

from ferce.core.compute import log_softmax
from ferce.models import load_voice
from ferce.models.vlm import decoder
from ferce.models.vlm.decoder import padded


@pytest.fixture(scope="module")
def opened():
    """The packaged decoder."""
    return load_voice("fastvlm-mini", "cpu")._decoder


@pytest.fixture(scope="module")
def begun(opened):
    """Two rows of 6 and 4 words, read; the logits after them, the cache, and their ids."""
    rows = [[2, 300, 301, 302, 303, 304], [2, 500, 501, 502]]
    ids, real = padded(rows)
    logits, cache = opened.read(opened.words[ids], opened.empty(2), real)
    return logits[[0, 1], [5, 3]], cache, rows


def alone(opened, ids):
    """The (T, V) logits after each word of one row, read without a cache or padding."""
    logits, _ = opened.read(opened.words[np.array([ids])], opened.empty(1))
    return logits[0]


def test_phrases_are_scored_as_if_each_was_read_with_the_row_alone(opened, begun):
    last, cache, rows = begun
    phrases = [[40], [40, 41], [40, 41, 42], [43, 41], [40, 44, 2]]
    found = opened.score(last, cache, phrases)
    for n, row in enumerate(rows):
        for k, phrase in enumerate(phrases):
            logs = log_softmax(alone(opened, [*row, *phrase])[len(row) - 1 : -1])
            known = np.mean([logs[i, word] for i, word in enumerate(phrase)])
            assert found[n, k] == pytest.approx(known, abs=1e-4)


def test_one_word_needs_no_pass(opened, begun, monkeypatch):
    last, cache, _ = begun
    monkeypatch.setattr(opened, "read", None)
    found = opened.score(last, cache, [[40], [41]])
    assert np.allclose(found, log_softmax(last)[:, [40, 41]])


def test_each_row_writes_the_likeliest_words_until_its_end(opened, begun, monkeypatch):
    last, cache, rows = begun
    texts = []
    for row in rows:
        text = []
        while len(text) < 9:
            text.append(int(alone(opened, [*row, *text])[-1].argmax()))
        texts.append(text)
    end = next(word for word in texts[0] if word not in texts[1])  # only the first row ends
    monkeypatch.setattr(opened, "end", end)
    found = np.stack([*opened.write(last, cache, 9)], 1)
    length = texts[0].index(end)
    assert found[0].tolist() == [*texts[0][:length], *[end] * (9 - length)]
    assert found[1].tolist() == texts[1]
    assert len([*opened.write(last[:1], cache.rows(np.array([0])), 9)]) == length + 1


def test_an_empty_phrase_is_refused(opened, begun):
    last, cache, _ = begun
    with pytest.raises(ValueError, match="at least one token"):
        opened.score(last, cache, [[1], []])


def test_what_is_padded_or_stands_behind_is_hidden():
    known = np.array([[True, False, True, True], [True, True, True, False]])
    found = decoder._hidden(known, 2) == 0
    assert found[0, 0].tolist() == [[True, False, True, False], [True, False, True, True]]
    assert found[1, 0].tolist() == [[True, True, True, False], [True, True, True, False]]
