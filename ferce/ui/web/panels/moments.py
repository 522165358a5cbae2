"""The key moments of a track: its face, when, what, and the explanation of the voice."""

from ferce.core.types import Prediction
from ferce.reading.video import Moment, Timeline, Track, words
from ferce.ui.web import markup
from ferce.ui.web.panels import why
from ferce.ui.web.panels.prediction import STATES

TITLE = "Key moments"


def blank() -> str:
    """Before a clip was chosen."""
    told = "Where an expression is strongest and where it turns, each explained and checked."
    return markup.panel(TITLE, markup.empty(told) + markup.ghost(4))


def waiting() -> str:
    """While the clip is read."""
    return markup.panel(TITLE, markup.ghost(6), state="waiting")


def draw(timeline: Timeline, picked: int, explaining: bool = False) -> str:
    """The moments of one track; `explaining` while explanations are still to come."""
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
        f"<span>{words.clock(moment.seconds)}</span></p>"
        f"{_resembles(_prediction(moment, track))}{_told(moment, explaining)}</div></li>"
    )


def _picture(moment: Moment) -> str:
    if moment.reading is None:
        return '<i class="moment-face" aria-hidden="true"></i>'
    picture = markup.thumbnail(moment.reading.face.crop)
    return f'<img class="moment-face" src="{picture}" alt="The face at this moment">'


def _prediction(moment: Moment, track: Track) -> Prediction | None:
    return next((s.prediction for s in track.samples if s.frame == moment.frame), None)


def _resembles(prediction: Prediction | None) -> str:
    """The state, and the emotion that leads by how much."""
    if prediction is None:
        return ""
    lead, share = max(prediction.components.items(), key=lambda item: item[1])
    also = f"; {lead} leads with {markup.percent(share)}" if prediction.state != "neutral" else ""
    return f'<p class="fine">{STATES[prediction.state]}{also}</p>'


def _told(moment: Moment, explaining: bool) -> str:
    told = moment.reading and moment.reading.explanation
    if told:
        return why.spoken(told, f"moment-{moment.track}-{moment.frame}-{moment.kind}")
    if explaining:
        return f'<div class="waiting">{markup.ghost(2)}</div>'
    return '<p class="fine">Not explained.</p>'
