"""A quick classifier trained on shuffled labels, whose answers must be no better than chance.

Were they better, the labels of the test faces would reach the answers on a way that is not the
picture: by the order of the rows, by the cache, by the scoring. It is a ridge regression of the
label on small grey pictures, solved at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferce import images
from ferce.core.labels import COMPOUNDS
from ferce.data.align import square
from ferce.data.record import Sample, pixels
from ferce.evaluation import metrics

SIDE = 20  # pixels of the grey picture
MOST = 4000  # faces of either side, which bounds time and memory; evenly drawn from more
TRIALS = 30  # shuffles
RIDGE = 10.0  # on features of unit variance
LIMIT = 3.3  # standard errors over chance; by luck once in 2,000 audits
Values = NDArray[np.float64]
Classes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Grey:
    """N faces: (N, SIDE * SIDE) grey values and the classes."""

    x: Values
    y: Classes


@dataclass(frozen=True)
class Outcome:
    """Accuracy with true labels, and with shuffled ones beside its chance.

    `excess` is how far shuffled labels score over chance on average, `error` its standard error.
    """

    faces: int
    true: float
    shuffled: float
    chance: float
    excess: float
    error: float

    @property
    def at_chance(self) -> bool:
        """Whether shuffled labels teach nothing about the test faces."""
        return self.excess <= LIMIT * self.error


def read(samples: Iterable[Sample], most: int = MOST) -> Grey:
    """Read the faces with a compound label; of more than `most`, evenly drawn ones.

    Memory is bounded by twice `most` faces.
    """
    kept: list[tuple[Values, int]] = []
    seen, step = 0, 1
    for sample in samples:
        if sample.label not in COMPOUNDS:
            continue
        seen += 1
        if (seen - 1) % step:
            continue
        try:
            kept.append((_grey(sample), COMPOUNDS.index(sample.label)))
        except (images.ImageError, OSError):
            continue  # listed by the audit of the pictures
        if len(kept) >= 2 * most:
            kept, step = kept[::2], 2 * step
    x = np.array([row for row, _ in kept], np.float64).reshape(-1, SIDE * SIDE)
    return Grey(x, np.array([label for _, label in kept], np.intp))


def run(train: Grey, test: Grey, seed: int = 0, trials: int = TRIALS) -> Outcome:
    """Fit on true labels and on shuffled ones, and ask for the test faces.

    Chance is the accuracy that is expected when the same answers are dealt out at random.
    """
    rng = np.random.default_rng(seed)
    shuffles = [rng.permutation(train.y) for _ in range(trials)]
    true, *answers = _answers(train.x, [train.y, *shuffles], test.x)
    scores = np.array([metrics.accuracy(test.y, answer) for answer in answers])
    chances = np.array([_chance(test.y, answer) for answer in answers])
    excess = scores - chances
    return Outcome(
        faces=len(test.y),
        true=metrics.accuracy(test.y, true),
        shuffled=float(scores.mean()),
        chance=float(chances.mean()),
        excess=float(excess.mean()),
        error=max(float(excess.std(ddof=1) / np.sqrt(trials)), 1e-9),
    )


def _answers(x: Values, labels: Sequence[Classes], asked: Values) -> list[Classes]:
    """Predict the classes of `asked` for each labelling of `x`, by one factorisation."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    x, asked = (x - mean) / spread, (asked - mean) / spread
    inverse = np.linalg.inv(x.T @ x + RIDGE * np.eye(x.shape[1]))
    project = asked @ (inverse @ x.T)  # (M, N)
    hot = np.eye(len(COMPOUNDS))
    return [(project @ (hot[y] - hot[y].mean(0)) + hot[y].mean(0)).argmax(1) for y in labels]


def _chance(truth: Classes, answer: Classes) -> float:
    k = len(COMPOUNDS)
    shares = [np.bincount(values, minlength=k) / len(values) for values in (truth, answer)]
    return float(shares[0] @ shares[1])


def _grey(sample: Sample) -> Values:
    small = square(pixels(sample), SIDE)
    return np.asarray(small.mean(2).ravel(), np.float64)
