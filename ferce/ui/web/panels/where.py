"""Where the model looks: what the network sees beside what hiding a part costs, on one face."""

from collections.abc import Mapping, Sequence

import numpy as np

from ferce.core.parts import Heatmap, Reading
from ferce.core.types import Face, Mask
from ferce.explanation.heatmaps import METHODS
from ferce.publishing import dossier
from ferce.report import drawing
from ferce.ui.web import markup
from ferce.ui.web.session import MapRequest

TITLE = "Where it looks"
_SIDE = 512  # pixels of the picture sent to the page, at most
_NAMED = 0.12  # share from which a region's name stands in the picture
_LETTERS = 0.3  # of the picture's width, taken by a name
_HEAT = 0.85  # opacity of the strongest heat at the slider's right end
_LEAST = 0.02  # probability; what costs less is noise, as in `explanation.text.verdicts`
_ABOUT = (
    "Heat is what speaks for the label: by hiding a part and measuring what that costs, and by "
    "looking into the network."
)


def blank() -> str:
    """Draw the panel before a photograph was chosen."""
    return markup.empty(_ABOUT)


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


def draw(
    reading: Reading, wanted: MapRequest | None = None, trouble: str = "", model: str = ""
) -> str:
    """Draw the maps of a face, with their request.

    Args:
        reading: with its map and, where there is one, that beside it.
        wanted: what the visitor asked for.
        trouble: why there is no other map.
        model: spec of the classifier, whose measured places are told.
    """
    return (_status(trouble, "sorry") if trouble else "") + _body(reading, wanted, model)


def _status(words: str, kind: str) -> str:
    return f'<p class="status {kind}" role="status">{markup.text(words)}.</p>'.replace("..<", ".<")


def _body(reading: Reading, wanted: MapRequest | None, model: str = "") -> str:
    maps = sorted(filter(None, (reading.heatmap, reading.beside)), key=_hides)
    if not maps:
        return figure(reading.face, None) + "<p>No heat map was made.</p>"
    label = wanted.words if wanted else maps[0].label
    drawn = "".join(_map(reading.face, heat, label) for heat in maps)
    some = [heat for heat in maps if not heat.empty]
    parts = (
        f'<div class="maps">{drawn}</div>',
        _slider() if some else "",
        f'<p class="differ">{_compared(*maps)}</p>' if len(maps) == 2 else "",
        _table(reading.face, maps) if some else "",
        "".join(_method(heat, label, model) for heat in maps),
    )
    return "".join(parts)


def _hides(heat: Heatmap) -> bool:
    return heat.method in METHODS and METHODS[heat.method].hides


def _map(face: Face, heat: Heatmap, label: str) -> str:
    """Draw one map with its title and the scale of its colours."""
    title = "What hiding costs" if _hides(heat) else "What the network sees"
    if heat.empty:
        words = f"Nothing in this face spoke for <em>{markup.text(label)}</em>."
        return f"<div><h3>{title}</h3>{figure(face, None)}<p>{words}</p></div>"
    most = f"costs {heat.values.max():.2f}" if _hides(heat) else "most"
    return f"<div><h3>{title}</h3>{figure(face, heat, label)}{_scale(most)}</div>"


def figure(face: Face, heat: Heatmap | None, label: str = "") -> str:
    """Draw the face with its heat, which is for `label`, and the outlines of its regions."""
    crop = drawing.fit(face.crop, min(face.size, _SIDE), enlarge=False)
    words = "The face, cut out and levelled"
    top = ""
    if heat is not None:
        layer = markup.picture(drawing.draw_heatmap(crop, drawing.smooth(heat), _HEAT, bar=False))
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
    ranked = _ranked(heat) if heat else []
    named = [name for i, (name, share) in enumerate(ranked) if share >= _NAMED or not i]
    masks = {name: mask for name, mask in face.regions.items() if mask.any()}
    rows = _apart({name: _middle(mask) for name, mask in masks.items()}, face.size)
    shapes = "".join(
        f'<g data-outline="{name}" class="{"named" if name in named else ""}">{_path(mask)}'
        f"{_name(mask, name, rows[name])}</g>"
        for name, mask in masks.items()
    )
    return f'<svg viewBox="0 0 {face.size} {face.size}" aria-hidden="true">{shapes}</svg>'


def _middle(mask: Mask) -> float:
    return float(np.median(np.nonzero(mask)[0]))


def _apart(rows: Mapping[str, float], size: int) -> dict[str, float]:
    """Move the rows of names down where two would overlap, and back up from the lower edge."""
    step, made, floor = 0.085 * size, dict[str, float](), 0.0
    for name in sorted(rows, key=lambda name: rows[name]):
        made[name] = floor = max(rows[name], floor + step)
    ceiling = size - 0.5 * step
    for name in reversed(made):
        made[name] = ceiling = min(made[name], ceiling)
        ceiling -= step
    return made


