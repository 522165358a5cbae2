"""A clip on the page: how far its reading is, its faces, its key moments, files to take away."""

import io
import json
from pathlib import PurePath

from ferce.core.types import Prediction
from ferce.reading.video import Moment, Progress, Timeline, Track, formats, spoken
from ferce.reading.video.formats import to_html
from ferce.reading.video.timeline import clock, summary
from ferce.ui.web import markup
from ferce.ui.web.markup import Thumbnail
from ferce.ui.web.panels import why
from ferce.ui.web.panels.prediction import STATES

TITLE = "Key moments"


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
