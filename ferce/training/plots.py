"""Pictures of a run: how the loss fell, and which labels were taken for which."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferce.core.labels import COMPOUNDS


def draw_history(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Training loss and val macro-F1 by epoch, as PNG."""
    figure = _figure(6.4, 4.0)
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
    """(14, 14) counts as shares of each true class, with the counts written in, as PNG."""
    table = np.array(counts, float)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    figure = _figure(8.5, 7.5)
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


def _figure(width: float, height: float) -> Any:
    """A figure without pyplot, so that no state stays behind."""
    from matplotlib.figure import Figure

    return Figure((width, height))
