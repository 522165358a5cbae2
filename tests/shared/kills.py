"""Kill -9 at random moments and go on, until a program was killed so often as asked.

`FERCE_KILLS=20 python -m pytest -m slow tests/robustness/test_kills.py` is the long campaign.
"""

import contextlib
import json
import math
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from patience import until
from safetensors import safe_open

KILLS = int(os.environ.get("FERCE_KILLS", "3"))
ROOT = Path(__file__).resolve().parents[2]
LOOK = 0.005  # seconds between two looks at a run
FEW = max(KILLS // 4, 3)  # kills of what takes long to start
JOBS = Path(__file__).with_name("kill_jobs.py")


class Forked:
    """A job of `kill_jobs` in a process of its own, in which the libraries are imported already."""

    def __init__(self, job, folder, *arguments):
        expect(folder)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["kill_jobs"])
        self.process = context.Process(target=_alone, args=(job, folder, *arguments))
        self.process.start()
        self.pid = self.process.pid

    def poll(self):
        self.process.join(0)
        return self.process.exitcode


def _alone(job, *arguments):
    os.setsid()  # so that what it starts dies with it
    import kill_jobs

    kill_jobs.do(job, *arguments)


def expect(folder):
    """Make the place for a job's folder, without a sign of an earlier run."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    sign(folder).unlink(missing_ok=True)


def sign(folder):
    """Is there once a job in the folder has begun."""
    return folder.with_name(f"{folder.name}.begun")


def together(job, folder, *arguments):
    """The same job by two processes of torchrun; `FOLDER.log` holds what they say."""
    expect(folder)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = [sys.executable, *launch, str(JOBS), job, str(folder), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with folder.with_name(f"{folder.name}.log").open("w") as log:
        return subprocess.Popen(
            words, cwd=ROOT, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip


ALL, LAUNCHER, RANKS = "all", "launcher", ("0", "1")


def state(folder):
    """Path -> size and time of each file in a folder."""
    files = {}
    for place, _, names in os.walk(folder):  # passes over what goes away meanwhile
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118 - looked at hundreds of times a second
            with contextlib.suppress(OSError):
                made = os.stat(path)  # noqa: PTH116
                files[path] = made.st_size, made.st_mtime_ns
    return files


@dataclass(frozen=True)
class Trial:
    """A program to be killed.

    Attributes:
        start: begins it in a folder, or goes on there; gives the process, leader of its session.
        check: looks at a folder after each kill for what is half.
        same: compares the folder of a run that came to its end with an unbroken one.
        begun: whether a run in the folder does more by now than importing; its clock starts then.
        state: of a folder; changes with whatever a run writes.
        killed: what is killed by turns: all of a run's processes, its launcher, or one of several.
    """

    start: Callable[[Path], "Forked | subprocess.Popen[bytes]"]
    check: Callable[[Path], None]
    same: Callable[[Path], None]
    begun: Callable[[Path], object] = lambda folder: sign(folder).exists()
    state: Callable[[Path], object] = state
    killed: tuple[str, ...] = (ALL,)


@dataclass
class Watch:
    """Seconds since a run in a folder began, and how often its state has changed."""

    trial: Trial
    folder: Path
    begun: float
    changes: int = 0
    last: object = None

    def look(self, count=True):
        """The seconds; changes since the last look are one."""
        if count:
            now = self.trial.state(self.folder)
            self.changes += now != self.last
            self.last = now
        return time.monotonic() - self.begun


def campaign(trial, place, whole, kills=KILLS, seed=0):
    """Kill a program so often, by turns at a random time and at a random change of its files.

    Prints how long it runs, and when it was killed.

    Args:
        trial: the program.
        place: folder for its runs.
        whole: folder that an unbroken run fills first.
        kills: how often.
        seed: of the moments.
    """
    seconds, changes = _unbroken(trial, whole)
    trial.check(whole)
    rng, number, tries, moments = random.Random(seed), 0, 0, []
    while len(moments) < kills:
        tries = tries % 4 + 1  # what goes on has less and less left; but some begin anew
        clock, change = rng.uniform(0, seconds / tries), rng.randint(1, -(-changes // tries))
        moment = (clock, math.inf) if len(moments) % 2 else (math.inf, change)
        folder, victim = place / str(number), trial.killed[len(moments) % len(trial.killed)]
        if (words := _killed(trial, folder, moment, victim)) is not None:
            moments.append(words)
        else:
            trial.same(folder)
            number, tries = number + 1, 0
        trial.check(folder)
    folder = place / str(number)
    assert _killed(trial, folder, (math.inf, math.inf), ALL) is None
    trial.check(folder)
    trial.same(folder)
    print(
        f"\n{kills} kills of {seconds:.1f} s and {changes} changes of files, {number + 1} runs "
        f"ended alike; killed {'; '.join(moments)}"
    )


def _started(trial, folder):
    process = trial.start(folder)
    until(lambda: process.poll() is not None or trial.begun(folder), "begin of the run")
    return process, Watch(trial, folder, time.monotonic(), last=trial.state(folder))


def _unbroken(trial, whole):
    """Seconds and changes of a run."""
    process, watch = _started(trial, whole)
    while process.poll() is None:
        watch.look()
        time.sleep(LOOK)
    assert process.poll() == 0
    return watch.look(), watch.changes


def _killed(trial, folder, moment, victim):
    """When a run was killed, in words; None where it came to its end.

    `moment` is seconds since it began and changes of its files, of which the first ends it.
    """
    process, watch = _started(trial, folder)
    while process.poll() is None:
        seconds = watch.look(moment[1] < math.inf)
        if seconds >= moment[0]:
            return _kill(process, victim, f"at {seconds:.2f} s")
        if watch.changes >= moment[1]:
            return _kill(process, victim, f"at {seconds:.2f} s, change {watch.changes}")
        time.sleep(LOOK)
    assert process.poll() == 0, f"the run in {folder} failed with {process.poll()}"
    return None


def _kill(process, victim, words):
    """Kill a run or one process of it, and wait until all of it has ended by itself.

    Gives `words`, and what became of the others; None where the run had come to its end.
    """
    family = [psutil.Process(process.pid)]
    with contextlib.suppress(psutil.NoSuchProcess):
        family += family[0].children(recursive=True)
    for one in _victims(family, victim):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    dead = time.monotonic()
    until(lambda: process.poll() is not None, "death of the run")
    if process.poll() == 0:  # it was faster
        return None
    until(lambda: not any(map(_alive, family)), "death of its processes")
    if victim == ALL:
        return words
    who = victim if victim == LAUNCHER else f"process {victim}"
    return f"{words} ({who}; the others ended after {time.monotonic() - dead:.1f} s)"


def _victims(family, victim):
    if victim == ALL:
        return family
    if victim == LAUNCHER:
        return family[:1]
    return [one for one in family[1:] if _rank(one) == victim] or family[:1]


def _rank(process):
    with contextlib.suppress(psutil.Error):
        return process.environ().get("RANK")
    return None


def _alive(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def sound(folder):
    """Every file with a name that counts is whole."""
    for path in folder.rglob("*"):
        if not path.is_file() or any(part.endswith(".part") for part in path.parts):
            continue
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy") as file:
                assert list(file.keys()), path
        elif path.suffix == ".json":
            json.loads(path.read_text("utf-8"))
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert [arrays[name] for name in arrays.files], path
