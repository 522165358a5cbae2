"""Softmax in NumPy, work spread over the cores by threads, and the heaps that threads share.

SciPy's softmax takes a quarter of a second to import, a tenth of a whole cold run. Threads are for
work of libraries that run outside Python's lock.
"""

import ctypes
import os
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
R = TypeVar("R")


def softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn (..., K) scores into probabilities along the last axis."""
    return np.asarray(np.exp(log_softmax(scores)))


def log_softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn (..., K) scores into log-probabilities along the last axis."""
    shifted = np.asarray(scores, np.float64) - np.max(scores, -1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def cores() -> int:
    """Count the threads to use: `OMP_NUM_THREADS`, as other libraries do, or the cores we have."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(task: Callable[[Sequence[T]], R], items: Sequence[T], most: int = 16) -> list[R]:
    """Do a task on pieces of the items, in order, as many at once as there are cores.

    Args:
        task: takes a piece; may not spread work itself.
        items: none give one empty piece.
        most: items of a piece.
    """
    size = min(max(-(-len(items) // cores()), 1), most)
    pieces = [items[start : start + size] for start in range(0, len(items), size)] or [items]
    if len(pieces) == 1 or cores() == 1:
        return [task(piece) for piece in pieces]
    return list(_pool().map(task, pieces))


_ARENAS = -8  # M_ARENA_MAX of malloc.h


def share_heaps(most: int = 2) -> bool:
    """Let all threads share so many of glibc's heaps; call it before there are threads.

    By default each of a server's threads may get one of its own, and memory grows until every heap
    has had its largest task. MALLOC_ARENA_MAX in the environment stays in force.

    Returns:
        Whether the number was set; False elsewhere than on glibc.
    """
    if platform.libc_ver()[0] != "glibc" or "MALLOC_ARENA_MAX" in os.environ:
        return False
    return bool(ctypes.CDLL(None).mallopt(_ARENAS, most))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="ferce")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # its threads stay with the parent
