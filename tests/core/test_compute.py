"""Work spread over threads or done ahead comes back in order, and softmax is SciPy's."""

import threading

import numpy as np
import pytest
from scipy import special

from ferce.core.compute import ahead, cores, log_softmax, softmax, spread


@pytest.mark.parametrize("count", [0, 1, 2, 5, 40])
@pytest.mark.parametrize("threads", ["1", "3"])
def test_pieces_come_back_in_order(monkeypatch, count, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert cores() == int(threads)
    parts = spread(list, range(count), most=4)
    assert [item for part in parts for item in part] == list(range(count))
    assert max(map(len, parts)) <= 4


def test_one_thread_stays_where_it_is(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    here = threading.get_ident()
    assert spread(lambda _: threading.get_ident(), range(9), most=2) == [here] * 5


def test_softmax_is_that_of_scipy():
    scores = np.random.default_rng(0).normal(size=(5, 7)) * 300
    np.testing.assert_allclose(softmax(scores), special.softmax(scores, 1), atol=1e-12)
    np.testing.assert_allclose(log_softmax(scores), special.log_softmax(scores, 1), atol=1e-9)
    assert softmax(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_items_made_ahead_come_in_order_and_errors_where_they_arose(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert list(ahead(iter(()))) == []
    assert list(ahead(iter(range(9)))) == list(range(9))

    def broken():
        yield 1
        raise ValueError("the second")

    made = ahead(broken())
    assert next(made) == 1
    with pytest.raises(ValueError, match="the second"):
        next(made)


def test_few_items_are_made_ahead_and_none_after_the_end(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    made, places = [], set()

    def items():
        for number in range(100):
            made.append(number)
            places.add(threading.get_ident())
            yield number

    taken = ahead(items(), most=2)
    assert [next(taken) for _ in range(5)] == list(range(5))
    taken.close()
    count = len(made)
    assert 5 <= count <= 5 + 2 + 1
    assert places.isdisjoint({threading.get_ident()})
    assert not any(thread.name.startswith("ferce-ahead") for thread in threading.enumerate())
    assert len(made) == count
