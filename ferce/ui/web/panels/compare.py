"""Several models side by side: one column each, and above them how far they agree."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ferce.core.types import Prediction, Reading
from ferce.reading import agreement
from ferce.ui.web import markup
from ferce.ui.web.flows.flow import line
from ferce.ui.web.panels import where, why
from ferce.ui.web.panels.prediction import headline

if TYPE_CHECKING:
    from ferce.ui.web.flows.comparing import Column

HELLO = "Choose a photo; every model that is ticked reads the same face."
ALONE = '<p class="fine">Where two models read the face, it stands here how far they agree.</p>'
_TOP = 4  # classes of each model

Shown = dict[str, str]


def blank(names: Sequence[str] = ()) -> Shown:
    """Before a photo was chosen."""
    told = [
        f'<article class="card">{_title(name, "")}{markup.ghost(6)}</article>' for name in names
    ]
    return {
        "status": line(HELLO),
        "faces": "",
        "agreement": _card_of(ALONE),
        "columns": _grid(told),
    }


def sorry(words: str) -> Shown:
    """The photo cannot be compared; `words` are plain text."""
    return blank() | {"status": line(markup.text(words), "sorry")}


def waiting(names: Sequence[str]) -> Shown:
    """From the choice until the first model says something."""
    ghosts = [_card(name, "", markup.ghost(6), "waiting") for name in names]
    return {
        "status": line("Looking for faces.", "busy"),
        "faces": "",
        "agreement": _card_of(markup.ghost(2), "waiting"),
        "columns": _grid(ghosts),
    }


def differs(before: Reading | None, after: Reading) -> bool:
    """Whether a part is there that was not, so that the column is worth drawing."""
    return before is None or any(
        (getattr(before, part) is None) != (getattr(after, part) is None)
        for part in ("prediction", "heatmap", "faithfulness")
    )


def columns(told: "Sequence[Column]") -> str:
    """All columns as far as they have come."""
    return _grid([_column(column, i) for i, column in enumerate(told)])


def ended(told: "Sequence[Column]") -> Shown:
    """The finished columns with the agreement above them."""
    readings = [column.reading for column in told if column.reading and not column.trouble]
    read = len(readings)
    words = (
        f"{read} of {len(told)} models read it" if read < len(told) else f"{read} models read it"
    )
    if len(told) == 1:
        words = "One model read it; tick another one to compare" if read else "It was not read"
    return {
        "status": line(f"{words}."),
        "agreement": _agreement(agreement.compare(readings), read),
        "columns": columns(told),
    }


def _agreement(found: agreement.Agreement | None, count: int) -> str:
    if found is None:
        return _card_of(ALONE)
    first, number = found.labels[0]
    if found.unanimous:
        words = f"All {count} models read <strong>{markup.text(first)}</strong>."
    else:
        rest = "; ".join(f"{n} read {markup.text(name)}" for name, n in found.labels[1:])
        words = f"{number} of {count} read <strong>{markup.text(first)}</strong>; {rest}."
        if number == 1:
            words = f"The {count} models differ: {', '.join(_names(found))}."
    rows = _shared("Probability they share", found.overlap)
    rows += _shared("Heat in the same places", found.maps)
    return _card_of(f'<p>{words}</p><ul class="bars">{rows}</ul>')


def _card_of(body: str, state: str = "") -> str:
    """The card of the agreement, which always stands in its place."""
    return f'<section class="card agreement {state}"><h2>Agreement</h2>{body}</section>'


def _shared(name: str, value: float | None) -> str:
    if value is None:
        return f'<li class="bar"><span class="bar-name">{name}</span>cannot be told</li>'
    return markup.bar(name, value)


def _names(found: agreement.Agreement) -> list[str]:
    return [f"<strong>{markup.text(name)}</strong>" for name, _ in found.labels]


def _grid(cards: Sequence[str]) -> str:
    return f'<div class="columns">{"".join(cards)}</div>'


def _column(column: "Column", i: int) -> str:
    facts = column.doing or (f"{column.seconds:.2f}&thinsp;s" if column.reading else "")
    if column.trouble:
        words = f'<p class="trouble">{markup.text(column.trouble)}</p>'
        return _card(column.name, "not read", words)
    if column.reading is None or column.reading.prediction is None:
        return _card(column.name, facts, markup.ghost(6), "waiting")
    return _card(column.name, facts, _parts(column, column.reading, column.reading.prediction, i))


def _parts(column: "Column", reading: Reading, prediction: Prediction, i: int) -> str:
    heat, told = reading.heatmap, reading.explanation
    ghost = f'<div class="waiting">{markup.ghost(4)}</div>'
    frame = f'<div class="waiting">{markup.ghost(1, figure=True)}</div>'  # of the map's height
    figure = where.figure(reading.face, heat, heat.label) if heat else frame
    by = f'<p class="fine">Heat for {markup.text(heat.label)}, by {heat.method}</p>' if heat else ""
    words = why.spoken(told, f"model{i}") if told and not column.doing else ghost
    voice = f'<p class="fine">Words by <code>{markup.text(column.voice)}</code></p>'
    return (
        f"<div>{headline(prediction)}</div><div>{_bars(prediction)}</div>"
        f"<div>{figure}{by}</div><div>{words}{voice}</div>"
    )


def _bars(prediction: Prediction) -> str:
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:_TOP]
    rows = (markup.bar(f"{markup.dots(name)}{markup.text(name)}", value) for name, value in ranked)
    return f'<ul class="bars">{"".join(rows)}</ul>'


def _card(name: str, facts: str, body: str, state: str = "") -> str:
    return f'<article class="card {state}">{_title(name, facts)}{body}</article>'


def _title(name: str, facts: str) -> str:
    return f"<header><h2><code>{markup.text(name)}</code></h2><small>{facts}</small></header>"
