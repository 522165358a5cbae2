"""How long the page takes from the start of `python app.py`, and from there to a first reading."""

import time
from dataclasses import dataclass
from pathlib import Path

from ferce.evaluation.served import ROOT, serve


@dataclass(frozen=True)
class Start:
    """Seconds of one start.

    `page` is from the start to the page's first answer, `reading` from there to the first photo's
    reading, which a program asks for at once; `processors` is what the app spent on either.
    """

    page: float
    reading: float
    processors: tuple[float, float]


def measure(photo: Path, root: Path = ROOT) -> Start:
    """Start the default app of a checkout and have it read a photo, without a browser."""
    with serve(root) as served:
        spent, begun = served.processor(), time.perf_counter()
        served.call("read", served.upload(photo))
        reading = time.perf_counter() - begun
        return Start(served.seconds, reading, (spent, served.processor() - spent))
