"""A leaderboard as one HTML file with its plots inside; it loads nothing and runs no script."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

from ferce.core.notice import SHORT
from ferce.evaluation import plots, result
from ferce.evaluation.leaderboard import FAMILIES, FILE, Entry, Leaderboard, Versus
from ferce.evaluation.metrics_file import Figure
from ferce.evaluation.plan import write_json
from ferce.models.hub import read_json
from ferce.report.face import escape
from ferce.report.text import inline

SHOWN = ("macro_f1", "accuracy", "uar", "top2", "ece")  # of `metrics_file.FIGURES`
HEADS = ("macro-F1", "accuracy", "UAR", "top 2", "ECE")
NOTES = (
    "faces/s counts the model's own time, without finding and aligning the face.",
    "Intervals hold 95 % of resamples of people, not of pictures.",
    "Chance: the model's own answers dealt out to the faces at random, with the range of 95 % of "
    "the deals; a figure within it is no better than chance.",
    "Differences are taken on the faces that both models could read. Their p-values come from the "
    "paired bootstrap; McNemar's test asks whether both err equally often, taking faces as "
    "independent, with Holm's correction for all rows of the table.",
)


def markdown(board: Leaderboard) -> str:
    """Write the whole leaderboard as Markdown."""
    return "\n".join(_lines(board)) + "\n"


def title(board: Leaderboard) -> str:
    """Write what was measured."""
    return (
        f"{board.data}, {board.split} split: {board.pictures} pictures, {board.faces} faces of "
        f"{board.people} people that show a compound (fingerprint {board.fingerprint})"
    )


def side_by_side(board: Leaderboard) -> str:
    """Compare the best models of both families in words; "" if a family is missing."""
    best = [models[0] for name in FAMILIES if (models := board.family(name))]
    if len(best) < len(FAMILIES):
        return ""
    words = [f"{m.family}: {m.spec} {figure_text(m.figures['macro_f1'])}" for m in best]
    pair = {m.spec for m in best}
    (apart,) = (row for row in board.differences if {row.a, row.b} == pair)
    return (
        f"Best macro-F1 of either family. {'; '.join(words)}. {apart.name}: "
        f"{figure_text(apart.figures['macro_f1'], signed=True)}, p {p_value(apart.p['macro_f1'])}."
    )


def _lines(board: Leaderboard) -> Iterator[str]:
    yield f"# {inline(title(board))}\n"
    yield f"Leakage audit: **{board.verdict}**\n"
    yield "| check | verdict | what was seen |\n|---|---|---|"
    for check in board.audit:
        yield f"| {inline(check.name)} | {check.verdict} | {inline(check.told)} |"
    yield "\n| model | family | " + " | ".join(HEADS) + " | chance macro-F1 | lost | faces/s |"
    yield "|---|---|" + "--:|" * (len(HEADS) + 3)
    for model in board.models:
        yield _model(model)
    if words := side_by_side(board):
        yield f"\n{inline(words)}"
    if board.differences:
        yield "\n| difference | faces | macro-F1 | p | accuracy | p | McNemar, Holm |"
        yield "|---|" + "--:|" * 6
        for row in board.differences:
            yield _difference(row)
    for spec, reason in board.failed.items():
        yield f"\n`{inline(spec)}` could not be measured: {inline(reason)}"
    yield "\n" + "\n".join(f"- {note}" for note in NOTES)
    yield f"\nMade {inline(str(board.made['date']))} by `{inline(str(board.made['command']))}`."


def _model(model: Entry) -> str:
    figures = [figure_text(model.figures.get(name)) for name in SHOWN]
    name = f"`{inline(model.spec)}`" + (" (control: shuffled labels)" if model.control else "")
    speed = f"{model.speed:.1f}" if model.speed else "–"
    row = [
        name,
        model.family,
        *figures,
        figure_text(model.chance.get("macro_f1")),
        str(model.lost),
        speed,
    ]
    return f"| {' | '.join(row)} |"


def _difference(row: Versus) -> str:
    parts = [f"`{inline(row.a)}` − `{inline(row.b)}`", str(row.faces)]
    for name in ("macro_f1", "accuracy"):
        parts += [figure_text(row.figures[name], signed=True), p_value(row.p[name])]
    return f"| {' | '.join([*parts, p_value(row.mcnemar_holm)])} |"


def figure_text(figure: Figure | None, signed: bool = False) -> str:
    """Write a value with its interval, a dash where there is none."""
    if figure is None:
        return "–"
    form = "+.3f" if signed else ".3f"
    ends = ""
    if figure.interval:
        ends = f" ({figure.interval[0]:{form}} to {figure.interval[1]:{form}})"
    return f"{figure.value:{form}}{ends}"


def p_value(p: float) -> str:
    """Write a p-value with three digits, or that it is smaller."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


MARKDOWN, PAGE, PLOTS = "leaderboard.md", "leaderboard.html", "plots"
STYLE = Path(__file__).with_name("leaderboard.css")


def write(board: Leaderboard, folder: Path) -> None:
    """Write `leaderboard.json`, `.md` and `.html`, and the plots beside them."""
    write_json(folder / FILE, result.clean(board.to_json()))
    (folder / MARKDOWN).write_text(markdown(board), "utf-8")
    pictures = draw(board, folder)
    (folder / PAGE).write_text(page(board, folder, pictures), "utf-8")


