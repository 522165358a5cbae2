"""The results on a clip: tracks, samples and the choice of key moments; and in words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ferce.core import notice
from ferce.core.labels import NEUTRAL
from ferce.core.parts import Prediction, Reading
from ferce.core.types import Box, Pixels
from ferce.reading.video.expression import Expression, difference, mean
from ferce.reading.video.frames import spoken

Kind = Literal["peak", "change"]
SHORTEST = 0.3  # seconds of one label that count as a stretch of it
TURN = 0.35  # total variation distance from which a change counts
_SIDE = 0.3  # seconds before and after that a change compares
_APART = 0.5  # seconds between two changes, and between a change and a stronger one
MOST = 8  # moments a track


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


def choose_moments(track: Track, most: int = MOST) -> tuple[Moment, ...]:
    """Choose the strongest moments of a track, by time; none of a face that was never read."""
    peaks = sorted(_peaks(track), key=lambda moment: -moment.strength)
    changes = sorted(_changes(track), key=lambda moment: -moment.strength)
    # Half the places are kept for either kind; what one leaves the other takes.
    half = most // 2
    kept = peaks[: max(most - len(changes), most - half)]
    kept += changes[: most - len(kept)]
    return tuple(sorted(kept, key=lambda moment: (moment.seconds, moment.kind)))


def stretches(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    """Split samples into runs of the same label, in order; unclear ones form runs, too.

    A face that is out of sight for a second ends its run.
    """
    start = 0
    for i in range(1, len(samples) + 1):
        if i == len(samples) or _parted(samples[i - 1], samples[i]):
            yield samples[start:i]
            start = i


def _parted(before: Sample, after: Sample) -> bool:
    return before.label != after.label or after.seconds - before.seconds > 1.0


def _peaks(track: Track) -> Iterator[Moment]:
    """Find the strongest sample of each lasting stretch; neutral ones only if there is no other.

    The whole of a short clip counts as lasting.
    """
    runs = [run for run in stretches(track.read) if run and run[0].label is not None]
    lasting = [run for run in runs if run[-1].seconds - run[0].seconds >= SHORTEST] or runs
    expressive = [run for run in lasting if run[0].label != NEUTRAL] or lasting[:1]
    for run in expressive:
        best = max(run, key=_strength)
        words = f"Most {best.label}" if best.label != NEUTRAL else "No expression"
        yield _marked(track, best, "peak", _strength(best), words)


def _strength(sample: Sample) -> float:
    assert sample.smooth is not None, "only samples that were read are ranked"
    return min(sample.smooth.share(sample.label), 1.0) if sample.label else 0.0


def _changes(track: Track) -> Iterator[Moment]:
    """Find local maxima of the distance between the mean just before and just after."""
    samples = track.read
    turns = [(_turn(samples, i), i) for i in range(len(samples))]
    taken: list[float] = []
    for strength, i in sorted(turns, key=lambda turn: (-turn[0], turn[1])):
        at = samples[i].seconds
        if strength < TURN:
            return
        if all(abs(at - other) >= _APART for other in taken):
            taken.append(at)
            yield _marked(track, samples[i], "change", strength, _turned(samples, i))


def _around(samples: Sequence[Sample], i: int) -> tuple[list[Sample], list[Sample]]:
    """List samples up to `_SIDE` before sample i, and up to `_SIDE` from it on."""
    at = samples[i].seconds
    near = range(max(i - 60, 0), min(i + 60, len(samples)))
    before = [samples[j] for j in near if j < i and at - samples[j].seconds <= _SIDE + 1e-6]
    after = [samples[j] for j in near if j >= i and samples[j].seconds - at <= _SIDE + 1e-6]
    return before, after


def _turn(samples: Sequence[Sample], i: int) -> float:
    before, after = _around(samples, i)
    if not before:
        return 0.0
    earlier, later = (
        mean([sample.raw for sample in part if sample.raw is not None]) for part in (before, after)
    )
    return difference(earlier, later)


def _turned(samples: Sequence[Sample], i: int) -> str:
    before, after = _around(samples, i)
    first, last = before[0].label or "unclear", after[-1].label or "unclear"
    return f"From {first} to {last}" if first != last else f"A change within {first}"


def _marked(track: Track, sample: Sample, kind: str, strength: float, words: str) -> Moment:
    return Moment(
        track=track.number,
        frame=sample.frame,
        seconds=sample.seconds,
        kind="peak" if kind == "peak" else "change",
        label=sample.label,
        strength=strength,
        words=words,
    )
