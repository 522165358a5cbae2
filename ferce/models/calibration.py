"""From a network's outputs to scores: which output is which label, calibration, and the mix.

Outputs are mapped by name, never by position. What held-out faces gave for a checkpoint is kept in
its `ferce.json`. A mix is how often each outcome is met among the faces that a reading is for.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.compute import softmax as stable
from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL, OUTCOMES, parse
from ferce.core.types import Scores
from ferce.models.hub import CheckpointError, read_json

FILE = "ferce.json"  # beside config.json; other programs may ignore it
KEY = "calibration"
EVERYDAY = "everyday"  # stored with a classifier: the shares among its annotated real faces
# Faces of each compound in the training part of RAF-CE (Li et al., CVPRW 2023), ids 0 to 13.
_RAF_CE = (394, 171, 109, 136, 71, 495, 120, 352, 24, 124, 582, 108, 6, 17)
_FEWEST = 1e-4  # share of an outcome that nobody happened to show


@dataclass(frozen=True)
class Calibration:
    """The parameters that turn a checkpoint's scores into probabilities.

    Attributes:
        temperature: > 0; scores are divided by it (Guo et al. 2017, arXiv:1706.04599).
        mass: 0..1, probability that a 90 % prediction set must gather (see `Scores.mass`).
        outcomes: 0..1, the same of a set of all 21 outcomes (see `Scores.outcome_mass`); None where
            that was not found.
    """

    temperature: float = 1.0
    mass: float = 0.9
    outcomes: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be positive; got {self.temperature}")
        for name, value in (("mass", self.mass), ("outcomes", self.outcomes)):
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"{name} must lie in 0..1; got {value}")


def load_calibration(folder: Path) -> Calibration:
    """Load a checkpoint's calibration; one that has none is left as it is.

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
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    part.replace(path)  # whole, or as it was


