"""A timeline as one picture: for each face its labels, its action units and its key moments."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import OUTCOMES, alone
from ferce.facs.prototypes import ACTIVE, TRUSTED, UNITS
from ferce.reading.video.timeline import Timeline, Track

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
        """Split into the parts without gaps, seconds and values."""
        cuts = np.flatnonzero(np.diff(self.seconds) > GAP) + 1
        parts = zip(np.split(self.seconds, cuts), np.split(self.values, cuts), strict=True)
        return list(parts)


def labels(track: Track, most: int = 6) -> list[Curve]:
    """Collect the shares of the labels that matter, strongest first."""
    rows = np.array([sample.smooth.shares for sample in track.read if sample.smooth is not None])
    return _strongest(track, [alone(name) for name in OUTCOMES], rows, most, _NAMED)


def units(track: Track, most: int = 8) -> list[Curve]:
    """Collect the intensities of units that are active at some time, strongest first."""
    expressions = [sample.smooth for sample in track.read if sample.smooth is not None]
    rows = np.array([np.where(e.confidences >= TRUSTED, e.intensities, 0.0) for e in expressions])
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


# Okabe & Ito 2008 and further colours that stay apart without red-green vision.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a87400", "#56b4e9")
_WIDTH, _ROW = 10.0, 2.4  # inches
_DOTS = 130  # an inch
_DRAWN: WeakKeyDictionary[Timeline, dict[int, bytes]] = WeakKeyDictionary()


def draw(timeline: Timeline, target: str | Path | IO[bytes], most: int = 3) -> None:
    """Write PNG, SVG or PDF by the suffix, PNG into an open file.

    At most so many faces are drawn, the longest in sight first.

    Raises:
        ValueError: no face of the clip could be read, or the suffix names no such format.
    """
    if not isinstance(target, str | Path):
        target.write(_png(timeline, most))
    elif Path(target).suffix.lower() == ".png":
        Path(target).write_bytes(_png(timeline, most))
    else:
        _figure(timeline, most).savefig(target, dpi=_DOTS)


def _png(timeline: Timeline, most: int) -> bytes:
    """Draw a timeline as PNG, once: a plot and a page of it show the same."""
    drawn = _DRAWN.setdefault(timeline, {})
    if most not in drawn:
        file = io.BytesIO()
        _figure(timeline, most).savefig(file, dpi=_DOTS)
        drawn[most] = file.getvalue()
    return drawn[most]


def _figure(timeline: Timeline, most: int) -> Any:
    """Lay out the axes of a timeline's faces and draw them.

    Raises:
        ValueError: no face could be read.
    """
    from matplotlib.figure import Figure

    tracks = [track for track in timeline.tracks if track.read][:most]
    if not tracks:
        raise ValueError(f"{timeline.name}: no face could be read, so there is nothing to plot.")
    rows = 2 * len(tracks)
    figure = Figure(figsize=(_WIDTH, 0.6 + _ROW * rows), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for i, track in enumerate(tracks):
        _lines(axes[2 * i], labels(track), f"face {track.number}: probability")
        _bands(axes[2 * i + 1], units(track), f"face {track.number}: action units")
        _mark(axes[2 * i], timeline, track)
    axes[-1].set_xlim(0, max(timeline.duration, 0.1))
    axes[-1].set_xlabel("seconds")
    axes[0].set_title(timeline.name.replace("$", r"\$"), loc="left")
    return figure


def _lines(axis: Any, drawn: list[Curve], title: str) -> None:
    for curve, colour in zip(drawn, _COLOURS, strict=False):
        for i, (seconds, values) in enumerate(curve.pieces()):
            axis.plot(seconds, values, color=colour, label="" if i else curve.name, linewidth=1.8)
    axis.set_ylim(0, 1.02)
    axis.set_ylabel(title)
    if drawn:
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _bands(axis: Any, drawn: list[Curve], title: str) -> None:
    """Draw one band a unit, filled as high as the unit is strong."""
    for k, curve in enumerate(drawn):
        low = len(drawn) - 1 - k
        for seconds, values in curve.pieces():
            axis.fill_between(seconds, low, low + 0.92 * values, color=_COLOURS[0], linewidth=0)
    axis.set_ylim(0, max(len(drawn), 1))
    axis.set_yticks([len(drawn) - 0.6 - k for k in range(len(drawn))], [c.name for c in drawn])
    axis.yaxis.tick_right()
    axis.set_ylabel(title)


def _mark(axis: Any, timeline: Timeline, track: Track) -> None:
    for moment in timeline.moments:
        if moment.track == track.number:
            style = "-" if moment.kind == "peak" else ":"
            axis.axvline(moment.seconds, color="#515b64", linewidth=0.9, linestyle=style)
