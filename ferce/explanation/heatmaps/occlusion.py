"""Occlusion maps for any classifier: hide parts of a face, measure the fall of P(label)."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ferce.core.protocols import Classifier
from ferce.core.types import Face, Mask
from ferce.faces import perturb

T = TypeVar("T")
Map = NDArray[np.float32]  # (S, S) in crop pixels, in units of probability

BATCH = 64  # perturbed faces built and scored at once; bounds the memory, not the result
EDGE = 0.02  # softness of a region's border, standard deviation as a share of the crop
CELLS = 7  # grid and RISE: cells along one side, as in RISE (Petsiuk et al. 2018, section 4.1)
DRAWS = 400  # random masks of RISE; the standard error of a pixel is sd(f) / 10


@dataclass(frozen=True, eq=False)
class Question:
    """A classifier, a face and the label to explain, against a second label where given."""

    classifier: Classifier
    face: Face
    label: str
    against: str | None = None

    def drops(self, masks: Iterable[Mask]) -> NDArray[np.float64]:
        """Measure the fall (N,) of P(label) - P(against) when each (S, S) bool mask is hidden."""
        hidden = (f for batch in _batches(masks) for f in perturb.hide_masks(self.face, batch))
        shown = itertools.chain([self.face], hidden)
        support = np.concatenate([self._support(faces) for faces in _batches(shown)])
        return np.asarray(support[0] - support[1:])

    def _support(self, faces: Sequence[Face]) -> NDArray[np.float64]:
        scores = self.classifier.scores(faces)
        rival = 0.0 if self.against is None else scores.of(self.against)
        return np.asarray(scores.of(self.label) - rival)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, BATCH)):
        yield batch


def by_region(question: Question) -> Map:
    """Paint each region with its own drop; one face for each region and the whole face."""
    names = _regions(question.face)
    drops = question.drops(question.face.regions[name] for name in names)
    return paint(dict(zip(names, drops, strict=True)), question.face)


def by_shapley(question: Question) -> Map:
    """Paint each region with its Shapley value; 2^(number of regions) faces are scored.

    Credits evidence that several regions share, which hiding one region alone cannot show. The
    values of all regions add up to the drop when every region is hidden (Shapley 1953; for models
    Lundberg & Lee 2017, arXiv:1705.07874, eq. 4).
    """
    names = _regions(question.face)
    hidden = [c for k in range(1, len(names) + 1) for c in itertools.combinations(names, k)]
    drops = question.drops(perturb.region_mask(question.face, c) for c in hidden)
    worth = {frozenset(c): float(d) for c, d in zip(hidden, drops, strict=True)}
    return paint({name: shapley(name, worth) for name in names}, question.face)


def shapley(name: str, worth: Mapping[frozenset[str], float]) -> float:
    """Compute the mean rise of the worth when `name` joins, over all orders of joining.

    Args:
        name: one member.
        worth: of each non-empty set of members; that of the empty set is 0.
    """
    n = max(map(len, worth))
    return sum(
        (value - worth.get(group - {name}, 0.0)) / (n * math.comb(n - 1, len(group) - 1))
        for group, value in worth.items()
        if name in group
    )


def by_grid(question: Question) -> Map:
    """Average the drops of the windows over each pixel; a window of two cells slides by one."""
    windows = list(_windows(question.face.size))
    stack = np.stack(windows).astype(np.float64)
    mean = np.tensordot(question.drops(windows), stack, 1) / stack.sum(0)
    return np.maximum(_soften(mean, 1 / (2 * (CELLS + 1))), 0)


def by_random_masks(question: Question) -> Map:
    """Compute RISE (Petsiuk, Das & Saenko 2018, arXiv:1806.07421) in its regression form.

    The value of a pixel is cov(drop, hidden) / var(hidden), the expected drop for that pixel: eq. 6
    without the constant that RISE adds everywhere. What chance explains (less than four standard
    errors) is zero. The masks are the same in every call.
    """
    hidden = _random_masks(question.face.size, np.random.default_rng(0))
    return _regress(question.drops(hidden), hidden)


def _regress(drops: NDArray[np.float64], hidden: Mask) -> Map:
    """Regress `drops` (N,) on each pixel of `hidden` (N, S, S); return the slopes (S, S)."""
    centred = hidden - hidden.mean(0, dtype=np.float32)
    variance = np.maximum(np.square(centred).mean(0), 1e-3)
    effect = np.tensordot(drops - drops.mean(), centred, 1) / len(drops) / variance
    chance = 4 * drops.std() / np.sqrt(len(drops) * variance)
    return np.asarray(np.where(effect > chance, effect, 0), np.float32)


def _random_masks(size: int, rng: np.random.Generator) -> Mask:
    """Draw (DRAWS, S, S) coarse random masks, enlarged bilinearly and shifted (RISE, 3.2)."""
    import cv2

    cell = math.ceil(size / CELLS)
    side = (CELLS + 1) * cell
    coins = rng.integers(0, 2, (DRAWS, CELLS + 1, CELLS + 1)).astype(np.float32)
    masks = np.empty((DRAWS, size, size), np.bool_)
    for mask, toss, (y, x) in zip(masks, coins, rng.integers(0, cell, (DRAWS, 2)), strict=True):
        mask[:] = cv2.resize(toss, (side, side))[y : y + size, x : x + size] > 0.5
    return masks


def _windows(size: int) -> Iterator[Mask]:
    """Yield CELLS x CELLS masks that together cover every pixel."""
    edges = np.linspace(0, size, CELLS + 2).round().astype(int)
    for row, column in itertools.product(range(CELLS), repeat=2):
        mask = np.zeros((size, size), np.bool_)
        mask[edges[row] : edges[row + 2], edges[column] : edges[column + 2]] = True
        yield mask


def _regions(face: Face) -> tuple[str, ...]:
    if not face.regions:
        raise ValueError(
            "This face came without landmarks, so it has no regions to hide; "
            "use the method 'occlusion-grid' or 'rise'."
        )
    return tuple(face.regions)


def paint(amounts: Mapping[str, float], face: Face) -> Map:
    """Fill regions with their amount and soften the borders; negative amounts are drawn as 0.

    Where two soft borders meet, a pixel takes the weighted mean, so no pixel exceeds its regions.
    """
    heat = np.zeros((2, face.size, face.size), np.float32)  # amounts, and how many regions
    for name, amount in amounts.items():
        heat[:, face.regions[name]] += np.array([[max(float(amount), 0.0)], [1.0]], np.float32)
    total, weight = (_soften(values, EDGE) for values in heat)
    return np.asarray(total / np.maximum(weight, 1.0), np.float32)


def _soften(values: NDArray[np.floating], share: float) -> Map:
    """Blur by a Gaussian with a standard deviation of `share` of the side."""
    import cv2

    return np.asarray(cv2.GaussianBlur(np.float32(values), (0, 0), share * len(values)))
