"""The results on a clip as frozen values, tracks, samples and key moments; and in words."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ferce.core import notice
from ferce.core.types import Box, Pixels, Prediction, Reading
from ferce.reading.video.expression import Expression
from ferce.reading.video.frames import spoken

Kind = Literal["peak", "change"]


@dataclass(frozen=True)
class Progress:
    """The progress through a clip: `seconds` of `duration`, `frames` read, `faces` in the last."""

    seconds: float
    duration: float
    frames: int
    faces: int

    @property
    def share(self) -> float:
        """0..1."""
        return min(self.seconds / self.duration, 1.0) if self.duration > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Sample:
    """One face in one frame.

    Attributes:
        frame: number in the clip, from 0.
        seconds: since the clip's start.
        box: in pixels of the clip's frames.
        problem: why this face must not be read here; then the rest is None.
        raw: as this frame alone shows it.
        smooth: the mean over the frames around it.
        prediction: the decision on the smooth numbers.
    """

    frame: int
    seconds: float
    box: Box
    problem: str | None = None
    raw: Expression | None = None
    smooth: Expression | None = None
    prediction: Prediction | None = None

    @property
    def label(self) -> str | None:
        """What the expression resembles; None where it is unclear."""
        return self.prediction.label if self.prediction else None


@dataclass(frozen=True, eq=False)
class Track:
    """One face through the clip: its number from 1, samples by time, a picture of it (S, S, 3)."""

    number: int
    samples: tuple[Sample, ...]
    picture: Pixels

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"track {self.number} needs at least one sample")
        frames = [sample.frame for sample in self.samples]
        if frames != sorted(set(frames)):
            raise ValueError(f"samples of track {self.number} must go up by frame; got {frames}")

    @property
    def read(self) -> tuple[Sample, ...]:
        """The samples that could be read."""
        return tuple(sample for sample in self.samples if sample.smooth is not None)

    @property
    def span(self) -> tuple[float, float]:
        """First and last second."""
        return self.samples[0].seconds, self.samples[-1].seconds


@dataclass(frozen=True, eq=False)
class Moment:
    """A key moment of a track.

    A "peak" is where a stretch of one label speaks for it most; a "change" where the expression
    turns from one into another fastest. `strength` is the share of the label at a peak, the amount
    of the change else, both 0..1. `words` say it in a phrase; `reading` is that face read there,
    with its explanation, None until it was asked for.
    """

    track: int
    frame: int
    seconds: float
    kind: Kind
    label: str | None
    strength: float
    words: str
    reading: Reading | None = None


@dataclass(frozen=True, eq=False)
class Timeline:
    """The results on a clip.

    Attributes:
        name: of the clip.
        size: (width, height) of its frames.
        duration: in seconds.
        rate: frames a second in the file; None where it does not tell.
        frames: how many were read.
        faceless: how many of those show no face.
        unreadable: how many could not be decoded.
        tracks: the faces, the one that is longest in sight first.
        moments: by time.
        models: role -> spec.
        spent: seconds that reading took.
        complete: False where reading was stopped before the end.
    """

    name: str
    size: tuple[int, int]
    duration: float
    rate: float | None
    frames: int
    faceless: int
    unreadable: int
    tracks: tuple[Track, ...] = ()
    moments: tuple[Moment, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    spent: float = 0.0
    complete: bool = True

    @property
    def pace(self) -> float:
        """Frames read a second."""
        return self.frames / self.spent if self.spent > 0 else 0.0


def lines(timeline: Timeline) -> Iterator[str]:
    """Describe a clip, one face after another with its key moments, and the notice."""
    yield f"{timeline.name} ({facts(timeline)})"
    if not timeline.tracks:
        yield "  No face was found in any frame."
    for track in timeline.tracks:
        yield f"  Face {track.number}, {clock(track.span[0])} to {clock(track.span[1])}: " + (
            summary(track)
        )
        for moment in timeline.moments:
            if moment.track == track.number:
                yield from _moment(moment)
    yield notice.SHORT


def facts(timeline: Timeline) -> str:
    """Describe length, frames, what is missing, and how fast it was read."""
    parts = [spoken(timeline.duration), f"{timeline.frames} frames read"]
    if timeline.faceless:
        parts.append(f"{timeline.faceless} without a face")
    if timeline.unreadable:
        parts.append(f"{timeline.unreadable} unreadable")
    if not timeline.complete:
        parts.append("stopped early")
    return ", ".join([*parts, f"{timeline.pace:.0f} a second"])


def summary(track: Track) -> str:
    """Describe how much of the time each label held: "happy 80 %, unclear 20 %"."""
    if not track.read:
        problems = Counter(sample.problem for sample in track.samples if sample.problem)
        return f"never read. {problems.most_common(1)[0][0]}" if problems else "never read."
    counts = Counter(sample.label or "unclear" for sample in track.read)
    shares = (f"{name} {count / len(track.read):.0%}" for name, count in counts.most_common(4))
    return ", ".join(shares) + " of the time"


def clock(seconds: float) -> str:
    """Write minutes and seconds as 0:07.3; whole tenths, never rounded up."""
    tenths = int(seconds * 10 + 1e-6)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def _moment(moment: Moment) -> Iterator[str]:
    yield f"    {clock(moment.seconds)} {moment.words}"
    if moment.reading and moment.reading.explanation:
        shown = moment.reading.revised or moment.reading.explanation
        yield f"      {shown.text}"
