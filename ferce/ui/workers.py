"""Who reads the photos of a run: this process, or several others with models of their own."""

import multiprocessing
import os
import signal
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ferce.core.parts import Report
from ferce.ui import command
from ferce.ui.command import SIGNALS, Interruption
from ferce.ui.journal import Row, stamp_of
from ferce.ui.options import UsageError

if TYPE_CHECKING:
    from ferce.reading.pipeline import Options, Reader

LEAVE = 5.0  # seconds in which an idle worker ends by itself


@dataclass(frozen=True)
class Task:
    """One photo to read: its place in the run, its path, and whether its pictures may be shown."""

    index: int
    path: Path
    draw: bool


Take = Callable[[], Task | None]
Done = list[tuple[Task, Row]]


@dataclass(frozen=True)
class Recipe:
    """How photos are read.

    Attributes:
        load: makes the reader of the arguments; a function that can go to another process.
        arguments: of the command line.
        options: of each reading.
        formats: whose entries are wanted.
    """

    load: "Callable[[Namespace], Reader]"
    arguments: Namespace
    options: "Options"
    formats: tuple[str, ...]

    def read(self, reader: "Reader", task: Task) -> Row:
        """Read a photo to a row; a fault of ours costs one photo, not the run, and says so."""
        name, stamp = str(task.path), stamp_of(task.path)
        try:
            report = reader.read(task.path, name=name, options=self.options)
            return self._row(report, task, stamp)
        except Exception as error:
            fault = f"A fault in ferce kept it from being read ({type(error).__name__}: {error})."
            return self._row(Report(name, error=fault), task, stamp)

    def lost(self, task: Task, reason: str) -> Row:
        """Make the row of a photo whose worker has ended."""
        return self._row(Report(str(task.path), error=reason), task, None)

    def _row(self, report: Report, task: Task, stamp: tuple[int, int] | None) -> Row:
        made = command.entries(report, self.formats, draw=task.draw)
        row = Row(report.photo, stamp, report.error, len(report.readings), made)
        row.to_line()  # raises for what JSON cannot hold
        return row


class Alone:
    """Reads here, one photo at a time."""

    def __init__(self, recipe: Recipe, interruption: Interruption) -> None:
        """Load the models."""
        self._recipe, self._interruption = recipe, interruption
        with interruption.breaking():
            self._reader = recipe.load(recipe.arguments)

    @property
    def models(self) -> Mapping[str, str]:
        """Role -> spec."""
        return self._reader.models

    def __enter__(self) -> Self:
        self._reader.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._reader.__exit__(*raised)

    def step(self, take: Take) -> Done:
        """Read one photo, if there is one to take."""
        task = take()
        if task is None:
            return []
        with self._interruption.breaking():
            row = self._recipe.read(self._reader, task)
        return [(task, row)]


@dataclass(eq=False)
class _Worker:
    """A process, our end of the pipe to it, whether its models are loaded, and what it reads."""

    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    task: Task | None = None

    @property
    def end(self) -> str:
        """How the process ended."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"with signal {-code}" if code < 0 else f"with status {code}"


class Workers:
    """Reads in several processes, each with its own models; one that dies is replaced.

    On a GPU they share it.
    """

    def __init__(self, recipe: Recipe, interruption: Interruption, jobs: int) -> None:
        """Start them, and wait until the first has loaded its models.

        Raises:
            UsageError: the models cannot be had.
        """
        self._recipe, self._interruption = recipe, interruption
        self._threads = max((os.cpu_count() or 1) // jobs, 1)
        self.models: dict[str, str] = {}
        self._workers: list[_Worker] = []
        try:
            self._workers += [self._started() for _ in range(jobs)]
            while not self.models:
                self._listen()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End them: the idle ones by themselves, those that load or read at once."""
        for worker in self._workers:
            if worker.task is not None or not worker.ready:
                worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(LEAVE)
            worker.process.kill()
            worker.process.join()

    def step(self, take: Take) -> Done:
        """Give the idle ones something to read, and wait until something was read."""
        for worker in self._workers:
            if worker.ready and worker.task is None and (task := take()) is not None:
                worker.task = task
                self._give(worker, task)
        if all(worker.ready and worker.task is None for worker in self._workers):
            return []
        return self._listen()

    def _give(self, worker: _Worker, task: Task) -> None:
        try:
            worker.pipe.send(task)
        except OSError:  # it has died since; its end of the pipe tells
            return

    def _listen(self) -> Done:
        """Wait for the next messages; gives what was read."""
        pipes = {worker.pipe: worker for worker in self._workers}
        with self._interruption.breaking():
            heard = wait(list(pipes))
        return [done for pipe in heard for done in self._hear(pipes[pipe])]  # type: ignore[index]

    def _hear(self, worker: _Worker) -> Iterator[tuple[Task, Row]]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._replace(worker)
            return
        if isinstance(message, Row):
            assert worker.task is not None, "a worker answers to a task"
            task, worker.task = worker.task, None
            yield task, message
        elif isinstance(message, str):
            raise UsageError(message)
        else:
            worker.ready, self.models = True, message

    def _replace(self, worker: _Worker) -> Iterator[tuple[Task, Row]]:
        """Start another for one that has died, and say what became of its photo."""
        reason = f"ended {worker.end}, perhaps for want of memory"
        if not worker.ready:
            raise UsageError(f"A process {reason} while it loaded the models; give fewer --jobs.")
        worker.pipe.close()
        self._workers[self._workers.index(worker)] = self._started()
        if worker.task is not None:
            yield worker.task, self._recipe.lost(worker.task, f"The process that read it {reason}.")

    def _started(self) -> _Worker:
        # Spawned, not forked: MediaPipe and OpenCV hold threads that a fork would break.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self._recipe, theirs), daemon=True)
        with _threads(self._threads):
            process.start()
        theirs.close()  # so that its death ends the pipe
        return _Worker(process, ours)


def _work(recipe: Recipe, pipe: Connection) -> None:
    """Load the models in a worker, then read what comes until the pipe ends."""
    for number in SIGNALS:  # the first process decides
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        reader = recipe.load(recipe.arguments)
    except Exception as error:
        pipe.send(str(error) or repr(error))
        return
    with reader:
        pipe.send(dict(reader.models))
        while True:
            try:
                task = pipe.recv()
                pipe.send(recipe.read(reader, task))
            except (EOFError, OSError):
                return


def _leave_with_parent() -> None:
    """End at once when the first process is killed, whatever is being read."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker was started by somebody"
    parent.join()
    os._exit(1)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Limit the arithmetic threads of processes started within, unless the user says otherwise.

    Several that use all cores each would wait for one another.
    """
    name = "OMP_NUM_THREADS"
    if name in os.environ:
        yield
        return
    os.environ[name] = str(count)
    try:
        yield
    finally:
        del os.environ[name]
