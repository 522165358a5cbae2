"""Measure where heat maps lie on faces whose movements are known: on the face, and with the brows.

A map that is to be shown must put most of its heat on the face, and more of it on the brows of
faces that move nothing but these than of faces that move nothing but the mouth.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ferce.core.types import Face, Heatmap
from ferce.evaluation.metrics_file import FILE
from ferce.evaluation.plan import write_json
from ferce.faces.perturb import face_mask
from ferce.models import hub

ON_FACE = 0.8  # share of the heat that must lie on the face
WITH_BROWS = 0.05  # share of the heat by which the brows must gain where they alone move
BROWS, MOUTH = frozenset({1, 2, 4}), frozenset({10, 12, 20, 23, 24, 26, 27})
KEY = "places"  # of `metrics.json`


@dataclass(frozen=True)
class Places:
    """Where the maps of one method lay on some faces; means of shares of the heat, 0..1.

    Attributes:
        faces: that had a map, not empty.
        empty: that had none.
        on_face: share on the face.
        brows: share in the brows of faces that move the brows alone.
        brows_elsewhere: the same of faces that move the mouth alone.
    """

    faces: int
    empty: int
    on_face: float
    brows: float
    brows_elsewhere: float

    @property
    def passed(self) -> bool:
        """Whether the place of this heat can be trusted."""
        return self.on_face >= ON_FACE and self.brows - self.brows_elsewhere >= WITH_BROWS

    @property
    def words(self) -> str:
        """One sentence on where the heat lay."""
        return (
            f"Trust its place little: on {self.faces} faces measured, {self.on_face:.0%} of its "
            f"heat lay on the face ({ON_FACE:.0%} is asked), and the brows had "
            f"{self.brows:.0%} of it where only they move, {self.brows_elsewhere:.0%} where only "
            "the mouth does."
        )


def moving(units: Iterable[int]) -> str | None:
    """Name what alone moves: "brows", "mouth", or None for anything else."""
    shown = set(units)
    brows, mouth = bool(shown & BROWS), bool(shown & MOUTH)
    if brows == mouth:
        return None
    return "brows" if brows else "mouth"


def measure(maps: Sequence[tuple[Face, Heatmap, str]]) -> Places:
    """Average the shares of the heat; each map comes with what moves, "brows" or "mouth"."""
    full = [item for item in maps if not item[1].empty]
    on = [_share(heat, face) for face, heat, _ in full]
    brows = {
        kind: [heat.regions.get("brows", 0.0) for _, heat, moves in full if moves == kind]
        for kind in ("brows", "mouth")
    }
    return Places(
        len(full), len(maps) - len(full), _mean(on), _mean(brows["brows"]), _mean(brows["mouth"])
    )


def _share(heat: Heatmap, face: Face) -> float:
    inside = face_mask(face)
    for mask in face.regions.values():
        inside = inside | mask
    return float(heat.values[inside].sum() / heat.values.sum())


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4) if values else 0.0


def record(folder: Path, measured: dict[str, Places]) -> None:
    """Write what was measured, by method, into the folder's `metrics.json`."""
    path = folder / FILE
    content = hub.read_json(path) if path.is_file() else {}
    write_json(path, content | {KEY: {name: asdict(row) for name, row in measured.items()}})


def load(folder: Path) -> dict[str, Places]:
    """Load what `record` wrote; empty where nothing was measured."""
    path = folder / FILE
    rows = hub.read_json(path).get(KEY, {}) if path.is_file() else {}
    return {name: Places(**row) for name, row in rows.items()}
