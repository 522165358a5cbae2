"""Several models side by side: one column each, and above them how far they agree."""

from collections.abc import Sequence

from ferce.core.parts import Prediction, Reading
from ferce.reading import agreement
from ferce.ui.web import markup
from ferce.ui.web.markup import Update, status
from ferce.ui.web.panels import where, why
from ferce.ui.web.panels.prediction import bars, headline, turned
from ferce.ui.web.session import Column

HELLO = "Choose a photo; every model that is ticked reads the same face."
ALONE = '<p class="fine">Where two models read the face, it stands here how far they agree.</p>'
_IDLE = "Waits for a photo, and loads when it is first used."
_TOP = 4  # outcomes of each model


def blank(names: Sequence[str] = ()) -> Update:
    """Draw the tab before a photo was chosen."""
    cards = [
        f'<article class="card">{_title(name, "")}{markup.empty(_IDLE)}</article>' for name in names
    ]
    return {
        "status": status(HELLO),
        "faces": "",
        "agreement": _card_of(ALONE),
        "columns": _grid(cards),
    }


def sorry(words: str) -> Update:
    """Say why the photo cannot be compared; `words` are plain text."""
    return blank() | {"status": status(markup.text(words), "sorry")}


def waiting(names: Sequence[str]) -> Update:
    """Draw the tab from the choice until the first model says something."""
    ghosts = [_card(name, "", markup.ghost(6), "waiting") for name in names]
    return {
        "status": status("Looking for faces.", "busy"),
        "faces": "",
        "agreement": _card_of(markup.ghost(2), "waiting"),
        "columns": _grid(ghosts),
    }


def differs(before: Reading | None, after: Reading) -> bool:
    """Tell whether a part is there that was not, so that the column is worth drawing."""
    return before is None or _parts_of(before) != _parts_of(after)


def _parts_of(reading: Reading) -> tuple[bool, bool, bool]:
    explanation = reading.explanation
    checked = explanation is not None and bool(explanation.cues)
    return reading.prediction is not None, reading.heatmap is not None, checked


def columns(columns: Sequence[Column]) -> str:
    """Draw all columns as far as they have come."""
    return _grid([_column(column, i) for i, column in enumerate(columns)])


def ended(finished: Sequence[Column]) -> Update:
    """Draw the finished columns with the agreement above them."""
    readings = [column.reading for column in finished if column.reading and not column.trouble]
    count, read = len(finished), len(readings)
    words = f"{read} of {count} models read it" if read < count else f"{read} models read it"
    if count == 1:
        words = "One model read it; tick another one to compare" if read else "It was not read"
    return {
        "status": status(f"{words}."),
        "agreement": _agreement(agreement.compare(readings), read),
        "columns": columns(finished),
    }


def _agreement(measured: agreement.Agreement | None, count: int) -> str:
    if measured is None:
        return _card_of(ALONE)
    words = _votes(measured.labels, count)
    shares = {
        "Probability they share": measured.overlap,
        "Heat in the same places": measured.maps,
    }
    return _card_of(f"<p>{words}</p>{markup.bars(map(_share, shares, shares.values()))}")


def _votes(labels: Sequence[tuple[str, int]], count: int) -> str:
    """Say how many models give each label; those to which none is clear give none."""
    names = [f"<strong>{markup.text(name)}</strong>" for name, _ in labels]
    given = sum(number for _, number in labels)
    silent = f" To {count - given} of them none is clear." if given < count else ""
    if not names:
        return f"To none of the {count} models a label is clear."
    if len(names) == 1 and given == count:
        return f"All {count} models read {names[0]}."
    if len(names) == 1:
        return f"{given} of {count} models read {names[0]}.{silent}"
    if labels[0][1] == 1:
        return f"The {given} models differ: {', '.join(names)}.{silent}"
    rest = "; ".join(f"{number} read {markup.text(name)}" for name, number in labels[1:])
    return f"{labels[0][1]} of {count} read {names[0]}; {rest}.{silent}"


def _card_of(body: str, state: str = "") -> str:
    """Draw the card of the agreement, which always stands in its place."""
    return f'<section class="card agreement {state}"><h2>Agreement</h2>{body}</section>'


def _share(name: str, value: float | None) -> str:
    if value is None:
        return f'<li class="bar"><span class="bar-name">{name}</span>cannot be told</li>'
    return markup.bar(name, value)


def _grid(cards: Sequence[str]) -> str:
    return f'<div class="columns">{"".join(cards)}</div>'


def _column(column: Column, i: int) -> str:
    facts = column.doing or (f"{column.seconds:.2f}&thinsp;s" if column.reading else "")
    if column.trouble:
        words = f'<p class="trouble">{markup.text(column.trouble)}</p>'
        return _card(column.name, "not read", words)
    if column.reading is None or column.reading.prediction is None:
        return _card(column.name, facts, markup.ghost(6), "waiting")
    return _card(column.name, facts, _parts(column, column.reading, column.reading.prediction, i))


def _parts(column: Column, reading: Reading, prediction: Prediction, i: int) -> str:
    heat, explanation = reading.heatmap, reading.explanation
    ghost = markup.waiting(markup.ghost(4))
    frame = markup.waiting(markup.ghost(1, figure=True))  # of the map's height
    figure = where.figure(reading.face, heat, heat.label) if heat else frame
    by = f'<p class="fine">Heat for {markup.text(heat.label)}, by {heat.method}</p>' if heat else ""
    words = ghost
    if explanation and not column.doing:
        words = why.spoken(explanation, f"model{i}")
    voice = f'<p class="fine">Words by <code>{markup.text(column.voice)}</code></p>'
    return (
        f"<div>{headline(prediction)}{turned(reading)}{_own(reading)}</div>"
        f"<div>{markup.bars(bars(prediction, _TOP))}</div>"
        f"<div>{figure}{by}</div><div>{words}{voice}</div>"
    )


def _own(reading: Reading) -> str:
    """Say which compound a model of these alone gives, where the label on top is another."""
    label = agreement.vote(reading)
    if reading.prediction is None or label in (None, reading.prediction.label):
        return ""
    return (
        f'<p class="fine">By itself it says <strong>{markup.text(label)}</strong>: it knows '
        "compounds only, and action units tell whether one or none shows.</p>"
    )


def _card(name: str, facts: str, body: str, state: str = "") -> str:
    return f'<article class="card {state}">{_title(name, facts)}{body}</article>'


def _title(name: str, facts: str) -> str:
    return f"<header><h2><code>{markup.text(name)}</code></h2><small>{facts}</small></header>"
