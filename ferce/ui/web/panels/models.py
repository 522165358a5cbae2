"""The models on the page: a list to choose from, the facts of one, and who did best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ferce.core.labels import COMPOUNDS
from ferce.evaluation.leaderboard import Entry, Leaderboard
from ferce.evaluation.metrics_file import FIGURES, Figure, Measurements
from ferce.publishing.card import RARE
from ferce.publishing.dossier import Dossier
from ferce.ui.web import markup

_SHOWN = ("macro_f1", "accuracy", "uar", "top2", "ece", "set_coverage", "set_size")
_COLUMNS = ("macro_f1", "accuracy", "uar", "ece")  # of a leaderboard


@dataclass(frozen=True)
class Row:
    """One model of the list: `state` is what it is doing, in a word or two."""

    name: str
    state: str
    used: bool
    opened: bool


def listed(rows: Sequence[Row], free: bool) -> str:
    """Draw the models to choose from; `free` adds a field for one of the Hub."""
    items = "".join(
        f'<li><button type="button" data-name="{markup.text(row.name)}" '
        f'aria-pressed="{str(row.opened).lower()}"><code>{markup.text(row.name)}</code>'
        f"<small>{'In use on this page' if row.used else row.state}</small></button></li>"
        for row in rows
    )
    return f'<h2 class="small">Models</h2><ul class="shelf">{items}</ul>{_field() if free else ""}'


def _field() -> str:
    return (
        '<form class="ask hub"><label for="hub-model">A model of the Hub</label><div>'
        '<input id="hub-model" name="model" type="text" autocomplete="off" required '
        'maxlength="200" placeholder="timm:owner/name"><button type="submit">Load</button>'
        "</div></form>"
    )


def draw(facts: Dossier, used: bool, state: str, trouble: str = "") -> str:
    """Draw everything that is known of one model."""
    parts = (
        markup.trouble(trouble) if trouble else "",
        _facts(facts, state),
        "".join(f'<p class="trouble">{markup.text(words)}</p>' for words in facts.problems),
        _measurements(facts.measured),
        _code(facts.code),
    )
    head = (
        f'<header class="model"><h2><code>{markup.text(facts.name)}</code></h2>{_button(used)}'
        "</header>"
    )
    return f'<section class="card dossier">{head}{"".join(parts)}</section>'


def _button(used: bool) -> str:
    if used:
        return '<span class="chip">In use on this page</span>'
    return '<button type="button" class="use" data-use>Use on this page</button>'


def _facts(facts: Dossier, state: str) -> str:
    counts = ", ".join(f"{n:,} in {split}" for split, n in facts.counts.items())
    rows = {
        "What": f"{facts.about[:1].upper()}{facts.about[1:]}.",
        "Plays": " and ".join(facts.roles),
        "State": state,
        "Licence": facts.licence or "Its files name none.",
        "Learnt from": facts.trained_on or "Its files do not tell.",
    }
    if counts:
        rows["Faces"] = f"{counts}, with a compound label"
    items = "".join(f"<dt>{key}</dt><dd>{markup.text(value)}</dd>" for key, value in rows.items())
    return f'<dl class="facts">{items}</dl>'


def _measurements(splits: Sequence[Measurements]) -> str:
    """Draw the first split in full, others folded."""
    if splits:
        rest = "".join(
            f"<details><summary>{markup.text(one.measured_on)}, {one.split} split</summary>"
            f"{_measured(one)}</details>"
            for one in splits[1:]
        )
        return _measured(splits[0]) + rest
    return (
        '<h3>Measured</h3><p class="fine">There are no measurements of this model here. '
        "<code>python train/evaluate.py --model …</code> makes them.</p>"
    )


def _measured(measured: Measurements) -> str:
    names = [name for name in _SHOWN if name in measured.figures]
    rest = [name for name in measured.figures if name not in names]
    title = f"Measured <small>{markup.text(measured.measured_on)}, {measured.split} split</small>"
    return (
        f"<h3>{title}</h3>{_faces(measured)}{_figures(measured, names)}"
        f"<details><summary>More figures</summary>{_figures(measured, rest)}</details>"
        f"<details><summary>Each class</summary>{_classes(measured)}</details>"
        f"<details><summary>Confusion matrix</summary>{confusion(measured)}</details>"
    )


def _faces(measured: Measurements) -> str:
    words = f"{measured.faces:,} faces of a compound."
    if measured.split == "val":
        words += " This split chose the epoch and fitted the calibration, so the figures flatter."
    return f'<p class="fine">{words}</p>'


def _figures(measured: Measurements, names: Sequence[str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{FIGURES[name]}</th><td>{measured.figures[name].value:.3f}</td>'
        f"<td>{_interval(measured.figures[name])}</td></tr>"
        for name in names
    )
    head = (
        '<tr><th scope="col">Figure</th><th scope="col">Value</th>'
        '<th scope="col">95&thinsp;% interval</th></tr>'
    )
    return f'<table class="figures"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def _interval(figure: Figure) -> str:
    if figure.interval is None:
        return "–"
    low, high = figure.interval
    return f"{low:.3f} to {high:.3f}"


def _classes(measured: Measurements) -> str:
    rows = "".join(
        f'<tr><th scope="row">{row.name}{_few(row.support)}</th><td>{row.support}</td>'
        f"<td>{row.precision:.3f}</td><td>{_recall(row.recall, row.interval)}</td>"
        f"<td>{row.f1:.3f}</td></tr>"
        for row in measured.classes()
    )
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("Class", "Faces", "Precision", "Recall (95&thinsp;% interval)", "F1")
    )
    return f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _few(support: int) -> str:
    return f"<small>fewer than {RARE} faces: hardly measured</small>" if support < RARE else ""


def _recall(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None or interval is None:
        return "no face"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def confusion(measured: Measurements) -> str:
    """Draw the matrix as a table whose cells are shaded by the share of their row."""
    letters = [f'<abbr title="{name}">{_short(name)}</abbr>' for name in COMPOUNDS]
    head = "".join(f'<th scope="col">{letter}</th>' for letter in letters)
    body = ""
    for letter, name, row in zip(letters, COMPOUNDS, measured.confusion, strict=True):
        whole = max(int(row.sum()), 1)
        cells = "".join(
            f'<td style="--share:{count / whole:.2f}"{" class=hit" if name == other else ""} '
            f'title="{name} read as {other}: {count}">{count or ""}</td>'
            for other, count in zip(COMPOUNDS, row.tolist(), strict=True)
        )
        body += f'<tr><th scope="row">{letter} <span>{name}</span></th>{cells}</tr>'
    return (
        '<div class="confusion" tabindex="0" role="group" aria-label="Confusion matrix">'
        "<table><caption>Rows are the true class, columns what was read.</caption>"
        f'<thead><tr><th><span class="aloud">True class</span></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _short(name: str) -> str:
    """Shorten to two letters of each word: HaSu for happily surprised."""
    first, _, second = name.partition(" ")
    return f"{first[:2].capitalize()}{second[:2].capitalize()}"


def _code(code: str) -> str:
    return (
        '<h3>Load it elsewhere</h3><div class="code"><button type="button" data-copy>Copy</button>'
        f'<pre tabindex="0"><code>{markup.text(code)}</code></pre></div>'
    )


def boards(boards: Sequence[Leaderboard]) -> str:
    """Draw every leaderboard; nothing where none was made."""
    return "".join(map(_board, boards))


def _board(board: Leaderboard) -> str:
    names = [name for name in _COLUMNS if any(name in m.figures for m in board.models)]
    head = "".join(f'<th scope="col">{FIGURES[name]}</th>' for name in names)
    rows = "".join(_entry(entry, names) for entry in board.models)
    failed = "".join(
        f"<li><code>{markup.text(name)}</code> {markup.text(why)}</li>"
        for name, why in board.failed.items()
    )
    lost = f"<details><summary>Not measured</summary><ul>{failed}</ul></details>" if failed else ""
    return (
        f'<section class="card board"><header><h2>Leaderboard</h2></header>'
        f'<p class="fine">{markup.text(board.data)}, {markup.text(board.split)} split: '
        f"{board.faces:,} faces of {board.people:,} people. Leakage audit: {board.verdict}.</p>"
        '<table class="figures"><thead><tr><th scope="col">Model</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table>{lost}</section>"
    )


def _entry(entry: Entry, names: Sequence[str]) -> str:
    cells = "".join(f"<td>{_cell(entry.figures, name)}</td>" for name in names)
    kind = "control, trained on shuffled labels" if entry.control else entry.family
    return (
        f'<tr><th scope="row"><code>{markup.text(entry.spec)}</code><small>{kind}</small></th>'
        f"{cells}</tr>"
    )


def _cell(figures: Mapping[str, Figure], name: str) -> str:
    if name not in figures:
        return "–"
    figure = figures[name]
    between = f"<small>{_interval(figure)}</small>" if figure.interval else ""
    return f"{figure.value:.3f}{between}"
