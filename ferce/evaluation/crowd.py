"""Many visitors at once: how long each kind of request takes, what fails, how memory grows."""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferce import images
from ferce.evaluation.served import PATIENCE, serve

if TYPE_CHECKING:
    from gradio_client import Client

_KINDS = ("read", "ask", "compare", "batch", "video")
ALONE = 0.1  # share of the time for which one visitor comes first, alone


@dataclass
class Crowd:
    """What visitors met.

    Attributes:
        clients: at the same time.
        seconds: from the first request to the last answer.
        took: kind of request -> seconds of each answer.
        errors: what was said in place of an answer -> how often.
        each: answers of each client.
        memory: of the server in megabytes, once a second from when all had been answered once.
        load: of the machine, means over a minute at the start and at the end.
    """

    clients: int
    seconds: float
    took: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    each: dict[int, int] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)
    load: tuple[float, float] = (0.0, 0.0)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(self.each.values()) / self.seconds

    def table(self) -> str:
        """Lay the figures out as Markdown."""
        lines = ["| request | answers | p50 s | p95 s |", "|---|--:|--:|--:|"]
        every = [seconds for values in self.took.values() for seconds in values]
        for kind, values in [*sorted(self.took.items()), ("all", every)]:
            p50, p95 = (_percentile(values, share) for share in (0.5, 0.95))
            lines.append(f"| {kind} | {len(values)} | {p50:.2f} | {p95:.2f} |")
        first, last = thirds(self.memory)
        lines.append(
            f"\n{self.clients} clients, {self.seconds:.0f} s: {len(every)} answers, "
            f"{self.rate:.2f} a second, {min(self.each.values())} to "
            f"{max(self.each.values())} a client; {sum(self.errors.values())} errors; memory "
            f"{first:.0f} MB in the first third, {last:.0f} MB in the last "
            f"({last / first - 1:+.1%}); load {self.load[0]:.1f}, then {self.load[1]:.1f}"
        )
        return "\n".join([*lines, *(f"error: {words} ({n})" for words, n in self.errors.items())])


def thirds(values: Sequence[float]) -> tuple[float, float]:
    """Compute the medians of the first and of the last third of some values."""
    third = max(len(values) // 3, 1)
    return statistics.median(values[:third]), statistics.median(values[-third:])


def measure(
    photo: Path, clients: int, seconds: float, kinds: Sequence[str] = _KINDS
) -> tuple[Crowd, Crowd]:
    """Let one client ask the default app, then many at once, each one thing after the other.

    Args:
        photo: that they send, and as a clip.
        clients: each begins with another kind of request.
        seconds: after which no new request begins; the one client comes for a share of them.
        kinds: of requests, keys of `ASK`.
    """
    with serve() as app, tempfile.TemporaryDirectory() as folder:
        sent = dict.fromkeys(kinds, photo)
        if "video" in kinds:
            sent["video"] = _clip(photo, Path(folder) / "clip.mp4")
        for kind, path in sent.items():  # so that the models are there
            ASK[kind](_connected(app.address), path)
        alone = Crowd(1, seconds * ALONE)
        many = Crowd(clients, seconds)
        for made in (alone, many):
            _come(made, app.address, app.pid, sent)
    return alone, many


def _come(made: Crowd, url: str, pid: int, sent: Mapping[str, Path]) -> None:
    """Let the clients ask until their time is over."""
    threads = [
        threading.Thread(target=_visit, args=(made, url, number, sent))
        for number in range(made.clients)
    ]
    begun, before = time.monotonic(), os.getloadavg()[0]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(1.0)
        if len(made.each) == made.clients:
            made.memory.append(resident(pid))
    made.memory.append(resident(pid))
    made.seconds, made.load = time.monotonic() - begun, (before, os.getloadavg()[0])


def _visit(made: Crowd, url: str, number: int, sent: Mapping[str, Path]) -> None:
    client, end, turn = _connected(url), time.monotonic() + made.seconds, number
    kinds = list(sent)
    while time.monotonic() < end:
        kind, start = kinds[turn % len(kinds)], time.monotonic()
        turn += 1
        try:
            problem = _problem(ASK[kind](client, sent[kind]))
        except Exception as error:  # whatever comes in place of an answer is counted
            problem = f"{type(error).__name__}: {error}"
        if problem:
            words = f"{kind}: {problem:.100}"
            made.errors[words] = made.errors.get(words, 0) + 1
        made.took.setdefault(kind, []).append(time.monotonic() - start)
        made.each[number] = made.each.get(number, 0) + 1


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


def _video(client: "Client", clip: Path) -> Any:
    from gradio_client import handle_file

    return client.predict(handle_file(str(clip)), api_name="/video")


ASK: dict[str, Callable[["Client", Path], Any]] = {
    "read": _read,
    "ask": _ask,
    "compare": _compare,
    "batch": _batch,
    "video": _video,
}


def _clip(photo: Path, path: Path, frames: int = 8) -> Path:
    """Write a clip of 10 pictures a second that shows a photo."""
    import av

    picture = av.VideoFrame.from_ndarray(images.load(photo), format="rgb24")
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        for number in range(frames):
            picture.pts = number
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    return path


def _problem(answer: Any) -> str:
    """What an answer says in place of readings; "" where it is one."""
    if not isinstance(answer, dict):
        return f"no answer but {type(answer).__name__}"
    rows = [answer, *answer.get("models", ()), *answer.get("photos", ())]
    return next((str(row["error"]) for row in rows if isinstance(row, dict) and "error" in row), "")


def in_a_row(photo: Path, count: int, warm: int = 500) -> tuple[float, list[float]]:
    """Read one photo so often in this process: every tenth time whole, else its prediction.

    Args:
        photo: with a face.
        count: of readings.
        warm: readings after which memory is first looked at; then after each tenth of them.

    Returns:
        Seconds of a reading, and memory along the way in megabytes.
    """
    from ferce.reading.pipeline import Options, Reader

    prediction, memory = Options(method=None, explain=False), []
    places = [warm, *(count * tenth // 10 for tenth in range(1, 11) if count * tenth // 10 > warm)]
    with Reader() as reader:
        start = time.monotonic()
        for number in range(1, count + 1):
            report = reader.read(photo, options=None if number % 10 == 0 else prediction)
            assert report.error is None, report.error
            if number in places:
                memory.append(resident(os.getpid()))
        return (time.monotonic() - start) / count, memory


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
