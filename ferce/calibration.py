"""What held-out faces said of a checkpoint's probabilities; kept in its `ferce.json`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce.hub import CheckpointError, read_json

FILE = "ferce.json"  # beside config.json; other programs may ignore it
KEY = "calibration"


@dataclass(frozen=True)
class Calibration:
    """How a checkpoint's scores become probabilities.

    Attributes:
        temperature: > 0; scores are divided by it (Guo et al. 2017, arXiv:1706.04599).
        mass: 0..1, probability that a 90 % prediction set must gather (see `Scores.mass`).
        outcomes: 0..1, the same of a set of all 21 outcomes (see `Scores.outcome_mass`).
    """

    temperature: float = 1.0
    mass: float = 0.9
    outcomes: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be positive; got {self.temperature}")
        for name in ("mass", "outcomes"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1; got {getattr(self, name)}")


def load_calibration(folder: Path) -> Calibration:
    """The calibration kept with a checkpoint; one that has none is taken as it is.

    Raises:
        CheckpointError: the file holds something else than a calibration.
    """
    path = folder / FILE
    stored = read_json(path).get(KEY) if path.is_file() else None
    if stored is None:
        return Calibration()
    try:
        return Calibration(**stored)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} must hold temperature and mass under {KEY!r}; {error}"
        ) from error


def save_calibration(folder: Path, calibration: Calibration) -> None:
    """Write the calibration beside a checkpoint; what else the file holds stays."""
    path = folder / FILE
    kept = read_json(path) if path.is_file() else {}
    kept[KEY] = asdict(calibration)
    path.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")


def softmax(scores: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """(N, K) scores to probabilities; rows sum to 1."""
    scaled = np.asarray(scores, np.float64) / temperature
    raised = np.exp(scaled - scaled.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(raised / raised.sum(1, keepdims=True))