def _path(mask: Mask) -> str:
    import cv2

    rings, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    smooth = (cv2.approxPolyDP(ring, 0.006 * mask.shape[0], True)[:, 0] for ring in rings)
    path = "".join("M" + "L".join(f"{x} {y}" for x, y in ring) + "Z" for ring in smooth)
    return f'<path d="{path}"/>'


def _name(mask: Mask, words: str, place: float) -> str:
    """Write the region's name at the picture's left edge, tied to its outline by a line."""
    size = mask.shape[0]
    rows, columns = np.nonzero(mask)
    row, letter = int(np.median(rows)), 0.07 * size
    edge = int(columns[rows == row].min())
    line = f'<line x1="{_LETTERS * size:.0f}" y1="{place:.0f}" x2="{edge}" y2="{row}"/>'
    return (
        f'{line if edge > _LETTERS * size else ""}<text x="{0.02 * size:.0f}" '
        f'y="{place + 0.34 * letter:.0f}" font-size="{letter:.1f}">{words}</text>'
    )


def _scale(most: str) -> str:
    stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in drawing.colours()[::51])
    scale = f'<i style="background:linear-gradient(90deg,{stops})"></i>'
    return f'<div class="scale"><span>nothing</span>{scale}<span>{most}</span></div>'


def _slider() -> str:
    return (
        '<label class="opacity"><span>Opacity of the heat</span>'
        '<input type="range" min="0" max="100" value="80" data-opacity></label>'
    )


def costs(face: Face, heat: Heatmap) -> dict[str, float]:
    """Take the largest value of a map in each region: what hiding it costs, in probability."""
    return {n: float(heat.values[m].max()) for n, m in face.regions.items() if m.any()}


def _compared(network: Heatmap, hiding: Heatmap) -> str:
    """Say in one sentence whether the two maps point to the same part."""
    most = float(hiding.values.max())
    if network.empty or hiding.empty or most < _LEAST or not hiding.regions:
        return "No single part decides: hiding any one of them costs next to nothing."
    first, other = _ranked(hiding)[0], _ranked(network)[0]
    if first[0] == other[0]:
        return f"Both point to the <strong>{first[0]}</strong>."
    return (
        f"<strong>They disagree.</strong> Hiding the {first[0]} costs most ({most:.2f} of the "
        f"probability), but of what the network sees the {other[0]} has most "
        f"({markup.percent(other[1])}). Trust the cost: it is measured on the whole classifier."
    )


def _table(face: Face, maps: Sequence[Heatmap]) -> str:
    """List the regions: what hiding each costs, and its share of what the network sees."""
    ranked = [name for name, _ in _ranked(maps[-1])]
    columns = [costs(face, heat) if _hides(heat) else heat.regions for heat in maps]
    titles = ["Hiding it costs" if _hides(heat) else "Share of the heat" for heat in maps]
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    rows = "".join(
        f'<tr><th scope="row"><button type="button" class="region" data-region="{name}">{name}'
        f"</button></th>{''.join(map(_cell, maps, (c.get(name, 0.0) for c in columns)))}</tr>"
        for name in ranked
    )
    if not rows:
        return ""
    rows += _elsewhere(maps)
    return (
        f'<table class="parts"><thead><tr><th scope="col">Part</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _elsewhere(maps: Sequence[Heatmap]) -> str:
    """Draw the row of what lies outside the parts, which cannot be hidden one by one."""
    if all(map(_hides, maps)):
        return ""
    cells = (
        "<td>–</td>" if _hides(heat) else _cell(heat, 1 - sum(heat.regions.values()))
        for heat in maps
    )
    return f'<tr><th scope="row">elsewhere</th>{"".join(cells)}</tr>'


def _cell(heat: Heatmap, value: float) -> str:
    words = f"{value:.2f}" if _hides(heat) else markup.percent(value)
    width = 100 * min(max(value, 0.0), 1.0)
    return (
        f'<td><span class="bar-track" aria-hidden="true"><span style="width:{width:.1f}%"></span>'
        f"</span>{words}</td>"
    )


def _method(heat: Heatmap, label: str, model: str) -> str:
    method = METHODS.get(heat.method)
    what = f": {markup.text(method.what)}" if method else ""
    same = "" if method is None or method.of_label else " The map is the same for every label."
    name = markup.text(heat.method)
    about = f"For <em>{markup.text(label)}</em>, by {name}{what}.{same}"
    return f'<p class="fine">{about}{_places(heat, model)}</p>'


def _places(heat: Heatmap, model: str) -> str:
    """Say where the heat of a packaged model's method lay when it was measured, if it failed."""
    measured = dossier.places(model).get(heat.method) if model else None
    if measured is None or measured.passed:
        return ""
    return f" <strong>{markup.text(measured.words)}</strong>"
