"""A leaderboard as Markdown: the verdict, the models, the differences, and what to know."""

from collections.abc import Iterator

from ferce.leaderboard import FAMILIES, Entry, Leaderboard, Versus
from ferce.measurements import Figure

SHOWN = ("macro_f1", "accuracy", "uar", "top2", "ece")  # of `measurements.FIGURES`
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
    """The whole leaderboard."""
    return "\n".join(_lines(board)) + "\n"


def title(board: Leaderboard) -> str:
    """What was measured."""
    return (
        f"{board.data}, {board.split} split: {board.pictures} pictures, {board.faces} faces of "
        f"{board.people} people that show a compound (fingerprint {board.fingerprint})"
    )


def side_by_side(board: Leaderboard) -> str:
    """The best model of either family, and how far apart the two are; "" if a family is missing."""
    best = [models[0] for name in FAMILIES if (models := board.family(name))]
    if len(best) < len(FAMILIES):
        return ""
    words = [f"{m.family}: {m.spec} {told(m.figures['macro_f1'])}" for m in best]
    pair = {m.spec for m in best}
    (apart,) = (row for row in board.differences if {row.a, row.b} == pair)
    return (
        f"Best macro-F1 of either family. {'; '.join(words)}. {apart.name}: "
        f"{told(apart.figures['macro_f1'], signed=True)}, p {p_value(apart.p['macro_f1'])}."
    )


def _lines(board: Leaderboard) -> Iterator[str]:
    yield f"# {title(board)}\n"
    yield f"Leakage audit: **{board.verdict}**\n"
    yield "| check | verdict | what was seen |\n|---|---|---|"
    for check in board.audit:
        yield f"| {cell(check.name)} | {check.verdict} | {cell(check.told)} |"
    yield "\n| model | family | " + " | ".join(HEADS) + " | chance macro-F1 | lost | faces/s |"
    yield "|---|---|" + "--:|" * (len(HEADS) + 3)
    for model in board.models:
        yield _model(model)
    if words := side_by_side(board):
        yield f"\n{words}"
    if board.differences:
        yield "\n| difference | faces | macro-F1 | p | accuracy | p | McNemar, Holm |"
        yield "|---|" + "--:|" * 6
        for row in board.differences:
            yield _difference(row)
    for spec, reason in board.failed.items():
        yield f"\n`{spec}` could not be measured: {reason}"
    yield "\n" + "\n".join(f"- {note}" for note in NOTES)
    yield f"\nMade {board.made['date']} by `{board.made['command']}`."


def _model(model: Entry) -> str:
    figures = [told(model.figures.get(name)) for name in SHOWN]
    name = f"`{cell(model.spec)}`" + (" (control: shuffled labels)" if model.control else "")
    speed = f"{model.speed:.1f}" if model.speed else "–"
    row = [name, model.family, *figures, told(model.chance.get("macro_f1")), str(model.lost), speed]
    return f"| {' | '.join(row)} |"


def _difference(row: Versus) -> str:
    parts = [f"`{cell(row.a)}` − `{cell(row.b)}`", str(row.faces)]
    for name in ("macro_f1", "accuracy"):
        parts += [told(row.figures[name], signed=True), p_value(row.p[name])]
    return f"| {' | '.join([*parts, p_value(row.mcnemar_holm)])} |"


def told(figure: Figure | None, signed: bool = False) -> str:
    """A value with its interval, a dash where there is none."""
    if figure is None:
        return "–"
    form = "+.3f" if signed else ".3f"
    ends = ""
    if figure.interval:
        ends = f" ({figure.interval[0]:{form}} to {figure.interval[1]:{form}})"
    return f"{figure.value:{form}}{ends}"


def p_value(p: float) -> str:
    """Three digits, or that it is smaller."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def cell(text: str) -> str:
    """The text in one line, without what ends a cell."""
    return " ".join(text.split()).replace("|", "\\|")
