"""One face of the page: pictures, bars, action units, answers, the text with its claims marked."""

import base64
import html
import re
from collections.abc import Iterable

from ferce.core.labels import BASICS, alone
from ferce.core.parts import Answer, Cue, Explanation, Faithfulness, Heatmap, Reading, Report
from ferce.core.types import Pixels
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import TRUSTED, active
from ferce.report.drawing import EMPTY, colours, draw_heatmap, draw_regions, encode, fit, smooth
from ferce.report.text import COMPOSED, claims, headline

_SIDE = 448  # pixels of the drawn face
# What steers a terminal, and what turns the direction of all that follows it.
_DIRECTIONS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_CONTROLS = dict.fromkeys({*range(32), *range(127, 160), *_DIRECTIONS} - {9, 10}, "\ufffd")
_CLASSES = {"supported": "yes", "contradicted": "no", "cannot be told": "open", None: "open"}


def escape(text: str) -> str:
    """Escape text for HTML, in content and in attributes.

    Control characters, those of the writing direction among them, become U+FFFD.
    """
    return html.escape(text.translate(_CONTROLS), quote=True)


def bdi(text: str) -> str:
    """Escape text whose writing direction must not disturb what stands around it."""
    return f"<bdi>{escape(text)}</bdi>"


def count(number: int, noun: str) -> str:
    """Write a number with its noun: 1 photo, 2 photos."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def face_map(report: Report) -> str:
    """Draw where the faces of one photo lie; nothing for a single face."""
    if len(report.readings) < 2 or report.size is None:
        return ""
    width, height = report.size
    letters = max(width, height) / 14
    boxes = "".join(
        f'<rect x="{x0:.0f}" y="{y0:.0f}" width="{x1 - x0:.0f}" height="{y1 - y0:.0f}"/>'
        f'<text x="{(x0 + x1) / 2:.0f}" y="{(y0 + y1) / 2:.0f}">{i}</text>'
        for i, (x0, y0, x1, y1) in enumerate((r.face.box for r in report.readings), 1)
    )
    return (
        f'<svg class="map" role="img" aria-label="Where the faces lie in the photo" '
        f'viewBox="0 0 {width} {height}" font-size="{letters:.0f}">{boxes}</svg>'
    )


def face_section(
    reading: Reading, number: int | None, *, draw: bool = True
) -> tuple[str, str, str]:
    """Write one face as HTML: what stands before its pictures, these, and what follows.

    `number` is shown where the photo has several; the pictures are empty unless `draw`.
    """
    name = f"Face {number}. " if number else ""
    words = [
        _explanation(reading.explanation) if reading.explanation else "",
        _faithfulness(reading.faithfulness) if reading.faithfulness else "",
        _answers(reading.answers) if reading.answers else "",
    ]
    before = [
        f'<section class="face {reading.state}"><h3>{escape(name + headline(reading))}</h3>',
        f'<p class="facts">{escape(_facts(reading))}</p>' if reading.prediction else "",
        '<div class="columns">',
    ]
    after = [
        _chances(reading),
        _units(reading),
        f'<div class="wide">{"".join(words)}</div>' if any(words) else "",
        "</div></section>",
    ]
    return "".join(before), _pictures(reading) if draw else "", "".join(after)


def _facts(reading: Reading) -> str:
    """Say why the state is what it is, and what a turned head hides."""
    return " ".join(filter(None, (reading.reason, reading.caution)))


def _pictures(reading: Reading) -> str:
    face = reading.face
    crop = fit(face.crop, _SIDE)
    figures = _figure(crop, "The face, levelled and cropped", "")
    for heat in filter(None, (reading.heatmap, reading.beside)):
        words = {name: f"{name} {share:.0%}" for name, share in heat.regions.items()}
        picture = draw_regions(draw_heatmap(crop, smooth(heat), bar=False), face.regions, words)
        figures += _figure(picture, f"Heat map: {_heat_words(heat)}", _scale(heat))
    return figures


def _figure(picture: Pixels, words: str, caption: str) -> str:
    data = base64.b64encode(encode(picture, "JPEG")).decode()
    height, width = picture.shape[:2]
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{escape(words)}" width="{width}" '
        f'height="{height}"><figcaption>{caption or escape(words)}</figcaption></figure>'
    )


def _heat_words(heat: Heatmap) -> str:
    shares = sorted(heat.regions.items(), key=lambda item: -item[1])
    where = EMPTY if heat.empty else ", ".join(f"{name} {share:.0%}" for name, share in shares)
    return f"evidence for {heat.label} ({heat.method}): {where}"


def _scale(heat: Heatmap) -> str:
    """Write the colour bar as text and a gradient."""
    title = f"Evidence for <b>{escape(heat.label)}</b> ({escape(heat.method)})"
    if heat.empty:
        return f"{title}: {EMPTY}"
    stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in colours()[::15])
    return (
        f'{title}<span class="scale" style="background:linear-gradient(90deg,{stops})"></span>'
        f'<span class="ends"><span>0</span><span>{heat.values.max():.2g} raw maximum</span></span>'
    )


def _bars(rows: Iterable[tuple[str, float]], kind: str = "", form: str = ".0%") -> str:
    lines = (
        f'<tr><th scope="row">{escape(name)}</th><td class="bar {kind}">'
        f'<i style="width:{100 * min(max(value, 0), 1):.1f}%"></i></td><td>{value:{form}}</td></tr>'
        for name, value in rows
    )
    return f'<table class="bars">{"".join(lines)}</table>'


def _chances(reading: Reading) -> str:
    """List the outcomes, the set that holds the true one, and the components."""
    prediction = reading.prediction
    if prediction is None:
        return ""
    every = [(alone(name), value) for name, value in prediction.ranked]
    basics = [(name, prediction.components[name]) for name in BASICS]
    words = "With 90 % certainty" if prediction.calibrated else "90 % of the probability:"
    names = escape(", ".join(map(alone, prediction.set)))
    return (
        f"<div><h4>Probabilities</h4>{_bars(every[:5])}"
        f"<details><summary>The other {len(every) - 5}</summary>{_bars(every[5:])}</details>"
        f'<p class="facts">{words} one of: {names}.</p>'
        f"<h4>Emotions, alone or together</h4>{_bars(basics, 'basic')}</div>"
    )


def _units(reading: Reading) -> str:
    units = reading.face.units
    if not units:
        return ""
    seen = active(units)
    rows = [(f"AU{u.unit} {UNITS[u.unit].name}", u.intensity) for u in seen]
    sides = [f"AU{u.unit} stronger on the person's {u.side}" for u in seen if u.side]
    blind = ", ".join(f"AU{n}" for n, u in units.items() if u.confidence < TRUSTED)
    return (
        f"<div><h4>Action units seen</h4>{_bars(rows, form='.2f') if rows else '<p>None.</p>'}"
        + (f'<p class="facts">{escape("; ".join(sides))}.</p>' if sides else "")
        + (f'<p class="facts">Cannot be told here: {escape(blind)}.</p>' if blind else "")
        + "</div>"
    )


def _explanation(explanation: Explanation) -> str:
    checked = claims(explanation.cues)
    verdict = f'<p class="facts">Claims: {escape(checked)}.</p>' if checked else ""
    if explanation.composed:
        verdict = f'<p class="facts">{COMPOSED}</p>'
    text = f"<blockquote>{marked(explanation)}</blockquote>"
    return f"<h4>Why</h4>{text}{verdict}{_claims(explanation.cues)}"


def marked(explanation: Explanation) -> str:
    """Mark and number each claim of the text; of claims that overlap, the first is marked."""
    text, parts, place = explanation.text, [], 0
    for i, cue in enumerate(explanation.cues, 1):
        if not place <= cue.start < cue.end <= len(text):
            continue
        parts.append(_emphasised(text[place : cue.start]))
        words = _emphasised(text[cue.start : cue.end])
        parts.append(f'<mark class="{_CLASSES[cue.seen]}">{words}<sup>{i}</sup></mark>')
        place = cue.end
    return "".join(parts) + _emphasised(text[place:])


def _emphasised(text: str) -> str:
    """Escape text, in which *stars* around a label become emphasis."""
    return re.sub(r"\*([^*\n]+)\*", r"<em>\1</em>", escape(text))


def _claims(cues: tuple[Cue, ...]) -> str:
    if not cues:
        return ""
    rows = "".join(
        f"<tr><td>{i}</td><td>{escape(cue.text)}"
        + (f"<small>{escape(cue.evidence)}</small>" if cue.evidence else "")
        + f'</td><td><span class="{_CLASSES[cue.seen]}">{cue.seen or "not checked"}</span></td>'
        f"<td>{cue.used or 'not checked'}</td></tr>"
        for i, cue in enumerate(cues, 1)
    )
    return (
        '<table class="claims"><thead><tr><th scope="col"><span class="hidden">Number</span></th>'
        '<th scope="col">Claim</th><th scope="col">In the face</th>'
        f'<th scope="col">By the model</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _faithfulness(measured: Faithfulness) -> str:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in measured.controls)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{_figure_of(value)}</td>'
        + "".join(f"<td>{_figure_of(row.get(name))}</td>" for row in measured.controls.values())
        + "</tr>"
        for name, value in measured.measures.items()
    )
    return (
        "<h4>Does the text name what the model used?</h4>"
        '<div class="scroll"><table class="figures"><thead><tr><td></td>'
        f'<th scope="col">this text</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _figure_of(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _answers(answers: tuple[Answer, ...]) -> str:
    rows = "".join(f"<dt>{bdi(a.question)}</dt><dd>{bdi(a.answer)}</dd>" for a in answers)
    return f"<h4>Questions</h4><dl>{rows}</dl>"
