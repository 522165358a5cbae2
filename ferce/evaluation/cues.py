"""Yes-or-no questions about facial cues, by which towers and voices are scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ferce.facs.action_units import UNIT_NUMBERS

# Cue -> action units, any of which makes it a yes.
CUES: MappingProxyType[str, tuple[int, ...]] = MappingProxyType(
    {
        "mouth open": (25, 26, 27),
        "smile": (12,),
        "brows raised": (1, 2),
        "brows lowered": (4,),
        "eyes wide": (5,),
        "eyes narrowed": (7,),
        "eyes closed": (43,),
        "nose wrinkled": (9,),
        "lip corners down": (15,),
    }
)
CLEAR, ABSENT = 0.35, 0.10  # strength from which a cue is asked for as a yes, up to which as a no
LEAST = 5  # faces on either side of a cue that is counted


@dataclass(frozen=True)
class Score:
    """Balanced accuracy and area under the curve of each cue, nan where too few faces show it."""

    balanced: Mapping[str, float]
    area: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Mean balanced accuracy over the cues that could be measured, nan where none could."""
        known = [value for value in self.balanced.values() if value == value]
        return sum(known) / len(known) if known else float("nan")

    def told(self) -> str:
        """Write the mean and each cue as balanced accuracy/area."""
        cues = (f"{k} {v:.2f}/{self.area[k]:.2f}" for k, v in self.balanced.items() if v == v)
        return f"{self.mean:.3f} ({', '.join(cues)})"


def truths(strengths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (N, A) strengths into (N, C) truths: 1 yes, 0 no, nan not asked."""
    columns = []
    for units in CUES.values():
        own = strengths[:, [UNIT_NUMBERS.index(u) for u in units]]
        some = np.nan_to_num(own, nan=0.0).max(1)
        none = np.nan_to_num(own, nan=1.0).max(1)
        columns.append(np.where(some >= CLEAR, 1.0, np.where(none <= ABSENT, 0.0, np.nan)))
    return np.stack(columns, 1).astype(np.float32)


def of_units(units: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (N, A) scores of units into (N, C) of cues: that of the likeliest unit."""
    places = [[UNIT_NUMBERS.index(u) for u in own] for own in CUES.values()]
    return np.stack([units[:, own].max(1) for own in places], 1)


def limits(scores: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fit (C,) thresholds with the best balanced accuracy on these faces."""
    return np.array([_limit(s, w) for s, w in zip(scores.T, wanted.T, strict=True)], np.float32)


def measure(
    scores: NDArray[np.float32],
    wanted: NDArray[np.float32],
    at: NDArray[np.float32] | float = 0.0,
) -> Score:
    """Score how well (N, C) scores above `at` predict `wanted` (N, C)."""
    limit = np.broadcast_to(np.asarray(at, np.float32), (scores.shape[1],))
    balanced, area = {}, {}
    for k, name in enumerate(CUES):
        yes, no = scores[wanted[:, k] == 1, k], scores[wanted[:, k] == 0, k]
        if min(len(yes), len(no)) < LEAST:
            balanced[name] = area[name] = float("nan")
            continue
        balanced[name] = float(((yes > limit[k]).mean() + (no <= limit[k]).mean()) / 2)
        area[name] = float(np.mean(np.searchsorted(np.sort(no), yes) / len(no)))
    return Score(balanced, area)


def _limit(scores: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    yes, no = np.sort(scores[wanted == 1]), np.sort(scores[wanted == 0])
    if min(len(yes), len(no)) < LEAST:
        return 0.0
    every = np.concatenate([yes, no])
    right = 1 - np.searchsorted(yes, every, "right") / len(yes)
    right += np.searchsorted(no, every, "right") / len(no)
    return float(every[right.argmax()])
