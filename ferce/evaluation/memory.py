"""Memory of the default app after what its visitors do: reading, asking, the camera, a clip."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ferce.evaluation import films, live
from ferce.evaluation.served import ROOT, Served, serve
from ferce.models import DEFAULT_CLASSIFIER

QUESTION = "Are the brows raised?"


def measure(photo: Path, chromium: str | None, root: Path = ROOT) -> list[tuple[str, float]]:
    """Run the default app of a checkout; gives MB after each step, one after the other.

    Args:
        photo: with a face.
        chromium: path of a browser, for the camera; None leaves that out.
        root: folder of the checkout.
    """
    with serve(root) as served:
        return [(step, served.memory()) for step in _steps(served, photo, chromium)]


def _steps(served: Served, photo: Path, chromium: str | None) -> Iterator[str]:
    """Do each thing and name it."""
    yield "page"
    served.call("read", served.upload(photo))
    yield "a photo read"
    for _ in range(10):
        served.call("read", served.upload(photo))
    yield "ten more"
    served.call("ask", served.upload(photo), QUESTION)
    yield "a question"
    served.call("compare", served.upload(photo), DEFAULT_CLASSIFIER)
    yield "the default model in Compare"
    if chromium:
        with live.browser(chromium) as tab:
            live.begin(tab, served.address)
            time.sleep(5.0)
        yield "the page and its camera in a browser"
    with tempfile.TemporaryDirectory() as folder:
        clip = films.write(Path(folder) / "clip.mp4", 8.0)
        served.call("video", served.upload(clip))
    yield "a clip of 8 s"
    time.sleep(5.0)
    yield "five seconds later"
