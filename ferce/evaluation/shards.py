"""The table of pictures in pieces, which several processes fill and a killed run goes on with.

`shards/00012.csv` holds the pictures 12 * SIZE and following of the split, whoever measured them;
when all are whole, the first process joins them in `images.csv`. Memory does not grow with the
data.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ferce.core.launcher import end_with_launcher
from ferce.core.protocols import Classifier
from ferce.core.types import Face, Scores
from ferce.data.record import Row
from ferce.evaluation import pictures
from ferce.evaluation.plan import EvaluationError, Plan, Table, Tools, rows_of

if TYPE_CHECKING:
    from accelerate import PartialState

T = TypeVar("T")
PATIENCE = timedelta(days=2)  # one process may work for long while the others wait


@dataclass(frozen=True)
class Distributed:
    """The processes of a run: this is number `rank` of `world`; `state` is Accelerate's or None."""

    rank: int = 0
    world: int = 1
    state: "PartialState | None" = None

    @classmethod
    def join(cls, device: str) -> Self:
        """Join the processes that the environment names; alone without any."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        end_with_launcher()
        from accelerate import PartialState

        state = PartialState(cpu=device == "cpu", timeout=PATIENCE)
        return cls(state.process_index, state.num_processes, state)

    @property
    def first(self) -> bool:
        """Whether this process writes what there is once."""
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """Choose this process's device: of several GPUs its own."""
        if self.state is None or wanted != "auto":
            return wanted
        return str(self.state.device)

    def gather(self, value: T) -> list[T]:
        """Gather the value of every process, in order; all must call it and wait."""
        if self.state is None:
            return [value]
        from accelerate.utils import gather_object

        return list(gather_object([value]))

    def shards(self, items: Iterable[T], size: int) -> Iterator[tuple[int, list[T]]]:
        """Split items into pieces of `size` and yield this process's, each with its number."""
        stream, number = iter(items), 0
        while piece := list(islice(stream, size)):
            if number % self.world == self.rank:
                yield number, piece
            number += 1


FOLDER = "shards"
SIZE = 256  # pictures


@dataclass
class TimedClassifier:
    """A classifier that counts the faces it scores, and the seconds that it takes."""

    classifier: Classifier
    faces: int = 0
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The classifier's."""
        return self.classifier.name

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces and count the time."""
        start = time.perf_counter()
        scores = self.classifier.scores(faces)
        self.seconds += time.perf_counter() - start
        self.faces += len(faces)
        return scores


def measure(
    plan: Plan,
    timed: TimedClassifier,
    folder: Path,
    tools: Tools,
    distributed: Distributed,
    count: int,
) -> None:
    """Measure this process's shards of the split; what they hold already is kept.

    Args:
        plan: what is measured.
        timed: the classifier.
        folder: of the evaluation.
        tools: cache and progress bars.
        distributed: whose part this is.
        count: pictures of the split.

    Raises:
        EvaluationError: a shard holds other pictures than the data has there.
    """
    with _bar(plan, tools, distributed, count) as bar:
        quiet = Tools(tools.cache, tools.jobs, shown=False)
        for number, rows in distributed.shards(rows_of(plan.data, plan.split), SIZE):
            table = Table(_path(folder, number), pictures.COLUMNS)
            _require_same(table, rows)
            pictures.fill(table, _noted(rows, bar.update), plan, timed, quiet)


def join(folder: Path, count: int) -> Table:
    """Join all shards in one table, in order; `count` is the number of pictures.

    Raises:
        EvaluationError: a shard is missing or not whole.
    """
    path = folder / pictures.FILE
    path.unlink(missing_ok=True)
    whole = Table(path, pictures.COLUMNS)
    for number in range(-(-count // SIZE)):
        shard = Table(_path(folder, number), pictures.COLUMNS)
        rows, wanted = list(shard.rows()), min(SIZE, count - number * SIZE)
        if len(rows) != wanted:
            raise EvaluationError(
                f"{shard.path} has {len(rows)} pictures of {wanted}: run the same command again."
            )
        whole.append(rows)
    return whole


def _path(folder: Path, number: int) -> Path:
    return folder / FOLDER / f"{number:05d}.csv"


def _require_same(table: Table, rows: Sequence[Row]) -> None:
    if odd := sorted(set(table.done()) - {row.name for row in rows}):
        raise EvaluationError(
            f"{table.path} holds {odd[0]}, which the data does not have there: the data changed; "
            "start afresh (--fresh)."
        )


def _noted(rows: Sequence[T], note: Callable[[], object]) -> Iterator[T]:
    for row in rows:
        yield row
        note()


def _bar(plan: Plan, tools: Tools, distributed: Distributed, count: int) -> Any:
    from tqdm.auto import tqdm

    return tqdm(
        desc=f"{plan.model} [{distributed.rank + 1}/{distributed.world}]"
        if distributed.world > 1
        else plan.model,
        total=count // distributed.world,
        disable=not tools.shown,
        unit="face",
        position=distributed.rank,
        delay=1.0,
    )
