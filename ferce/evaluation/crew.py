"""The processes of a run, as `accelerate launch` or `torchrun` start them, and this one's part."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Self, TypeVar

T = TypeVar("T")
PATIENCE = timedelta(days=2)  # one process may work for long while the others wait


@dataclass(frozen=True)
class Crew:
    """This process is number `rank` of `world`; `state` is Accelerate's, None for one alone."""

    rank: int = 0
    world: int = 1
    state: Any = None

    @classmethod
    def join(cls, device: str) -> Self:
        """The crew that the environment tells of; alone without one."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        from accelerate import PartialState

        state = PartialState(cpu=device == "cpu", timeout=PATIENCE)
        return cls(state.process_index, state.num_processes, state)

    @property
    def first(self) -> bool:
        """Whether this process writes what there is once."""
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """This process's device: of several GPUs its own."""
        if self.state is None or wanted != "auto":
            return wanted
        return str(self.state.device)

    def gather(self, value: T) -> list[T]:
        """The value of every process, in their order; all must call it, and wait for each other."""
        if self.state is None:
            return [value]
        from accelerate.utils import gather_object

        return list(gather_object([value]))

    def shards(self, items: Iterable[T], size: int) -> Iterator[tuple[int, list[T]]]:
        """This process's pieces of `size` items, each with its number; the last may be shorter."""
        stream, number = iter(items), 0
        while piece := list(islice(stream, size)):
            if number % self.world == self.rank:
                yield number, piece
            number += 1
