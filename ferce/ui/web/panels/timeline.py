"""A clip over time: one lane a label and an action unit, all on one scale of seconds.

The lanes are vectors that stretch with the page while names and numbers keep their size, so that
they can be read on a phone; colours come from the style sheet, so that they suit light and dark.
"""

import json
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL, components
from ferce.reading.video import Moment, Sample, Timeline, Track, plot
from ferce.reading.video.moments import stretches
from ferce.reading.video.plot import Curve
from ferce.reading.video.timeline import clock, facts, summary
from ferce.ui.web import markup

Floats = NDArray[np.float64]

TITLE = "Over time"
_HEIGHT = 100  # of a lane in its own units; its width is the clip's length in hundredths


def blank() -> str:
    """Draw the panel before a clip was chosen."""
    words = "What each face resembles over time: probabilities, action units, key moments."
    return markup.panel(TITLE, markup.empty(words))


def waiting() -> str:
    """Draw the panel while the clip is read."""
    return markup.panel(TITLE, markup.ghost(8), state="waiting")


def draw(timeline: Timeline, picked: int) -> str:
    """Draw the lanes of one track."""
    about = f'<p class="fine">{markup.text(facts(timeline))}</p>'
    if not timeline.tracks:
        words = "No face was found in any frame. Try a clip with a face that is larger and lit."
        return markup.panel(TITLE, f'<p class="trouble">{words}</p>{about}')
    track = timeline.tracks[picked]
    if not track.read:
        words = markup.text(summary(track).removeprefix("never read. "))
        return markup.panel(TITLE, f'<p class="trouble">{words}</p>{about}')
    return markup.panel(TITLE, "".join(_body(timeline, track)) + about)


def _body(timeline: Timeline, track: Track) -> Iterator[str]:
    length = _length(timeline)
    moments = [moment for moment in timeline.moments if moment.track == track.number]
    labels, units = plot.labels(track), plot.units(track)
    seconds = [round(sample.seconds, 3) for sample in track.read]
    yield f'<div class="lanes" data-seconds="{json.dumps(seconds)}" data-length="{length:.3f}">'
    yield _lane("Resembles", _ribbon(track, length) + _marks(moments, length), "", "states")
    yield "<h3>Probability <small>of each reading; they sum to 100&thinsp;%</small></h3>"
    yield from (_curve(curve, length, _dots(curve.name), _colour(curve.name)) for curve in labels)
    if units:
        yield "<h3>Action units <small>100&thinsp;% is as strong as faces show it</small></h3>"
        yield from (_curve(curve, length, "", "unit") for curve in units)
    yield _lane("", _ticks(length), "", "ticks")
    yield _lane("<label for='seek'>Time</label>", _seek(length), "<output>0:00.0</output>", "time")
    yield "</div>"


def _length(timeline: Timeline) -> float:
    ends = [track.span[1] for track in timeline.tracks]
    return max([timeline.duration, *ends, 0.1])


def _lane(name: str, plot: str, value: str, kind: str = "") -> str:
    return (
        f'<div class="lane {kind}"><span class="lane-name">{name}</span>'
        f'<div class="lane-plot">{plot}</div><span class="lane-value">{value}</span></div>'
    )


def _curve(curve: Curve, length: float, dots: str, colour: str) -> str:
    """Draw a filled line; the number is its peak, and at the cursor its value there."""
    percents = json.dumps([round(100 * float(value)) for value in curve.values])
    area = "".join(_area(*piece) for piece in curve.pieces())
    line = "".join(_line(*piece) for piece in curve.pieces())
    plot = (
        f'<svg class="{colour}" viewBox="0 0 {100 * length:.1f} {_HEIGHT}" '
        f'preserveAspectRatio="none" aria-hidden="true"><path class="area" d="{area}"/>'
        f'<path class="line" d="{line}"/></svg>'
    )
    peak = markup.percent(curve.peak)
    value = f'<span class="aloud">peak </span><span data-values="{percents}">{peak}</span>'
    return _lane(f"{dots}<span>{markup.text(curve.name)}</span>", plot, value)


