"""What stands beside a clip on the page: how far its reading is, its faces, files to take away."""

import base64
import io
import json
from pathlib import PurePath

from ferce.reading.video import Progress, Timeline, formats, spoken, words
from ferce.ui.web import markup, thumbnails
from ferce.ui.web.thumbnails import Thumbnail


def progress(at: Progress, seconds: float) -> str:
    """A bar, the time in the clip, the speed, and how long the rest may take."""
    left = ""
    if seconds > 2 and at.share > 0.02:
        left = f", about {spoken(max(seconds / at.share - seconds, 1.0))} left"
    told = f"{words.clock(at.seconds)} of {words.clock(at.duration)}{left}"
    pace = f"{at.frames / max(seconds, 1e-3):.0f} frames a second"
    return (
        f'<div class="progress"><progress max="100" value="{100 * at.share:.0f}" '
        f'aria-label="Clip read">{told}</progress><p class="status">{told}</p>'
        f'<p class="fine">{pace}</p></div>'
    )


def faces(timeline: Timeline, picked: int) -> str:
    """The tracks to choose from; nothing where there is no choice."""
    if len(timeline.tracks) < 2:
        return ""
    pictures = [
        Thumbnail(markup.thumbnail(track.picture), f"Face {track.number}, {words.summary(track)}")
        for track in timeline.tracks
    ]
    return thumbnails.draw("Faces in this clip", pictures, picked)


def files(timeline: Timeline) -> str:
    """Links with the CSV and the JSON inside them, so that nothing is stored."""
    rows = io.StringIO()
    formats.write_rows([timeline], rows)
    told = json.dumps(formats.to_json([timeline], timeline.models), ensure_ascii=False)
    name = PurePath(timeline.name).stem
    links = _link(f"{name}.csv", "text/csv", rows.getvalue(), "Table (CSV), one row a frame a face")
    links += _link(f"{name}.json", "application/json", told, "Everything (JSON)")
    return f'<div class="raw downloads">{links}</div>'


def _link(name: str, media: str, content: str, title: str) -> str:
    data = base64.b64encode(content.encode()).decode()
    return (
        f'<a class="download" download="{markup.text(name)}" '
        f'href="data:{media};base64,{data}">{title}</a>'
    )
