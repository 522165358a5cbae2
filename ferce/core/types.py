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
State = Literal["compound", "basic", "neutral", "unclear"]
Side = Literal["left", "right"]  # of the person, not of the picture
Verdict = Literal["supported", "contradicted", "cannot be told"]
Use = Literal["used", "not used", "cannot be told"]

REGIONS: tuple[str, ...] = ("brows", "eyes", "nose", "cheeks", "mouth", "chin")
STATES: tuple[str, ...] = ("compound", "basic", "neutral", "unclear")


def _frozen(mapping: Mapping[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(dict(mapping))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_unit(value: float, name: str) -> None:
    _require(0.0 <= value <= 1.0, f"{name} must lie in 0..1; got {value}")


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
        _require_unit(self.intensity, f"intensity of AU{self.unit}")
        _require_unit(self.confidence, f"confidence of AU{self.unit}")

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
        _require(
            self.crop.dtype == np.uint8 and shape == (size, size, 3),
            f"crop must be (S, S, 3) uint8; got {shape} {self.crop.dtype}",
        )
        if self.landmarks is not None:
            _require(
                self.landmarks.shape == (478, 3),
                f"landmarks must be (478, 3); got {self.landmarks.shape}",
            )
        for name, mask in self.regions.items():
            _require(name in REGIONS, f"region must be one of {REGIONS}; got {name!r}")
            _require(
                mask.shape == (size, size) and mask.dtype == np.bool_,
                f"mask of {name} must be {(size, size)} bool; got {mask.shape} {mask.dtype}",
            )
        for name in ("regions", "units", "blendshapes", "hidden"):
            object.__setattr__(self, name, _frozen(getattr(self, name)))

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
            _require(len(self.outcomes) == n, f"outcomes must have {n} rows")
            object.__setattr__(self, "neutral", self.outcomes[:, -1])
        if self.neutral is not None:
            _require(self.neutral.shape == (n,), f"neutral must be ({n},)")

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
    _require(
        values.ndim == 2 and values.shape[1] == columns,
        f"{name} must be (N, {columns}); got {values.shape}",
    )
    _require(bool(np.isfinite(values).all()), f"{name} must be finite; got NaN or inf")
    _require(bool(np.allclose(values.sum(1), 1, atol=1e-4)), f"rows of {name} must sum to 1")


@dataclass(frozen=True)
class Prediction:
    """The decision about one face.

    Attributes:
        state: what kind of reading this is.
        label: a compound, a basic emotion, "neutral", or None when `state` is "unclear".
        outcomes: label -> 0..1 over the 14 compounds, 6 single emotions and neutral, sums to 1.
        compounds: label -> 0..1 over the 14 compounds, given that one shows; sums to 1.
        set: the fewest outcomes that gather 90 % and `Scores.outcome_mass`, the label among them.
        components: basic emotion -> 0..1, sum of the outcomes that hold it.
        reason: one sentence on why the state is what it is.
        model: spec of the classifier.
        calibrated: whether the set holds the true outcome 9 times in 10 on held-out data.
    """

    state: State
    label: str | None
    outcomes: Mapping[str, float]
    compounds: Mapping[str, float]
    set: tuple[str, ...]
    components: Mapping[str, float]
    reason: str = ""
    model: str = ""
    calibrated: bool = False

    def __post_init__(self) -> None:
        _require(self.state in STATES, f"state must be one of {STATES}; got {self.state!r}")
        _require(
            (self.label is None) == (self.state == "unclear"),
            "only an unclear reading has no label",
        )
        _require(tuple(self.outcomes) == OUTCOMES, "outcomes must name the 21 outcomes")
        _require(tuple(self.compounds) == COMPOUNDS, "compounds must name the 14 compounds")
        _require(tuple(self.components) == BASICS, "components must name the 6 basic emotions")
        for name in ("outcomes", "compounds", "components"):
            object.__setattr__(self, name, _frozen(getattr(self, name)))

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """The outcomes with their probabilities, the likeliest first."""
        return sorted(self.outcomes.items(), key=lambda item: -item[1])

    @property
    def top(self) -> str:
        """The label, or the most probable outcome of an unclear reading."""
        return self.label or self.ranked[0][0]

    @property
    def compound(self) -> str:
        """The most probable compound, whatever the state."""
        return max(self.compounds, key=lambda name: self.compounds[name])


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A map of where a model looks for one label.

    `values` is (S, S) float32 >= 0 in crop pixels, raw: never stretched, all zero when nothing
    spoke for the label. `regions` is the share of the heat in each named region, 0..1; shares
    need not sum to 1, as heat may lie elsewhere.
    """

    values: NDArray[np.float32]
    label: str
    method: str
    layer: str | None = None
    regions: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(
            self.values.ndim == 2 and self.values.shape[0] == self.values.shape[1],
            f"values must be (S, S); got {self.values.shape}",
        )
        _require(
            bool(np.isfinite(self.values).all() and (self.values >= 0).all()),
            "values must be finite and not negative",
        )
        object.__setattr__(self, "regions", _frozen(self.regions))

    @property
    def empty(self) -> bool:
        """Nothing spoke for the label."""
        return not bool(self.values.any())


@dataclass(frozen=True)
class Answer:
    """A question about the face and what a voice answered."""

    question: str
    answer: str
    voice: str = ""


@dataclass(frozen=True)
class Cue:
    """One claim of an explanation.

    text[start:end] of the explanation says that `unit` in `region` is there (or, negated, is not).
    `seen` and `used` are None until checked; `evidence` says in words what they rest on.
    """

    text: str
    start: int
    end: int
    unit: int | None
    region: str | None
    side: Side | None = None
    negated: bool = False
    hedged: bool = False
    seen: Verdict | None = None
    used: Use | None = None
    evidence: str = ""


@dataclass(frozen=True)
class Explanation:
    """The text of a voice about a prediction, with its cues in the order of the text.

    `composed` texts are made of the measured action units, which therefore cannot check them: their
    claims have no `seen`.
    """

    text: str
    voice: str
    cues: tuple[Cue, ...] = ()
    composed: bool = False


@dataclass(frozen=True)
class Faithfulness:
    """Measures of how well the text names what the model used.

    `measures` maps a measure to its value (None where undefined); `controls` maps each control to
    the same measures.
    """

    measures: Mapping[str, float | None]
    controls: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Reading:
    """The results on one face; parts not asked for, or not possible, are None or empty.

    `beside` is a heat map of the other kind for the same label: what the network looks at beside
    what hiding a part costs, or the reverse.
    `revised` is the explanation without the claims that the face contradicts, where there were any.
    `scores` are the classifier's of this face alone, one row, on which the prediction rests.
    """

    face: Face
    prediction: Prediction | None = None
    heatmap: Heatmap | None = None
    beside: Heatmap | None = None
    answers: tuple[Answer, ...] = ()
    explanation: Explanation | None = None
    revised: Explanation | None = None
    faithfulness: Faithfulness | None = None
    scores: Scores | None = None

    @property
    def state(self) -> State:
        """The prediction's state; "unclear" for a face that must not be read."""
        return self.prediction.state if self.prediction else "unclear"

    @property
    def reason(self) -> str:
        """One sentence on the state."""
        return self.face.problem or (self.prediction.reason if self.prediction else "")


@dataclass(frozen=True, eq=False)
class Report:
    """One photograph: its readings, or the error that kept it from being read.

    `note` is a sentence on what of its file was not read, such as further pages.
    """

    photo: str
    size: tuple[int, int] | None = None  # width, height
    seconds: float | None = None
    readings: tuple[Reading, ...] = ()
    error: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        _require(
            (self.error is None) == bool(self.readings),
            "a report has readings or an error, not both",
        )