def _points(seconds: Floats, values: Floats) -> str:
    pairs = zip(seconds, values, strict=True)
    return "L".join(f"{100 * t:.0f} {_HEIGHT * (1 - v):.0f}" for t, v in pairs)


def _line(seconds: Floats, values: Floats) -> str:
    return f"M{_points(seconds, values)}"


def _area(seconds: Floats, values: Floats) -> str:
    first, last = 100 * seconds[0], 100 * seconds[-1]
    return f"M{first:.0f} {_HEIGHT}L{_points(seconds, values)}L{last:.0f} {_HEIGHT}Z"


def _dots(name: str) -> str:
    label = name.removesuffix(" alone")
    return markup.dots(label) if label in (*COMPOUNDS, *BASICS) else ""


def _colour(name: str) -> str:
    """Choose the class of the style sheet: a single emotion has its own colour."""
    label = name.removesuffix(" alone")
    return label if label in BASICS else "calm" if label == NEUTRAL else "both"


def _ribbon(track: Track, length: float) -> str:
    runs = list(stretches(track.read))
    # A stretch goes on until the next one, unless the face was out of sight between.
    starts = [run[0].seconds for run in runs[1:]] + [runs[-1][-1].seconds]
    ends = [
        start if start - run[-1].seconds <= plot.GAP else run[-1].seconds
        for run, start in zip(runs, starts, strict=True)
    ]
    items = "".join(_stretch(run, end, length) for run, end in zip(runs, ends, strict=True))
    return f'<ol class="ribbon" aria-label="What the expression resembles, by time">{items}</ol>'


def _stretch(run: Sequence[Sample], end: float, length: float) -> str:
    start = run[0].seconds
    label = run[0].label
    parts = components(label) if label else ()
    colours = [f"var(--{basic})" for basic in parts] or ["var(--quiet)"]
    name = label or "unclear"
    words = f"{clock(start)} to {clock(end)}: {name}"
    place = f"left:{100 * start / length:.2f}%;width:{max(100 * (end - start) / length, 0.4):.2f}%"
    size = "brief" if end - start < 0.08 * length else "short" if end - start < 0.2 * length else ""
    return (
        f'<li class="{"told" if parts else "plain"} {size}" title="{words}" style="{place};'
        f'--first:{colours[0]};--last:{colours[-1]}"><span aria-hidden="true">{name}</span>'
        f'<span class="aloud">{words}</span></li>'
    )


def _marks(moments: Sequence[Moment], length: float) -> str:
    """Draw the numbers of the key moments over the ribbon, which lead to their time."""
    return "".join(
        f'<button type="button" class="mark {moment.kind}" data-go="{moment.seconds:.3f}" '
        f'style="left:{100 * moment.seconds / length:.2f}%" '
        f'title="{markup.text(moment.words)}" aria-label="Moment {i}: '
        f'{markup.text(moment.words)}, at {clock(moment.seconds)}">{i}</button>'
        for i, moment in enumerate(moments, 1)
    )


def _ticks(length: float) -> str:
    """Draw four to six round times."""
    step = next(s for s in (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 1e9) if length / s <= 6)
    count = int(length / step + 1e-6)
    return "".join(
        f'<span style="left:{100 * i * step / length:.2f}%">{_tick(i * step)}</span>'
        for i in range(count + 1)
        if i * step / length < 0.97
    )


def _tick(seconds: float) -> str:
    if seconds % 1:
        return f"{seconds:.1f} s"
    return f"{int(seconds)} s" if seconds < 60 else clock(seconds).removesuffix(".0")


def _seek(length: float) -> str:
    return f'<input id="seek" type="range" min="0" max="{length:.2f}" step="0.05" value="0">'
