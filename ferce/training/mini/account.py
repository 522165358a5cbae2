"""How well a small BLIP-2 describes faces: the units that it names against those that are there."""

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.data.captions import visible
from ferce.data.record import PRESENT, hidden_in
from ferce.explanation.text.verdicts import COUNTS, compare
from ferce.models.prompts import HOUSE
from ferce.training.mini.album import Album

TOKENS = 120  # of a description, at most


@dataclass(frozen=True)
class Mentioned:
    """Micro precision and recall of the named units, 0..1, and F1 for the faces of others."""

    precision: float
    recall: float
    swapped: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return harmonic(self.precision, self.recall)


def measure(backend: Any, album: Album, numbers: NDArray[np.int64]) -> Mentioned:
    """Describe the faces with these numbers whose units are known and in sight, by `HOUSE`."""
    known = [i for i in numbers if _seen(album, i) is not None]
    asked = [backend.question(HOUSE)] * len(known)
    pictures = [np.array(album.pixels[i]) for i in known]  # a map of a file cannot be written to
    texts = backend.reply(pictures, asked, TOKENS)
    own = _shares(texts, album, known)
    return Mentioned(*own, swapped=harmonic(*_shares(texts, album, [*known[1:], *known[:1]])))


def harmonic(a: float, b: float) -> float:
    """Harmonic mean; 0 where both are."""
    return 2 * a * b / (a + b) if a + b else 0.0


def _shares(texts: list[str], album: Album, faces: list[Any]) -> tuple[float, float]:
    """Precision and recall of texts against faces."""
    table = []
    for text, number in zip(texts, faces, strict=True):
        there = _seen(album, number) or set()
        units = album.samples[number].units or ()
        faint = {u.unit for u in units if (u.intensity or 1.0) < PRESENT}
        table.append(astuple(compare(text, there, faint)))
    count = dict(zip(COUNTS, np.sum(table, 0).tolist(), strict=True))
    said = count["right"] + count["invented"]
    return count["right"] / max(said, 1), count["found"] / max(count["there"], 1)


def _seen(album: Album, number: Any) -> set[int] | None:
    """Units that can be named; None where that is not known."""
    sample = album.samples[number]
    hidden = hidden_in(sample)
    if sample.units is None or hidden is None:
        return None
    return {unit.unit for unit in visible(sample.units, hidden)}
