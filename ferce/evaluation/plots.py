"""Pictures of an evaluation as PNG: the confusion as counts and shares, and the reliability."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.labels import COMPOUNDS


def draw_counts(counts: Sequence[Sequence[int]], path: Path, split: str) -> None:
    """(14, 14) counts, rows are true classes."""
    table = np.array(counts, float)
    _draw_table(table, [[f"{v:.0f}" for v in row] for row in table], path, (split, "faces"))


def draw_shares(counts: Sequence[Sequence[int]], path: Path, split: str) -> None:
    """The counts as per cent of each true class."""
    table = np.array(counts, float)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    texts = [[f"{100 * v:.0f}" for v in row] for row in shares]
    _draw_table(shares, texts, path, (split, "share of the true class; cells in per cent"))


def _draw_table(
    table: NDArray[np.float64], texts: list[list[str]], path: Path, words: tuple[str, str]
) -> None:
    figure = figure_of(9.0, 8.0)
    axes = figure.subplots()
    top = max(table.max(), 1.0)  # shares are drawn on one scale, whatever the model
    picture = axes.imshow(table, vmin=0, vmax=top, cmap="Blues")
    axes.set_xticks(range(len(COMPOUNDS)), COMPOUNDS, rotation=60, ha="right")
    axes.set_yticks(range(len(COMPOUNDS)), COMPOUNDS)
    axes.set_xlabel("predicted")
    axes.set_ylabel(f"true ({words[0]} split)")
    for row, column in np.argwhere(table > 0):
        dark = table[row, column] > top / 2
        style: dict[str, Any] = {"ha": "center", "va": "center", "size": 9}
        axes.text(column, row, texts[row][column], color="white" if dark else "black", **style)
    figure.colorbar(picture, label=words[1], shrink=0.8)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def draw_reliability(bins: Sequence[Mapping[str, float]], ece: float, path: Path) -> None:
    """Accuracy against confidence, points as large as their share of the faces."""
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


def figure_of(width: float, height: float) -> Any:
    """A figure without pyplot, so that no state stays behind; drawn by Agg."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height))
    FigureCanvasAgg(figure)
    return figure
