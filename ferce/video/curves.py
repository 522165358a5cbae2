"""The curves of a track that are worth drawing: its strongest labels and action units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferce.action_units import ACTIVE, TRUSTED, UNITS
from ferce.hypotheses import HYPOTHESES
from ferce.labels import BASICS
from ferce.video.timeline import Track

_NAMED = 0.15  # share that a label must reach at some time
GAP = 0.6  # seconds without a sample over which no line is drawn


@dataclass(frozen=True, eq=False)
class Curve:
    """One value over time: (N,) seconds, rising, and (N,) values 0..1."""

    name: str
    seconds: NDArray[np.float64]
    values: NDArray[np.float64]

    @property
    def peak(self) -> float:
        """The largest value."""
        return float(self.values.max())

    def pieces(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Seconds and values of the parts without gaps."""
        cuts = np.flatnonzero(np.diff(self.seconds) > GAP) + 1
        parts = zip(np.split(self.seconds, cuts), np.split(self.values, cuts), strict=True)
        return list(parts)


def labels(track: Track, most: int = 6) -> list[Curve]:
    """Shares of the compounds, single emotions and neutral that matter, strongest first."""
    rows = np.array([sample.smooth.shares for sample in track.read if sample.smooth is not None])
    names = [f"{name} alone" if name in BASICS else name for name in HYPOTHESES]
    return _strongest(track, names, rows, most, _NAMED)


def units(track: Track, most: int = 8) -> list[Curve]:
    """Intensities of the action units that are active at some time, strongest first."""
    told = [sample.smooth for sample in track.read if sample.smooth is not None]
    rows = np.array([np.where(e.confidences >= TRUSTED, e.intensities, 0.0) for e in told])
    names = [f"{unit.code} {unit.name}" for unit in UNITS.values()]
    return _strongest(track, names, rows, most, ACTIVE)


def _strongest(
    track: Track, names: Sequence[str], rows: NDArray[np.float64], most: int, least: float
) -> list[Curve]:
    if not len(rows):
        return []
    seconds = np.array([sample.seconds for sample in track.read])
    order = np.argsort(-rows.max(0), kind="stable")[:most]
    return [
        Curve(names[k], seconds, np.clip(rows[:, k], 0.0, 1.0))
        for k in order
        if rows[:, k].max() >= least
    ]
