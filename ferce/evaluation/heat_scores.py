"""Scores of heat maps: deletion and insertion, the check by random weights, and where they lie."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.parts import Heatmap
from ferce.core.protocols import Classifier, Explainable, View
from ferce.core.types import Face, Mask
from ferce.evaluation.metrics_file import FILE, is_finite
from ferce.evaluation.plan import write_json
from ferce.explanation.heatmaps import METHODS
from ferce.faces.perturb import GRAIN, face_mask, hide_masks
from ferce.models import hub

if TYPE_CHECKING:
    from ferce.explanation.heatmaps.checks import Randomised

STEPS = 10  # a curve has one point more
ON_FACE = 0.8  # share of the heat that must lie on the face
WITH_BROWS = 0.05  # share of the heat by which the brows must gain where they alone move
BROWS, MOUTH = frozenset({1, 2, 4}), frozenset({10, 12, 20, 23, 24, 26, 27})
PLACES = "places"  # of `metrics.json`


@dataclass(frozen=True)
class Areas:
    """Area under the deletion curve (low is good) and the insertion curve (high is good), 0..1."""

    deletion: float
    insertion: float


def areas(
    classifier: Classifier,
    face: Face,
    maps: Sequence[NDArray[np.floating]],
    label: str,
    seed: int = 0,
    steps: int = STEPS,
) -> list[Areas]:
    """Measure the areas of each map of a face; ties are broken at random, alike for all.

    Args:
        classifier: whose probability is watched.
        face: of side S.
        maps: (S, S) each.
        label: whose probability is watched.
        seed: of the ties.
        steps: equal shares of the crop that are hidden one after the other.
    """
    masks = [mask for heat in maps for mask in _masks(heat, steps, seed)]
    hidden = hide_masks(face, masks)
    p = np.concatenate(
        [classifier.scores(hidden[i : i + 32]).of(label) for i in range(0, len(hidden), 32)]
    ).reshape(len(maps), 2, steps + 1)
    return [Areas(*(float(np.trapezoid(row, dx=1 / steps)) for row in pair)) for pair in p]


def _masks(heat: NDArray[np.floating], steps: int, seed: int) -> list[Mask]:
    """List the hidden pixels of each point: deletion from none to all, insertion reversed."""
    ties = np.random.default_rng(seed).random(heat.size)
    order = np.lexsort((ties, -np.ravel(heat)))
    place = np.empty(heat.size, np.intp)
    place[order] = np.arange(heat.size)
    cuts = np.linspace(0, heat.size, steps + 1)
    gone = [(place < cut).reshape(heat.shape) for cut in cuts]
    return gone + [~mask for mask in gone]


def random_map(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Make (S, S) smooth noise with the grain of `perturb.random_mask`, as a control."""
    import cv2

    cells = max(int(1 / GRAIN), 2) + 1
    noise = rng.random((cells, cells))
    made = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(made - made.min(), np.float32)


@dataclass(frozen=True, eq=False)
class Network:
    """The opened network, a copy with random weights, and notes on what is missing."""

    view: View | None = None
    random: "Randomised | None" = None
    notes: tuple[str, ...] = ()
    seed: int = 0

    @classmethod
    def of(cls, classifier: Classifier, seed: int) -> Self:
        """Open the classifier as far as it allows."""
        if not isinstance(classifier, Explainable):
            why = f"ROAD and random weights need a network's pixels; {classifier.name} opens none"
            return cls(notes=(why,), seed=seed)
        from ferce.explanation.heatmaps import checks

        try:
            view = classifier.view()
            return cls(view, checks.randomised(classifier, seed), (), seed)
        except ValueError as error:
            return cls(notes=(f"ROAD and random weights were not measured: {error}",), seed=seed)

    def scores(
        self, face: Face, heatmap: Heatmap, random: NDArray[np.floating]
    ) -> dict[str, float | None]:
        """Score ROAD of the map and the `random` map, and likeness to a random network's map."""
        if self.view is None or self.random is None:
            return {}
        from ferce.explanation.heatmaps import checks

        label, seed = heatmap.label, self.seed
        row: dict[str, float | None] = {
            "road": checks.road(self.view, face, heatmap.values, label, seed),
            "road_random": checks.road(self.view, face, random, label, seed),
        }
        if METHODS[heatmap.method].need != "any classifier":
            row["random_weights"] = checks.likeness(heatmap, face, self.random)
        return row


@dataclass(frozen=True)
class Places:
    """Where the maps of one method lay on some faces; means of shares of the heat, 0..1.

    A map that is to be shown must put most of its heat on the face, and more of it on the brows of
    faces that move nothing but these than of faces that move nothing but the mouth.

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


def measure_places(maps: Sequence[tuple[Face, Heatmap, str]]) -> Places:
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


def record_places(folder: Path, measured: dict[str, Places]) -> None:
    """Write what was measured, by method, into the folder's `metrics.json`."""
    path = folder / FILE
    content = hub.read_json(path) if path.is_file() else {}
    write_json(path, content | {PLACES: {name: asdict(row) for name, row in measured.items()}})


def load_places(folder: Path) -> dict[str, Places]:
    """Load what `record_places` wrote; empty where nothing was measured.

    Raises:
        CheckpointError: the file holds something else there.
    """
    path = folder / FILE
    rows = hub.read_json(path).get(PLACES, {}) if path.is_file() else {}
    names = {field.name for field in fields(Places)}
    for row in rows.values() if isinstance(rows, Mapping) else [rows]:
        good = isinstance(row, Mapping) and set(row) == names
        if not good or not all(map(is_finite, row.values())):
            raise hub.CheckpointError(f"{path} should hold numbers under {PLACES!r}, by method.")
    return {name: Places(**row) for name, row in rows.items()}
