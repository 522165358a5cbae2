"""Work spread over threads comes back in order, and softmax is SciPy's."""

import platform
import subprocess
import sys
import threading

import numpy as np
import pytest
from scipy import special

from ferce.core.compute import cores, log_softmax, share_heaps, softmax, spread


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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps of threads")
def test_threads_share_heaps_unless_the_user_says_otherwise(monkeypatch):
    asked = "from ferce.core.compute import share_heaps; print(share_heaps())"
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert subprocess.check_output([sys.executable, "-c", asked], text=True) == "True\n"
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not share_heaps()
