"""Many visitors at once: how long each kind of request takes, what fails, how memory grows."""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradio_client import Client

ROOT = Path(__file__).resolve().parents[2]
START = 600.0  # seconds that the page and its models may take
PATIENCE = 600.0  # seconds for one answer
_KINDS = ("read", "ask", "compare", "batch")


@dataclass
class Crowd:
    """What the visitors met.

    Attributes:
        clients: at the same time.
        seconds: that they came for.
        took: kind of request -> seconds of each answer.
        errors: what was said in place of an answer -> how often.
        each: answers of each client.
        memory: of the server in megabytes: when all had been answered once, and at the end.
    """

    clients: int
    seconds: float
    took: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    each: Counter[int] = field(default_factory=Counter)
    memory: tuple[float, float] = (0.0, 0.0)

    def table(self) -> str:
        """Lay the figures out as Markdown."""
        lines = ["| request | answers | p50 s | p95 s |", "|---|--:|--:|--:|"]
        for kind, values in sorted(self.took.items()):
            p50, p95 = (_percentile(values, share) for share in (0.5, 0.95))
            lines.append(f"| {kind} | {len(values)} | {p50:.2f} | {p95:.2f} |")
        answers = sum(self.each.values())
        growth = self.memory[1] / self.memory[0] - 1
        lines.append(
            f"\n{self.clients} clients, {self.seconds:.0f} s: {answers} answers, "
            f"{answers / self.seconds:.2f} a second, {min(self.each.values())} to "
            f"{max(self.each.values())} a client; {sum(self.errors.values())} errors; memory "
            f"{self.memory[0]:.0f} MB, then {self.memory[1]:.0f} MB ({growth:+.1%})"
        )
        return "\n".join([*lines, *(f"error: {words} ({n})" for words, n in self.errors.items())])


def measure(photo: Path, clients: int, seconds: float, kinds: Sequence[str] = _KINDS) -> Crowd:
    """Let so many clients ask the default app, each one thing after the other.

    Args:
        photo: that they send.
        clients: each begins with another kind of request.
        seconds: after which no new request begins.
        kinds: of requests, of "read", "ask", "compare" and "batch".
    """
    made = Crowd(clients, seconds)
    with served() as (url, pid):
        for kind in kinds:  # so that the models are there
            ASK[kind](_connected(url), photo)
        threads = [
            threading.Thread(target=_visit, args=(made, url, number, kinds, photo))
            for number in range(clients)
        ]
        end = time.monotonic() + seconds
        for thread in threads:
            thread.start()
        first = 0.0
        while time.monotonic() < end:
            time.sleep(0.2)
            if not first and len(made.each) == clients and min(made.each.values()) > 0:
                first = resident(pid)
        for thread in threads:
            thread.join()
        made.seconds = seconds + time.monotonic() - end
        made.memory = (first or resident(pid), resident(pid))
    return made


def _visit(made: Crowd, url: str, number: int, kinds: Sequence[str], photo: Path) -> None:
    client, begun, turn = _connected(url), time.monotonic(), number
    while time.monotonic() - begun < made.seconds:
        kind, start = kinds[turn % len(kinds)], time.monotonic()
        turn += 1
        try:
            problem = _problem(ASK[kind](client, photo))
        except Exception as error:  # whatever comes in place of an answer is counted
            problem = f"{type(error).__name__}: {error}"
        if problem:
            made.errors[f"{kind}: {problem:.100}"] += 1
        made.took.setdefault(kind, []).append(time.monotonic() - start)
        made.each[number] += 1


def _connected(url: str) -> "Client":
    from gradio_client import Client

    return Client(url, verbose=False, httpx_kwargs={"timeout": PATIENCE})


def _read(client: "Client", photo: Path) -> Any:
    from gradio_client import handle_file

    return client.predict(handle_file(str(photo)), api_name="/read")


def _ask(client: "Client", photo: Path) -> Any:
    from gradio_client import handle_file

    question = "Are the brows raised?"
    return client.predict(handle_file(str(photo)), question, api_name="/ask")


def _compare(client: "Client", photo: Path) -> Any:
    from gradio_client import handle_file

    return client.predict(handle_file(str(photo)), "prototypes", api_name="/compare")


def _batch(client: "Client", photo: Path) -> Any:
    from gradio_client import handle_file

    return client.predict([handle_file(str(photo))] * 2, api_name="/batch")


ASK: dict[str, Callable[["Client", Path], Any]] = {
    "read": _read,
    "ask": _ask,
    "compare": _compare,
    "batch": _batch,
}


def _problem(answer: Any) -> str:
    """What an answer says in place of readings; "" where it is one."""
    if not isinstance(answer, dict):
        return f"no answer but {type(answer).__name__}"
    rows = [answer, *answer.get("models", ()), *answer.get("photos", ())]
    return next((str(row["error"]) for row in rows if isinstance(row, dict) and "error" in row), "")


def in_a_row(photo: Path, count: int) -> tuple[float, list[float]]:
    """Read one photo so often in this process; seconds of a reading, and memory along the way.

    Args:
        photo: with a face.
        count: of readings; memory in megabytes is looked at after each tenth of them.
    """
    import ferce

    memory, step = [], max(count // 10, 1)
    with ferce.Reader() as reader:
        reader.read(photo)
        start = time.monotonic()
        for number in range(1, count + 1):
            reader.read(photo)
            if number % step == 0:
                memory.append(resident(os.getpid()))
        return (time.monotonic() - start) / count, memory


@contextmanager
def served() -> Iterator[tuple[str, int]]:
    """Serve the default app on a free port, ready to read; gives its address and process."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as uploads:
        settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": uploads}
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py")], cwd=ROOT, env=os.environ | settings,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process)
            yield url, process.pid
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    from ferce.evaluation.served import answers

    end = time.monotonic() + START
    while not answers(url + "/"):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("The app ended before it answered.")
        time.sleep(0.2)


def resident(pid: int) -> float:
    """Memory of a process in megabytes, as Linux counts it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _percentile(values: Sequence[float], share: float) -> float:
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]
