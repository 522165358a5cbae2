"""A clip on the page: how far its reading is, its faces, lanes over time, key moments, files.

The lanes are vectors that stretch with the page while names and numbers keep their size, so that
they can be read on a phone; colours come from the style sheet, so that they suit light and dark.
"""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL, components
from ferce.core.parts import Prediction
from ferce.reading.video import Moment, Progress, Sample, Timeline, Track, formats, plot, spoken
from ferce.reading.video.formats import to_html
from ferce.reading.video.plot import Curve
from ferce.reading.video.timeline import clock, facts, stretches, summary
from ferce.ui.web import markup
from ferce.ui.web.markup import Thumbnail
from ferce.ui.web.panels import why
from ferce.ui.web.panels.prediction import STATES

TITLE = "Key moments"

Floats = NDArray[np.float64]

OVER_TIME = "Over time"
_HEIGHT = 100  # of a lane in its own units; its width is the clip's length in hundredths


def blank() -> str:
    """Draw the moments before a clip was chosen."""
    about = "Where an expression is strongest and where it turns, each explained and checked."
    return markup.panel(TITLE, markup.empty(about))


def waiting() -> str:
    """Draw the moments while the clip is read."""
    return markup.panel(TITLE, markup.ghost(6), state="waiting")


def progress(at: Progress, seconds: float) -> str:
    """Draw a bar, the time in the clip, the speed, and how long the rest may take."""
    left = ""
    if seconds > 2 and at.share > 0.02:
        left = f", about {spoken(max(seconds / at.share - seconds, 1.0))} left"
    place = f"{clock(at.seconds)} of {clock(at.duration)}{left}"
    pace = f"{at.frames / max(seconds, 1e-3):.0f} frames a second"
    return (
        f'<div class="progress"><progress max="100" value="{100 * at.share:.0f}" '
        f'aria-label="Clip read">{place}</progress><p class="status">{place}</p>'
        f'<p class="fine">{pace}</p></div>'
    )


def faces(timeline: Timeline, picked: int) -> str:
    """Draw the tracks to choose from; nothing where there is no choice."""
    if len(timeline.tracks) < 2:
        return ""
    pictures = [
        Thumbnail(markup.thumbnail(track.picture), f"Face {track.number}, {summary(track)}")
        for track in timeline.tracks
    ]
    return markup.thumbnails("Faces in this clip", pictures, picked)


def moments(timeline: Timeline, picked: int, explaining: bool = False) -> str:
    """Draw the moments of one track; `explaining` while explanations are still to come."""
    track = timeline.tracks[picked] if timeline.tracks else None
    mine = [moment for moment in timeline.moments if track and moment.track == track.number]
    if track is None or not mine:
        return markup.panel(TITLE, markup.empty("There are none, as no face could be read."))
    items = "".join(_moment(i, moment, track, explaining) for i, moment in enumerate(mine, 1))
    return markup.panel(TITLE, f'<ol class="moments">{items}</ol>')


def _moment(number: int, moment: Moment, track: Track, explaining: bool) -> str:
    return (
        f'<li class="moment">{_picture(moment)}<div>'
        f'<p class="when"><button type="button" class="mark {moment.kind}" '
        f'data-go="{moment.seconds:.3f}" aria-label="Show moment {number}">{number}</button>'
        f"<strong>{markup.text(moment.words)}</strong>"
        f"<span>{clock(moment.seconds)}</span></p>"
        f"{_resembles(_prediction(moment, track))}{_explanation(moment, explaining)}</div></li>"
    )


def _picture(moment: Moment) -> str:
    if moment.reading is None:
        return '<i class="moment-face" aria-hidden="true"></i>'
    picture = markup.thumbnail(moment.reading.face.crop)
    return f'<img class="moment-face" src="{picture}" alt="The face at this moment">'


def _prediction(moment: Moment, track: Track) -> Prediction | None:
    return next((s.prediction for s in track.samples if s.frame == moment.frame), None)


def _resembles(prediction: Prediction | None) -> str:
    """Say the state, and which emotion leads by how much."""
    if prediction is None:
        return ""
    lead, share = max(prediction.components.items(), key=lambda item: item[1])
    also = f"; {lead} leads with {markup.percent(share)}" if prediction.state != "neutral" else ""
    return f'<p class="fine">{STATES[prediction.state]}{also}</p>'


def _explanation(moment: Moment, explaining: bool) -> str:
    explanation = moment.reading and moment.reading.explanation
    if explanation:
        return why.spoken(explanation, f"moment-{moment.track}-{moment.frame}-{moment.kind}")
    if explaining:
        return markup.waiting(markup.ghost(2))
    return '<p class="fine">Not explained.</p>'


def files(timeline: Timeline) -> str:
    """Draw links that hold the report (HTML), the table (CSV) and the numbers (JSON)."""
    rows = io.StringIO()
    formats.write_rows([timeline], rows)
    text = json.dumps(formats.to_json([timeline], timeline.models), ensure_ascii=False)
    name, title = PurePath(timeline.name).stem, "Table (CSV), one row a frame a face"
    page = to_html(timeline).encode("utf-8", "backslashreplace")
    links = markup.download(f"{name}.ferce.html", "Save report (HTML)", "text/html", page)
    links += markup.printing()
    links += markup.download(f"{name}.csv", title, "text/csv", rows.getvalue().encode())
    links += markup.download(f"{name}.json", "Everything (JSON)", "application/json", text.encode())
    return f'<div class="raw downloads">{links}</div>'


def blank_lanes() -> str:
    """Draw the panel before a clip was chosen."""
    words = "What each face resembles over time: probabilities, action units, key moments."
    return markup.panel(OVER_TIME, markup.empty(words))


def waiting_lanes() -> str:
    """Draw the panel while the clip is read."""
    return markup.panel(OVER_TIME, markup.ghost(8), state="waiting")


def lanes(timeline: Timeline, picked: int) -> str:
    """Draw the lanes of one track."""
    about = f'<p class="fine">{markup.text(facts(timeline))}</p>'
    if not timeline.tracks:
        words = "No face was found in any frame. Try a clip with a face that is larger and lit."
        return markup.panel(OVER_TIME, f'<p class="trouble">{words}</p>{about}')
    track = timeline.tracks[picked]
    if not track.read:
        words = markup.text(summary(track).removeprefix("never read. "))
        return markup.panel(OVER_TIME, f'<p class="trouble">{words}</p>{about}')
    return markup.panel(OVER_TIME, "".join(_body(timeline, track)) + about)


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
