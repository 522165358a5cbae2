"""The values: frozen dataclasses that check themselves; behaviour lives elsewhere."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, HOLDING, NEUTRAL, OUTCOMES


class ReadingError(RuntimeError):
    """An error from outside ferce that keeps a face from being read, such as a silent server."""


Pixels = NDArray[np.uint8]  # (H, W, 3) RGB
Points = NDArray[np.float32]
Mask = NDArray[np.bool_]

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the photograph
Side = Literal["left", "right"]  # of the person, not of the picture

REGIONS: tuple[str, ...] = ("brows", "eyes", "nose", "cheeks", "mouth", "chin")


def frozen(mapping: Mapping[Any, Any]) -> MappingProxyType[Any, Any]:
    """Copy a mapping that cannot be changed; one that was frozen stays as it is."""
    return mapping if isinstance(mapping, MappingProxyType) else MappingProxyType(dict(mapping))


def require(condition: bool, message: str) -> None:
    """Raise ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_unit(value: float, name: str) -> None:
    """Raise ValueError unless the value lies in 0..1."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must lie in 0..1; got {value}")


@dataclass(frozen=True)
class UnitEvidence:
    """Evidence of one action unit by one sensor.

    `intensity` 0 (absent) to 1 (as strong as faces show it); `confidence` 0 (this sensor cannot
    tell) to 1 (sure). `left` and `right` are intensities of the person's two sides, None for units
    without sides. `source` names the sensor.
    """

    unit: int
    intensity: float
    confidence: float
    left: float | None = None
    right: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if 0.0 <= self.intensity <= 1.0 and 0.0 <= self.confidence <= 1.0:
            return  # writing the messages takes longer than the check
        require_unit(self.intensity, f"intensity of AU{self.unit}")
        require_unit(self.confidence, f"confidence of AU{self.unit}")

    def dimmed(self, share: float) -> "UnitEvidence":
        """Copy it with a share of its confidence."""
        sides = self.left, self.right
        return UnitEvidence(
            self.unit, self.intensity, self.confidence * share, *sides, source=self.source
        )

    @property
    def asymmetry(self) -> float:
        """(left - right) / max, -1..1; 0 where the unit has no sides or is not active."""
        if self.left is None or self.right is None or max(self.left, self.right) <= 0:
            return 0.0
        return (self.left - self.right) / max(self.left, self.right)

    @property
    def side(self) -> Side | None:
        """The side that is clearly stronger (twice the other), or None."""
        if abs(self.asymmetry) < 0.5 or self.intensity <= 0:
            return None
        return "left" if self.asymmetry > 0 else "right"


Units = Mapping[int, UnitEvidence]


# Degrees of yaw as measured. On four rendered heads a smile and a raised brow of the far side alone
# had a signal of .56 from the front, .30 at 15 and .02 at 29; of the near side alone .54 from the
# front, .41 at 42, .28 at 46, .13 at 51 and .04 at 56.
FAR_SIDE, NEAR_SIDE = 30.0, 45.0


@dataclass(frozen=True)
class Quality:
    """Measures of how readable a face is.

    `size` is the larger side of the mesh in photo pixels, `sharpness` that of
    `faces.quality.sharpness`; head pose in degrees: yaw > 0 faces the picture's right, pitch > 0
    looks up, roll > 0 leans clockwise in the picture.
    """

    size: float
    sharpness: float
    yaw: float
    pitch: float
    roll: float

    @property
    def caution(self) -> str | None:
        """One sentence on what a turned head hides of a face that is read; None from the front."""
        turned = abs(self.yaw)
        if turned < FAR_SIDE:
            return None
        words = f"The head is turned {turned:.0f} degrees: the far side is guessed"
        if turned < NEAR_SIDE:
            return f"{words}."
        return f"{words}, and half or more of what the near side does is missed."


@dataclass(frozen=True, eq=False)
class Face:
    """One aligned face.

    Attributes:
        crop: (S, S, 3) uint8 RGB, eyes level.
        box: of the mesh, pixels of the photograph.
        landmarks: (478, 3) float32, x and y in photo pixels, z in the same scale (smaller is
            nearer); None for a crop that came without detection.
        to_crop: (2, 3) affine map from photo pixels to crop pixels.
        regions: name -> (S, S) bool in crop pixels, keys of `REGIONS`; empty without landmarks.
        units: action unit -> evidence; empty when nothing was measured.
        blendshapes: the 52 ARKit scores 0..1, name -> value.
        quality: None for a crop that came without detection.
        problem: why this face must not be read, one sentence; None when it may.
        hidden: region -> share 0..1 of it that was covered after the face was measured, for models
            that read the measures; empty for an unchanged face.
    """

    crop: Pixels
    box: Box = (0.0, 0.0, 0.0, 0.0)
    landmarks: Points | None = None
    to_crop: NDArray[np.float64] = field(default_factory=lambda: np.eye(2, 3))
    regions: Mapping[str, Mask] = field(default_factory=dict)
    units: Units = field(default_factory=dict)
    blendshapes: Mapping[str, float] = field(default_factory=dict)
    quality: Quality | None = None
    problem: str | None = None
    hidden: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape, size = self.crop.shape, self.crop.shape[0]
        require(
            self.crop.dtype == np.uint8 and shape == (size, size, 3),
            f"crop must be (S, S, 3) uint8; got {shape} {self.crop.dtype}",
        )
        if self.landmarks is not None:
            require(
                self.landmarks.shape == (478, 3),
                f"landmarks must be (478, 3); got {self.landmarks.shape}",
            )
        for name, mask in self.regions.items():
            require(name in REGIONS, f"region must be one of {REGIONS}; got {name!r}")
            require(
                mask.shape == (size, size) and mask.dtype == np.bool_,
                f"mask of {name} must be {(size, size)} bool; got {mask.shape} {mask.dtype}",
            )
        for name in ("regions", "units", "blendshapes", "hidden"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    @property
    def size(self) -> int:
        """Side of the crop in pixels."""
        return int(self.crop.shape[0])

    def shown(self, region: str) -> float:
        """Weigh a measure of a region from 1 to 0: 0 where half of it is covered."""
        return max(0.0, 1.0 - 2.0 * self.hidden.get(region, 0.0))

    @property
    def landmarks_in_crop(self) -> Points:
        """(478, 2) float32 in crop pixels; raises ValueError without landmarks."""
        if self.landmarks is None:
            raise ValueError("this face came without detection, so it has no landmarks")
        return np.asarray(
            self.landmarks[:, :2] @ self.to_crop[:, :2].T + self.to_crop[:, 2], np.float32
        )

    def replace(self, **changes: Any) -> Self:
        """Copy the face with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of N faces by a classifier.

    Attributes:
        classes: (N, 14), given that a compound shows; rows sum to 1, order of `labels.COMPOUNDS`.
        outcomes: (N, 21) probability of everything a face can be read as, rows sum to 1, order of
            `labels.OUTCOMES`; None if the model tells compounds apart only.
        neutral: (N,) probability that nothing is expressed; None if the model has no such output.
        units: one mapping a face from a model that measures action units itself; None likewise.
        mass: probability that a 90 % prediction set of compounds must gather.
        calibrated: whether `mass` was found on held-out data; else a set merely holds 90 % of the
            probability.
        outcome_mass: the same of a set of outcomes, found on held-out data; None if it was not.
    """

    classes: NDArray[np.float64]
    outcomes: NDArray[np.float64] | None = None
    neutral: NDArray[np.float64] | None = None
    units: Sequence[Units] | None = None
    mass: float = 0.9
    calibrated: bool = False
    outcome_mass: float | None = None

    def __post_init__(self) -> None:
        n = len(self.classes)
        _require_rows(self.classes, len(COMPOUNDS), "classes")
        if self.outcomes is not None:
            _require_rows(self.outcomes, len(OUTCOMES), "outcomes")
            require(len(self.outcomes) == n, f"outcomes must have {n} rows")
            object.__setattr__(self, "neutral", self.outcomes[:, -1])
        if self.neutral is not None:
            require(self.neutral.shape == (n,), f"neutral must be ({n},)")

    @classmethod
    def of_outcomes(cls, outcomes: NDArray[np.float64], **more: Any) -> Self:
        """Build the scores of a model of all 21 outcomes, (N, 21); `more` are further fields.

        Where no compound is possible at all, `classes` are even.
        """
        compounds = np.maximum(outcomes[:, : len(COMPOUNDS)], np.finfo(float).tiny)
        return cls(compounds / compounds.sum(1, keepdims=True), outcomes=outcomes, **more)

    def __len__(self) -> int:
        return len(self.classes)

    def row(self, i: int) -> Self:
        """Take the scores of face `i` alone."""
        rows = slice(i, i + 1)
        return dataclasses.replace(
            self,
            classes=self.classes[rows],
            outcomes=None if self.outcomes is None else self.outcomes[rows],
            neutral=None if self.neutral is None else self.neutral[rows],
            units=None if self.units is None else list(self.units[rows]),
        )

    def given_compound(self) -> Self:
        """Narrow to the compounds: what the model says if one of them shows."""
        outcomes = np.zeros((len(self), len(OUTCOMES)))
        outcomes[:, : len(COMPOUNDS)] = self.classes
        mass = self.mass if self.calibrated else None
        return dataclasses.replace(self, outcomes=outcomes, outcome_mass=mass)

    def of(self, label: str) -> NDArray[np.float64]:
        """Take the (N,) probability of a compound, a basic (sum of what holds it), or neutral."""
        if label == NEUTRAL and self.neutral is not None:
            return self.neutral
        if label not in (*COMPOUNDS, *BASICS):
            raise ValueError(f"this model gives no probability for {label!r}")
        held = HOLDING[:, BASICS.index(label)] if label in BASICS else _one(label)
        if self.outcomes is None:
            return np.asarray(self.classes @ held[: len(COMPOUNDS)])
        return np.asarray(self.outcomes @ held)


def _one(label: str) -> NDArray[np.float64]:
    return np.array([float(name == label) for name in OUTCOMES])


def _require_rows(values: NDArray[np.float64], columns: int, name: str) -> None:
    require(
        values.ndim == 2 and values.shape[1] == columns,
        f"{name} must be (N, {columns}); got {values.shape}",
    )
    require(bool(np.isfinite(values).all()), f"{name} must be finite; got NaN or inf")
    require(bool((abs(values.sum(1) - 1) <= 1e-4).all()), f"rows of {name} must sum to 1")