def draw(board: Leaderboard, folder: Path) -> dict[str, Path]:
    """Draw the plots; their paths, by what they show."""
    place = folder / PLOTS
    place.mkdir(exist_ok=True)
    pictures = {"Figures with 95 % intervals": place / "figures.png"}
    plots.draw_figures(board, place / "figures.png")
    if board.differences:
        pictures["Differences with 95 % intervals"] = place / "differences.png"
        plots.draw_differences(board.differences, place / "differences.png")
    scores = [_block(board, folder, model)["f1"] for model in board.models]
    plots.draw_classes(board.models, scores, place / "classes.png")
    return pictures | {"F1 by class": place / "classes.png"}


def page(board: Leaderboard, folder: Path, pictures: dict[str, Path]) -> str:
    """Write the HTML."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title(board))}</title>",
            f"<style>{STYLE.read_text('utf-8')}</style></head><body><main>",
            f"<h1>{escape(title(board))}</h1>",
            *_audit(board),
            *_models(board),
            *(_picture(name, path) for name, path in pictures.items()),
            *_differences(board),
            *_each(board, folder),
            "<h2>How to read this</h2><ul>",
            *(f"<li>{escape(note)}</li>" for note in NOTES),
            f"</ul><p class=small>{escape(SHORT)}</p>",
            f"<p class=small>{escape(str(board.made['date']))}: "
            f"<code>{escape(str(board.made['command']))}</code></p></main></body></html>\n",
        ]
    )


def _audit(board: Leaderboard) -> Iterator[str]:
    kind = board.verdict.replace(" ", "-")
    yield f'<h2>Leakage audit: <span class="{kind}">{board.verdict}</span></h2>'
    rows = [
        [escape(c.name), f'<span class="{c.verdict.replace(" ", "-")}">{c.verdict}</span>',
         escape(c.told)]
        for c in board.audit
    ]  # fmt: skip
    yield from _table(("check", "verdict", "what was seen"), rows, words=3)


def _models(board: Leaderboard) -> Iterator[str]:
    yield "<h2>Models</h2>"
    heads = ("model", "family", *HEADS, "chance macro-F1", "lost", "faces/s")
    rows = []
    for model in board.models:
        note = " <small>control: shuffled labels</small>" if model.control else ""
        figures = [_stacked(figure_text(model.figures.get(name))) for name in SHOWN]
        speed = f"{model.speed:.1f}" if model.speed else "–"
        rows.append(
            [f"<code>{escape(model.spec)}</code>{note}", model.family, *figures,
             _stacked(figure_text(model.chance.get("macro_f1"))), str(model.lost), speed]
        )  # fmt: skip
    yield from _table(heads, rows, words=2)
    if words := side_by_side(board):
        yield f"<p>{escape(words)}</p>"
    for spec, reason in board.failed.items():
        yield f"<p><code>{escape(spec)}</code> could not be measured: {escape(reason)}</p>"


def _differences(board: Leaderboard) -> Iterator[str]:
    if not board.differences:
        return
    heads = ("first − second", "faces", "macro-F1", "p", "accuracy", "p", "McNemar, Holm")
    rows = []
    for row in board.differences:
        name = f"<code>{escape(row.a)}</code> − <code>{escape(row.b)}</code>"
        cells = [name, str(row.faces)]
        for key in ("macro_f1", "accuracy"):
            cells += [
                _stacked(figure_text(row.figures[key], signed=True)),
                escape(p_value(row.p[key])),
            ]
        rows.append([*cells, escape(p_value(row.mcnemar_holm))])
    yield from _table(heads, rows, words=1)


def _each(board: Leaderboard, folder: Path) -> Iterator[str]:
    """Show confusion and reliability of every model, folded away."""
    yield "<h2>Each model</h2>"
    for model in board.models:
        yield f"<details><summary><code>{escape(model.spec)}</code></summary>"
        for file, words in (("confusion.png", "confusion"), ("reliability.png", "reliability")):
            if (path := folder / model.folder / file).is_file():
                yield _picture(f"{model.spec}: {words}", path)
        yield "</details>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> Iterator[str]:
    """Write a table of HTML cells; the first `words` columns are text, the others numbers."""
    yield '<div class="wide"><table><thead><tr>'
    yield "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for first, *rest in rows:
        cells = [
            f"<td>{cell}</td>" if place < words else f'<td class="n">{cell}</td>'
            for place, cell in enumerate(rest, 1)
        ]
        yield f'<tr><th scope="row">{first}</th>{"".join(cells)}</tr>'
    yield "</tbody></table></div>"


def _stacked(text: str) -> str:
    """Put the interval into a line of its own."""
    value, space, ends = escape(text).partition(" ")
    return f"{value}<br><small>{ends}</small>" if space else value


def _picture(name: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    alt = escape(name)
    return (
        f'<figure><img alt="{alt}" src="data:image/png;base64,{data}">'
        f"<figcaption>{alt}</figcaption></figure>"
    )


def _block(board: Leaderboard, folder: Path, model: Entry) -> dict[str, dict[str, float]]:
    block: dict[str, dict[str, float]] = read_json(folder / model.folder / result.FILE)[board.split]
    return block
