"""The parts of a reading: prediction, heat map, answers, explanation, and the report of a photo."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, OUTCOMES
from ferce.core.types import Face, Scores, Side, frozen, require

State = Literal["compound", "basic", "neutral", "unclear"]
Verdict = Literal["supported", "contradicted", "cannot be told"]
Use = Literal["used", "not used", "cannot be told"]

STATES: tuple[str, ...] = ("compound", "basic", "neutral", "unclear")


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
        require(self.state in STATES, f"state must be one of {STATES}; got {self.state!r}")
        require(
            (self.label is None) == (self.state == "unclear"),
            "only an unclear reading has no label",
        )
        require(tuple(self.outcomes) == OUTCOMES, "outcomes must name the 21 outcomes")
        require(tuple(self.compounds) == COMPOUNDS, "compounds must name the 14 compounds")
        require(tuple(self.components) == BASICS, "components must name the 6 basic emotions")
        for name in ("outcomes", "compounds", "components"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

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
        require(
            self.values.ndim == 2 and self.values.shape[0] == self.values.shape[1],
            f"values must be (S, S); got {self.values.shape}",
        )
        require(
            bool(np.isfinite(self.values).all() and (self.values >= 0).all()),
            "values must be finite and not negative",
        )
        object.__setattr__(self, "regions", frozen(self.regions))

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
    def caution(self) -> str:
        """What a turned head hides of a face that is read; empty from the front."""
        quality = self.face.quality
        return "" if quality is None or self.prediction is None else quality.caution or ""

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
        require(
            (self.error is None) == bool(self.readings),
            "a report has readings or an error, not both",
        )
