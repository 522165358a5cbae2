"""Passes that fit into a GPU's memory: where one does not, smaller ones are made and said."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from ferce.core.types import ReadingError

FULL = (
    "The GPU's memory does not hold this model and one face; end what else uses it, load the model "
    "smaller (?load=8bit), or use the CPU (FERCE_DEVICE=cpu)."
)
T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger(__name__)


def passes(work: Callable[[Sequence[T]], R], items: Sequence[T], size: int) -> Iterator[R]:
    """Give the result of `work` on at most `size` items after the other.

    Raises:
        ReadingError: the memory does not hold one item.
    """
    start = 0
    while start < len(items):
        part = items[start : start + size]
        try:
            made = work(part)
        except torch.OutOfMemoryError as error:
            if len(part) == 1:
                raise ReadingError(FULL) from error
            size = len(part) // 2
            _log.warning("The GPU's memory is too small for %d at once; now %d.", len(part), size)
            torch.cuda.empty_cache()
            continue
        yield made
        start += len(part)