def softmax(scores: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Turn (N, K) scores into probabilities; rows sum to 1."""
    return stable(np.asarray(scores, np.float64) / temperature)


@dataclass(frozen=True)
class Columns:
    """The labels of a network's outputs, in their order.

    All 14 compounds; neutral and the six basic emotions, each shown alone, may be there as well.
    """

    names: tuple[str, ...]

    @classmethod
    def read(cls, names: Any, where: str, count: int | str | None = None) -> Self:
        """Read the labels that a checkpoint's config names.

        Args:
            names: what it has as `label_names`: a list, or a dict from position to name.
            where: the checkpoint, for the message.
            count: outputs that it says it has, perhaps as text; None where it does not say.

        Raises:
            CheckpointError: not the labels of this task; the message lists those found.
        """
        listed = _listed(names, where, count)
        known = [_parsed(name) for name in listed]
        missing = [label for label in COMPOUNDS if label not in known]
        basics = [label for label in BASICS if label in known]
        odd = [name for name, label in zip(listed, known, strict=True) if label is None]
        if missing or odd or len(set(known)) < len(known) or len(basics) not in (0, len(BASICS)):
            raise CheckpointError(_refusal(where, listed, missing))
        if str(count) not in ("None", str(len(listed))):
            raise CheckpointError(f"{where} has {count} outputs, but names {len(listed)} of them.")
        return cls(tuple(label for label in known if label is not None))

    def index(self, label: str) -> int:
        """Find the column of a label; raises ValueError where the network has none for it."""
        if label not in self.names:
            raise ValueError(f"this model gives no probability for {label!r}")
        return self.names.index(label)

    def scores(self, logits: NDArray[np.floating], calibration: Calibration) -> Scores:
        """Calibrate (N, K) logits; the share of the compounds is spread over them."""
        p = softmax(logits, calibration.temperature)
        place = self.names.index
        mass, calibrated = calibration.mass, calibration != Calibration()
        if set(OUTCOMES) <= set(self.names):
            columns = [place(label) for label in OUTCOMES]
            return Scores.of_outcomes(
                p[:, columns], mass=mass, calibrated=calibrated, outcome_mass=calibration.outcomes
            )
        classes = p[:, [place(label) for label in COMPOUNDS]]
        return Scores(
            classes / np.maximum(classes.sum(1, keepdims=True), np.finfo(float).tiny),
            neutral=p[:, place(NEUTRAL)] if NEUTRAL in self.names else None,
            mass=mass,
            calibrated=calibrated,
        )


def _listed(names: Any, where: str, count: int | str | None) -> list[str]:
    if isinstance(names, Mapping):
        try:
            names = [names[key] for key in sorted(names, key=int)]
        except ValueError as error:
            raise CheckpointError(f"{where} numbers its label_names oddly: {error}.") from error
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        raise CheckpointError(
            f"{where} has {count or 'some'} outputs and no label_names in its config.json to say "
            f"what they mean; a ferce classifier names the 14 compounds there."
        )
    return [str(name) for name in names]


def _parsed(name: str) -> str | None:
    try:
        return parse(name)
    except ValueError:
        return None


def _refusal(where: str, listed: Sequence[str], missing: Sequence[str]) -> str:
    some = ", ".join(listed[:8]) + (", ..." if len(listed) > 8 else "")
    lacks = f"; it lacks {len(missing)}, among them {missing[0]!r}" if missing else ""
    return (
        f"{where} tells apart {len(listed)} classes ({some:.200}), but a ferce classifier needs "
        f"each of the 14 compounds once, with neutral or the six basic emotions besides{lacks}."
    )


@dataclass(frozen=True, eq=False)
class Mix:
    """Shares of the 21 outcomes.

    Attributes:
        name: for messages and tables.
        shares: (21,) in the order of `labels.OUTCOMES`; at least 0, sum to 1.
    """

    name: str
    shares: NDArray[np.float64]

    def __post_init__(self) -> None:
        good = self.shares.shape == (len(OUTCOMES),) and bool((self.shares >= 0).all())
        if not good or not np.isclose(self.shares.sum(), 1):
            raise ValueError(f"mix {self.name!r}: expected {len(OUTCOMES)} shares that sum to 1")

    def applied(self, even: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn (N, 21) probabilities under an even mix into those under this one.

        A shift of the scores by the logarithm of the shares (Saerens et al. 2002).
        """
        weighed = even * self.shares
        return np.asarray(weighed / weighed.sum(1, keepdims=True))

    def as_json(self) -> dict[str, float]:
        """Build what JSON holds of it."""
        return {name: round(float(p), 6) for name, p in zip(OUTCOMES, self.shares, strict=True)}


def mix_of_counts(name: str, counts: Mapping[str, float]) -> Mix:
    """Build the mix in which outcomes were counted; one not met keeps a small share."""
    shares = np.array([float(counts.get(outcome, 0.0)) for outcome in OUTCOMES])
    if not 0 < shares.sum() < np.inf or (shares < 0).any():
        raise ValueError(f"mix {name!r}: expected shares of 0 or more; got {dict(counts)!s:.60}")
    shares = np.maximum(shares / shares.sum(), _FEWEST)
    return Mix(name, shares / shares.sum())


def _even() -> Mix:
    return Mix("even", np.full(len(OUTCOMES), 1 / len(OUTCOMES)))


def _raf_ce() -> Mix:
    shares = np.zeros(len(OUTCOMES))
    shares[: len(COMPOUNDS)] = np.array(_RAF_CE) / sum(_RAF_CE)
    return Mix("raf-ce", shares)


EVEN = _even()
KNOWN: Mapping[str, Mix] = {mix.name: mix for mix in (EVEN, _raf_ce())}


def named_mix(name: str, everyday: Mix = EVEN) -> Mix:
    """Find the mix of that name.

    Args:
        name: "everyday", "even" (each outcome as often as any) or "raf-ce" (compounds alone).
        everyday: what a classifier has stored.

    Raises:
        ValueError: unknown; the message lists the names.
    """
    mixes = {EVERYDAY: everyday, **KNOWN}
    if name not in mixes:
        raise ValueError(f"mix must be one of {', '.join(mixes)}; got {name!r}.")
    return mixes[name]
