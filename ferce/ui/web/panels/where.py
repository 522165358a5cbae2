"""Where the model looks: the heat on the face, regions outlined and named, with their shares."""

from collections.abc import Mapping

import numpy as np

from ferce.core.types import Face, Heatmap, Mask, Reading
from ferce.explanation.heatmaps import METHODS
from ferce.report import drawing
from ferce.ui.web import markup
from ferce.ui.web.session import MapRequest

TITLE = "Where it looks"
_SIDE = 512  # pixels of the picture sent to the page, at most
_NAMED = 0.1  # share from which a region's name stands in the picture
_LETTERS = 0.3  # of the picture's width, taken by a name
_HEAT = 0.85  # opacity of the strongest heat at the slider's right end


def blank() -> str:
    """Draw the panel before a photograph was chosen."""
    words = "The parts of the face that speak for the prediction, as a heat map."
    return markup.empty(words) + markup.ghost(5, figure=True)


def waiting() -> str:
    """Draw the panel while the first map is made."""
    return markup.waiting(markup.ghost(5, figure=True))


def refused(face: Face) -> str:
    """Draw a face that must not be read, without a map."""
    return figure(face, None) + "<p>Nothing was read, so there is nothing to show where.</p>"


def searching(reading: Reading, wanted: MapRequest) -> str:
    """Dim the map on the page while another one is made."""
    passes = METHODS[wanted.method].passes
    note = f"Looking for {wanted.words}, by {wanted.method}"
    cost = f": {passes} faces go through the model" if passes > 1 else ""
    return f'<div class="dimmed">{_status(note + cost, "busy")}{_body(reading, None)}</div>'


def draw(reading: Reading, wanted: MapRequest | None = None, trouble: str = "") -> str:
    """Draw the map of a face, with its request; `trouble` is why there is no other one."""
    return (_status(trouble, "sorry") if trouble else "") + _body(reading, wanted)


def _status(words: str, kind: str) -> str:
    return f'<p class="status {kind}" role="status">{markup.text(words)}.</p>'.replace("..<", ".<")


def _body(reading: Reading, wanted: MapRequest | None) -> str:
    heat = reading.heatmap
    if heat is None:
        return figure(reading.face, None) + "<p>No heat map was made.</p>"
    label = wanted.words if wanted else heat.label
    if heat.empty:
        words = f"Nothing in this face spoke for <em>{markup.text(label)}</em>."
        return f"{figure(reading.face, None)}<p>{words}</p>{_method(heat, label)}"
    return figure(reading.face, heat, label) + _slider() + _shares(heat) + _method(heat, label)


def figure(face: Face, heat: Heatmap | None, label: str = "") -> str:
    """Draw the face with its heat, which is for `label`, and the outlines of its regions."""
    crop = drawing.fit(face.crop, min(face.size, _SIDE), enlarge=False)
    words = "The face, cut out and levelled"
    top = ""
    if heat is not None:
        layer = markup.picture(drawing.draw_heatmap(crop, heat, _HEAT, bar=False))
        words = _words(heat, label)
        top = f'<img class="heat" src="{layer}" alt="">'
    return (
        f'<figure class="face"><img src="{markup.picture(crop)}" alt="{markup.text(words)}">{top}'
        f"{_outlines(face, heat)}</figure>"
    )


def _words(heat: Heatmap, label: str) -> str:
    ranked = _ranked(heat)[:3]
    shares = ", ".join(f"{name} {value:.0%}" for name, value in ranked)
    return f"The face with a heat map for {label}" + (f": {shares}" if shares else "")


def _ranked(heat: Heatmap) -> list[tuple[str, float]]:
    return sorted(heat.regions.items(), key=lambda item: -item[1])


def _outlines(face: Face, heat: Heatmap | None) -> str:
    """Outline every region; those with most heat are named, the others when they light up."""
    shares = dict(_ranked(heat)) if heat else {}
    named = [name for name in shares if shares[name] >= _NAMED]
    shapes = "".join(
        f'<g data-outline="{name}" class="{"named" if name in named else ""}">{_path(mask)}'
        f"{_name(mask, _label(name, shares))}</g>"
        for name, mask in face.regions.items()
        if mask.any()
    )
    return f'<svg viewBox="0 0 {face.size} {face.size}" aria-hidden="true">{shapes}</svg>'


def _label(name: str, shares: Mapping[str, float]) -> str:
    return f"{name} {markup.percent(shares[name])}" if name in shares else name


def _path(mask: Mask) -> str:
    import cv2

    rings, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    smooth = (cv2.approxPolyDP(ring, 0.006 * mask.shape[0], True)[:, 0] for ring in rings)
    path = "".join("M" + "L".join(f"{x} {y}" for x, y in ring) + "Z" for ring in smooth)
    return f'<path d="{path}"/>'


def _name(mask: Mask, words: str) -> str:
    """Write the region's name at the picture's left edge, tied to its outline by a line."""
    size = mask.shape[0]
    rows, columns = np.nonzero(mask)
    row, letter = int(np.median(rows)), 0.046 * size
    edge = int(columns[rows == row].min())
    line = f'<line x1="{_LETTERS * size:.0f}" y1="{row}" x2="{edge}" y2="{row}"/>'
    return (
        f'{line if edge > _LETTERS * size else ""}<text x="{0.02 * size:.0f}" '
        f'y="{row + 0.34 * letter:.0f}" font-size="{letter:.1f}">{words}</text>'
    )


def _slider() -> str:
    stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in drawing.colours()[::51])
    scale = f'<i style="background:linear-gradient(90deg,{stops})"></i>'
    return (
        f'<div class="scale" aria-hidden="true"><span>no heat</span>{scale}<span>most</span></div>'
        '<label class="opacity"><span>Opacity of the heat</span>'
        '<input type="range" min="0" max="100" value="80" data-opacity></label>'
    )


def _shares(heat: Heatmap) -> str:
    rows = [
        markup.bar(
            f'<button type="button" class="region" data-region="{name}">{name}</button>',
            value,
            "heat",
        )
        for name, value in _ranked(heat)
    ]
    elsewhere = 1.0 - sum(heat.regions.values())
    if heat.regions and elsewhere > 0.005:
        rows.append(markup.bar("elsewhere", elsewhere, "heat faint"))
    return f"<h3>Share of the heat</h3>{markup.bars(rows)}"


def _method(heat: Heatmap, label: str) -> str:
    method = METHODS.get(heat.method)
    what = f": {markup.text(method.what)}" if method else ""
    same = "" if method is None or method.of_label else " The map is the same for every label."
    name = markup.text(heat.method)
    return f'<p class="fine">For <em>{markup.text(label)}</em>, by {name}{what}.{same}</p>'
