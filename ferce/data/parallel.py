"""Work on a stream in several processes, in order, holding only a window of it in memory."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
WINDOW = 4  # items in flight a process


def ordered_map(work: Callable[[A], B], items: Iterable[A], jobs: int = 1) -> Iterator[tuple[A, B]]:
    """Each item with its result, in the order of the items.

    The item is the very one given, not a copy that went to another process.

    Args:
        work: a function of a module, or a partial of one, so that it can travel.
        items: may be endless; at most `jobs * WINDOW` of them are held.
        jobs: processes; 1 works here, without another process.

    Raises:
        ValueError: fewer than one process was asked for.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1; got {jobs}")
    if jobs == 1:
        for item in items:
            yield item, work(item)
        return
    # Spawned, not forked: MediaPipe and OpenCV hold threads that a fork would break.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting: deque[tuple[A, Future[B]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) >= jobs * WINDOW:
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)
        finally:
            for _, future in waiting:
                future.cancel()


def _next(waiting: deque[tuple[A, Future[B]]]) -> tuple[A, B]:
    item, future = waiting.popleft()
    return item, future.result()
