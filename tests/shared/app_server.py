"""The app in a process of its own, launched as app.py does it, and clients that wait for it."""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app_fixtures import ROOT, Hold, SquareReader, loader, others
from patience import PATIENCE, until

if TYPE_CHECKING:
    from gradio_client import Client


@contextmanager
def serving(
    load: str = "squares",
    pause: float = 0.0,
    gate: str = "",
    hold: str = "",
    temporary: str = "",
    **settings: object,
) -> Iterator[str]:
    """The page on a free port of this machine; yields its address.

    Not in this process: Gradio's server leaves sockets and event loops to the garbage collector,
    which the tests would take for faults of whatever runs next.

    Args:
        load: "squares", or "real" for the models of the settings.
        pause: Seconds between the parts of a reading of squares.
        gate: A file without which the squares are not loaded.
        hold: The folder of a `Hold`.
        temporary: Where uploads lie.
        settings: Those of the app.
    """
    port = free_port()
    variables = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "shared")])
    }
    if temporary:
        variables["GRADIO_TEMP_DIR"] = temporary
    with tempfile.TemporaryDirectory() as folder:
        up = Path(folder, "up")
        how = {"load": load, "pause": pause, "gate": gate, "hold": hold, "up": str(up)}
        told = [json.dumps(how), json.dumps({"port": port, **settings})]
        server = subprocess.Popen([sys.executable, __file__, *told], cwd=ROOT, env=variables)
        try:
            until(lambda: launched(server, up), "answer of the app")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(PATIENCE)


def free_port() -> int:
    """A port below those that systems give to outgoing connections, which might take it first."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise OSError("none of 100 ports is free")


def launched(server: "subprocess.Popen[bytes]", up: Path) -> bool:
    assert server.poll() is None, "the app ended before it answered"
    return up.exists()


def connect(url: str) -> "Client":
    """A client of the app that waits as long as it takes."""
    from gradio_client import Client

    return Client(url, verbose=False, httpx_kwargs={"timeout": PATIENCE})


def main(how: dict[str, str], options: dict[str, object]) -> None:
    import app
    from ferce.ui.web import Settings, build
    from ferce.ui.web.models import from_settings

    if how["load"] == "squares":  # they do not read real faces
        options.setdefault("examples", "no-examples")
    for name in {"examples", "results"} & options.keys():
        options[name] = Path(str(options[name]))
    settings = Settings(**options)
    load = squares(**how) if how["load"] == "squares" else from_settings(settings)
    app.serve(settings, *build(settings, noted(load, Path(how["up"])), others))


def squares(pause: float, gate: str, hold: str, **_: str) -> Callable[..., object]:
    reader = SquareReader(pause, Hold(Path(hold)) if hold else None)
    return loader(reader, Path(gate) if gate else None)


def noted(load: Callable[..., object], up: Path) -> Callable[..., object]:
    """Loads as before; the file says that the page is up, as models are loaded only then."""

    def noting(say: Callable[[str], None]) -> object:
        up.touch()
        return load(say)

    return noting


if __name__ == "__main__":
    main(*map(json.loads, sys.argv[1:]))
