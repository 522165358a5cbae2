"""Kill -9 at random moments and go on, until a program was killed so often as asked.

`FERCE_KILLS=20 python -m pytest -m slow tests/robustness/test_kills.py` is the long campaign.
"""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from patience import PROGRAM, until
from safetensors import safe_open

KILLS = int(os.environ.get("FERCE_KILLS", "3"))
ROOT = Path(__file__).resolve().parents[2]
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
    """The same job by two processes of torchrun."""
    expect(folder)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = [sys.executable, *launch, str(JOBS), job, str(folder), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """A program to be killed.

    Attributes:
        start: begins it in a folder, or goes on there; gives the process, leader of its session.
        check: looks at a folder after each kill for what is half.
        same: compares the folder of a run that came to its end with an unbroken one.
        begun: whether a run in the folder does more by now than importing; its clock starts then.
    """

    start: Callable[[Path], "Forked | subprocess.Popen[bytes]"]
    check: Callable[[Path], None]
    same: Callable[[Path], None]
    begun: Callable[[Path], object] = lambda folder: sign(folder).exists()


def campaign(trial, place, whole, kills=KILLS, seed=0):
    """Kill a program so often; prints how long it runs, and after how many seconds it was killed.

    Args:
        trial: the program.
        place: folder for its runs.
        whole: folder that an unbroken run fills first.
    """
    seconds, moments = _unbroken(trial, whole), []
    trial.check(whole)
    rng, number = random.Random(seed), 0
    while len(moments) < kills:
        moment = rng.uniform(0, seconds)
        folder = place / str(number)
        if _killed(trial, folder, moment):
            moments.append(moment)
        else:
            trial.same(folder)
            number += 1
        trial.check(folder)
    folder = place / str(number)
    assert not _killed(trial, folder, PROGRAM)
    trial.check(folder)
    trial.same(folder)
    told = ", ".join(f"{moment:.2f}" for moment in moments)
    print(
        f"\n{kills} kills of {seconds:.1f} s, {number + 1} runs ended alike; killed after {told} s"
    )


def _unbroken(trial, whole):
    process = trial.start(whole)
    until(lambda: process.poll() is not None or trial.begun(whole), "begin of the run")
    begun = time.monotonic()
    until(lambda: process.poll() is not None, "end of the run")
    assert process.poll() == 0
    return time.monotonic() - begun


def _killed(trial, folder, moment):
    """Whether a run was killed so many seconds after it began; False where it came to its end."""
    process = trial.start(folder)
    until(lambda: process.poll() is not None or trial.begun(folder), "begin of the run")
    end = time.monotonic() + moment
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.003)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        until(lambda: process.poll() is not None, "death of the run")
        return True
    assert process.poll() == 0, f"the run in {folder} failed with {process.poll()}"
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
