"""The default app in a process of its own, as `python app.py` starts it, to be measured."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0  # seconds that the page, or one answer, may take


@dataclass(frozen=True)
class Served:
    """A running app.

    Attributes:
        address: of its page, ending in a slash.
        pid: of its process.
        seconds: from the start of the process to the first answer of its page.
    """

    address: str
    pid: int
    seconds: float

    def processor(self) -> float:
        """Processor seconds of its process until now."""
        import psutil

        spent = psutil.Process(self.pid).cpu_times()
        return float(spent.user + spent.system)

    def memory(self) -> float:
        """Memory in MB of the process and its children; what they share is counted once (PSS)."""
        import psutil

        first = psutil.Process(self.pid)
        each = [one.memory_full_info() for one in (first, *first.children(recursive=True))]
        # Only Linux tells the proportional set size; elsewhere it is the resident size.
        return sum(float(one._asdict().get("pss", one.rss)) for one in each) / 1e6

    def call(self, name: str, *data: Any) -> Any:
        """Call an endpoint by its name and wait for the answer; gives the value that it returns.

        Raises:
            RuntimeError: the app answers with an error.
        """
        import httpx

        with httpx.Client(base_url=self.address, timeout=PATIENCE) as client:
            begun = client.post(f"gradio_api/call/{name}", json={"data": data})
            begun.raise_for_status()
            stream = client.get(f"gradio_api/call/{name}/{begun.json()['event_id']}").text
        kind, content = stream.strip().split("\n\n")[-1].split("\n", 1)
        if kind != "event: complete":
            raise RuntimeError(f"{name} gave {stream.strip()[-200:]}")
        return _json(content.removeprefix("data: "))[0]

    def upload(self, path: Path) -> dict[str, Any]:
        """Upload a file; gives what endpoints take for it."""
        import httpx

        with path.open("rb") as file:
            url = f"{self.address}gradio_api/upload"
            sent = httpx.post(url, files={"files": (path.name, file)}, timeout=PATIENCE)
        sent.raise_for_status()
        return {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}


@contextmanager
def serve(root: Path = ROOT, **settings: str) -> Iterator[Served]:
    """Run `python app.py` of a checkout on a free port until the block ends.

    Args:
        root: folder of the checkout.
        settings: environment variables.

    Raises:
        RuntimeError: the app stopped before its page answered.
        TimeoutError: the page did not answer within `PATIENCE` seconds.
    """
    port, quiet = _free_port(), subprocess.DEVNULL
    address, start = f"http://127.0.0.1:{port}/", time.perf_counter()
    with tempfile.TemporaryDirectory() as uploads:
        variables = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": uploads, **settings}
        environment = os.environ | variables
        with subprocess.Popen(
            [sys.executable, "app.py"], cwd=root, env=environment, stdout=quiet, stderr=quiet
        ) as process:
            try:
                _wait(address, process)
                yield Served(address, process.pid, time.perf_counter() - start)
            finally:
                process.terminate()


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.perf_counter() + PATIENCE
    while not answers(address):
        if process.poll() is not None:
            raise RuntimeError("app.py stopped before its page answered")
        if time.perf_counter() > end:
            raise TimeoutError(f"the page did not answer within {PATIENCE:.0f} s")
        time.sleep(0.02)


def answers(address: str) -> bool:
    """Tell whether a page is there."""
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _json(text: str) -> Any:
    import json

    return json.loads(text)
