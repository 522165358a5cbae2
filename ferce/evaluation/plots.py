"""Pictures of an evaluation as PNG: the confusion as counts and shares, and the reliability."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS
from ferce.evaluation.leaderboard import LANGUAGE, VISION, Entry, Leaderboard, Versus
from ferce.evaluation.metrics_file import Figure

# Okabe & Ito (2008), told apart by people who see few colours.
COLOURS: Mapping[str, str] = {VISION: "#0072b2", LANGUAGE: "#d55e00"}
MARKS: Mapping[str, str] = {VISION: "o", LANGUAGE: "s"}
LONG = 44  # letters of a name beside a plot


def draw_figures(board: Leaderboard, path: Path) -> None:
    """Draw macro-F1 and accuracy of every model with intervals, chance in grey."""
    figure = figure_of(9.0, 1.6 + 0.45 * len(board.models))
    plots = figure.subplots(1, 2, sharey=True)
    for axes, name, title in zip(
        plots, ("macro_f1", "accuracy"), ("macro-F1, 14 compounds", "accuracy"), strict=True
    ):
        for place, model in enumerate(board.models):
            _band(axes, place, model.chance.get(name))
            _point(axes, place, model.figures[name], model.family)
        axes.set(xlim=(0, 1), title=title)
        axes.grid(axis="x", alpha=0.3)
    plots[0].set_yticks(range(len(board.models)), [_name(m) for m in board.models])
    plots[0].invert_yaxis()
    _legend(figure, {m.family for m in board.models})
    figure.savefig(path, dpi=120, bbox_inches="tight")


def draw_differences(rows: Sequence[Versus], path: Path) -> None:
    """Draw differences of macro-F1 and accuracy with intervals; grey where they hold 0."""
    figure = figure_of(9.0, 1.4 + 0.5 * len(rows))
    plots = figure.subplots(1, 2, sharey=True)
    for axes, name, title in zip(
        plots, ("macro_f1", "accuracy"), ("macro-F1", "accuracy"), strict=True
    ):
        axes.axvline(0, color="black", linewidth=0.8)
        for place, row in enumerate(rows):
            difference = row.figures[name]
            low, high = difference.interval or (difference.value, difference.value)
            colour = "grey" if low <= 0 <= high else "#009e73"
            axes.plot([low, high], [place, place], color=colour, linewidth=2)
            axes.plot(difference.value, place, marker="D", color=colour)
        reach = max(abs(end) for end in axes.get_xlim())
        axes.set(xlim=(-reach, reach), title=f"difference of {title}")
        axes.grid(axis="x", alpha=0.3)
    names = [f"{_short(row.a)}\n− {_short(row.b)}" for row in rows]
    plots[0].set_yticks(range(len(rows)), names)
    plots[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def draw_classes(
    models: Sequence[Entry], scores: Sequence[Mapping[str, float]], path: Path
) -> None:
    """Draw F1 of every class and model; `scores` are those of each model by class."""
    table = np.array([[row[name] for name in COMPOUNDS] for row in scores], float)
    figure = figure_of(10.5, 2.6 + 0.45 * len(models))
    axes = figure.subplots()
    picture = axes.imshow(table, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    axes.set_xticks(range(len(COMPOUNDS)), COMPOUNDS, rotation=50, ha="right")
    axes.set_yticks(range(len(models)), [_name(m) for m in models])
    for (row, column), value in np.ndenumerate(table):
        colour = "white" if value > 0.5 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, size=8)
    figure.colorbar(picture, label="F1")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def _band(axes: Any, place: int, chance: Figure | None) -> None:
    if chance is not None and chance.interval:
        low, high = chance.interval
        axes.barh(place, high - low, left=low, height=0.5, color="0.8", zorder=1)


def _point(axes: Any, place: int, figure: Figure, family: str) -> None:
    if figure.interval:
        axes.plot(figure.interval, [place, place], color=COLOURS[family], linewidth=2)
    axes.plot(figure.value, place, marker=MARKS[family], color=COLOURS[family], zorder=3)


def _legend(figure: Any, families: set[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[Any] = [
        Line2D([], [], marker=MARKS[f], color=COLOURS[f], label=f) for f in COLOURS if f in families
    ]
    marks.append(Patch(color="0.8", label="chance (95 % of random deals)"))
    figure.legend(
        handles=marks, loc="upper center", ncols=3, frameon=False, bbox_to_anchor=(0.5, 0)
    )


def _name(model: Entry) -> str:
    return _short(model.spec) + (" (control)" if model.control else "")


def _short(name: str) -> str:
    """Shorten a name to its kind and its end."""
    if len(name) <= LONG:
        return name
    kind = name.partition(":")[0]
    return f"{kind}:…{name[-(LONG - len(kind) - 2) :]}"


def draw_counts(counts: Sequence[Sequence[int]], path: Path, split: str) -> None:
    """Draw (14, 14) counts, rows are true classes."""
    table = np.array(counts, float)
    _draw_table(table, [[f"{v:.0f}" for v in row] for row in table], path, split, "faces")


def draw_shares(counts: Sequence[Sequence[int]], path: Path, split: str) -> None:
    """Draw the counts as per cent of each true class."""
    table = np.array(counts, float)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    texts = [[f"{100 * v:.0f}" for v in row] for row in shares]
    _draw_table(shares, texts, path, split, "share of the true class; cells in per cent")


def _draw_table(
    table: NDArray[np.float64], texts: list[list[str]], path: Path, split: str, unit: str
) -> None:
    figure = figure_of(9.0, 8.0)
    axes = figure.subplots()
    top = max(table.max(), 1.0)  # shares are drawn on one scale, whatever the model
    picture = axes.imshow(table, vmin=0, vmax=top, cmap="Blues")
    axes.set_xticks(range(len(COMPOUNDS)), COMPOUNDS, rotation=60, ha="right")
    axes.set_yticks(range(len(COMPOUNDS)), COMPOUNDS)
    axes.set_xlabel("predicted")
    axes.set_ylabel(f"true ({split} split)")
    for row, column in np.argwhere(table > 0):
        dark = table[row, column] > top / 2
        style: dict[str, Any] = {"ha": "center", "va": "center", "size": 9}
        axes.text(column, row, texts[row][column], color="white" if dark else "black", **style)
    figure.colorbar(picture, label=unit, shrink=0.8)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def draw_reliability(bins: Sequence[Mapping[str, float]], ece: float, path: Path) -> None:
    """Draw accuracy against confidence, points as large as their share of the faces."""
    figure = figure_of(5.0, 5.0)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", label="calibrated")
    total = sum(b["faces"] for b in bins)
    axes.scatter(
        [b["confidence"] for b in bins],
        [b["accuracy"] for b in bins],
        s=[20 + 400 * b["faces"] / total for b in bins],
        alpha=0.7,
        label=f"faces (ECE {ece:.3f})",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def draw_history(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw training loss and val macro-F1 by epoch, as PNG."""
    figure = figure_of(6.4, 4.0)
    left = figure.subplots()
    epochs = [row["epoch"] + 1 for row in history]
    left.plot(epochs, [row["loss"] for row in history], color="tab:blue", marker=".")
    left.set_xlabel("epoch")
    left.set_ylabel("training loss", color="tab:blue")
    right = left.twinx()
    right.plot(epochs, [row["val"] for row in history], color="tab:orange", marker=".")
    right.set_ylabel("val macro-F1", color="tab:orange")
    right.set_ylim(0, 1)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def draw_confusion(counts: Sequence[Sequence[int]], path: Path, split: str = "val") -> None:
    """Draw (14, 14) counts as shares of each true class, counts written in, as PNG."""
    table = np.array(counts, float)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    figure = figure_of(8.5, 7.5)
    axes = figure.subplots()
    picture = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(COMPOUNDS)), COMPOUNDS, rotation=60, ha="right")
    axes.set_yticks(range(len(COMPOUNDS)), COMPOUNDS)
    axes.set_xlabel("predicted")
    axes.set_ylabel(f"true ({split} split)")
    for row, column in np.argwhere(table > 0):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(
            column, row, int(table[row, column]), ha="center", va="center", color=colour, size=8
        )
    figure.colorbar(picture, label="share of the true class", shrink=0.8)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def figure_of(width: float, height: float) -> Any:
    """Make a figure without pyplot, so that no state stays behind; drawn by Agg."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height))
    FigureCanvasAgg(figure)
    return figure
