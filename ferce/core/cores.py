"""Spread work over the cores by threads; for work of libraries that run outside Python's lock."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


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


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="ferce")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # its threads stay with the parent
