"""Softmax in NumPy, and work spread over the cores by threads, or done ahead in one.

SciPy's softmax takes a quarter of a second to import, a tenth of a whole cold run. Threads are for
work of libraries that run outside Python's lock.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
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
    return together([partial(task, piece) for piece in pieces(items, most)])


def pieces(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Cut items into a piece a core, of at most so many; none give one empty piece."""
    size = min(max(-(-len(items) // cores()), 1), most)
    return [items[start : start + size] for start in range(0, len(items), size)] or [items]


def together(tasks: Sequence[Callable[[], R]]) -> list[R]:
    """Do tasks, as many at once as there are cores; the results come in their order.

    They may not call this themselves. The last one is done by the thread that asks.
    """
    if len(tasks) == 1 or cores() == 1:
        return [task() for task in tasks]
    others = [_pool().submit(task) for task in tasks[:-1]]
    last = tasks[-1]()
    return [*(other.result() for other in others), last]


def ahead(items: Iterator[T], most: int = 2) -> Generator[T, None, None]:
    """Make items in a thread of their own, up to `most` before they are asked for.

    They come in order, and errors where they arose. When the generator is closed the thread has
    ended; where there is one core, everything is made when it is asked for.
    """
    if cores() == 1:
        yield from items
        return
    with ThreadPoolExecutor(1, thread_name_prefix="ferce-ahead") as thread:
        waiting = deque[Future[tuple[T, ...]]]()
        try:
            while True:
                while len(waiting) <= most:
                    waiting.append(thread.submit(_next, items))
                made = waiting.popleft().result()
                if not made:
                    return
                yield made[0]
        finally:
            for one in waiting:
                one.cancel()


def _next(items: Iterator[T]) -> tuple[T, ...]:
    """Make the next item; () at the end."""
    for item in items:
        return (item,)
    return ()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="ferce")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # its threads stay with the parent
