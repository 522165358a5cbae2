"""A clip as one self-contained page: its timeline as a picture, then each key moment as a face."""

import base64
import io
from collections.abc import Iterator

from ferce.core.types import Report
from ferce.reading.video import plot
from ferce.reading.video.timeline import Timeline
from ferce.reading.video.words import clock, facts, summary
from ferce.report.face import bdi, escape
from ferce.report.page import HtmlWriter


def to_html(timeline: Timeline) -> str:
    """Write the page of a clip: what each face resembled, over time and at its key moments."""
    file = io.StringIO(newline="")
    with HtmlWriter(file, timeline.models, title=f"Expressions in {timeline.name}") as writer:
        writer.put(_entry(timeline))
        for report in _moments(timeline):
            writer.add(report)
        writer.finish()
    return file.getvalue()


def _entry(timeline: Timeline) -> dict[str, object]:
    lines = "".join(f"<li>Face {t.number}: {escape(summary(t))}</li>" for t in timeline.tracks)
    about = f'<p class="facts">{escape(facts(timeline))}</p><ul>{lines}</ul>'
    head = f"<h2>{bdi(timeline.name)}</h2>{about}{_picture(timeline)}"
    return {
        "photo": timeline.name,
        "said": facts(timeline),
        "failed": False,
        "labels": [],
        "head": head,
        "faces": [],
    }


def _picture(timeline: Timeline) -> str:
    """Draw the probabilities over time; nothing where no face could be read."""
    if not any(track.read for track in timeline.tracks):
        return '<p class="error">No face could be read in this clip.</p>'
    drawn = io.BytesIO()
    plot.draw(timeline, drawn)
    data = base64.b64encode(drawn.getvalue()).decode()
    words = "Probabilities and action units of each face over time"
    source = f"data:image/png;base64,{data}"
    return f'<figure class="timeline"><img src="{source}" alt="{words}"></figure>'


def _moments(timeline: Timeline) -> Iterator[Report]:
    """List the key moments that were read in full, each named by its time."""
    for moment in timeline.moments:
        if moment.reading is not None:
            name = f"{clock(moment.seconds)}, face {moment.track}: {moment.words}"
            yield Report(name, readings=(moment.reading,))
