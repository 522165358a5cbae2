"""A clip read from its first frame to its last: faces followed, smoothed, its moments explained."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferce.core.compute import ahead
from ferce.core.parts import Reading
from ferce.core.types import Pixels
from ferce.faces.geometry import overlap
from ferce.reading.pipeline import Reader
from ferce.reading.video.expression import TAU, Expression, smooth
from ferce.reading.video.frames import SIDE, Clip, Frame, Limits, open_clip
from ferce.reading.video.timeline import (
    MOST,
    Moment,
    Progress,
    Sample,
    Timeline,
    Track,
    choose_moments,
)
from ferce.reading.video.tracking import PATIENCE, Follower, Numbered, Seen

# Shorter tracks are taken for mistakes of the detector, unless there is nothing else.
_BRIEF = 0.3  # seconds
_SAME_PLACE = 0.3  # intersection over union from which two boxes are of one face


@dataclass(frozen=True)
class Options:
    """Options of reading a clip.

    Attributes:
        rate: at most so many frames a second; None for every frame.
        tau: time constant of the smoothing in seconds; see `expression.smooth`.
        patience: seconds that a face may be out of sight and still be the same.
        explain: whether the key moments get an explanation.
        most: key moments of each face.
        side: the longer side of the frames that faces are looked for in, pixels.
        limits: how long and large the clip may be.
    """

    rate: float | None = None
    tau: float = TAU
    patience: float = PATIENCE
    explain: bool = True
    most: int = MOST
    side: int = SIDE
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate <= 1000:
            raise ValueError(f"rate must lie above 0 frames a second; got {self.rate}")
        if self.tau < 0 or self.patience < 0 or self.most < 0 or self.side < 64:
            raise ValueError(f"tau, patience and most must be 0 or more, side 64 or more: {self}")


Tell = Callable[[Progress], bool | None]


def read(
    source: str | Path, reader: Reader, options: Options | None = None, tell: Tell | None = None
) -> Timeline:
    """Read a clip into a timeline.

    Args:
        source: path of the video.
        reader: its detector, classifier and voice are used.
        options: see `Options`.
        tell: called after each frame; once it returns False, reading stops and the timeline holds
            what was read until then (`complete` is False).

    Raises:
        VideoError: the clip cannot be read; one sentence.
        ReadingError: a model failed for a reason outside ferce.
    """
    stopped = False

    def stop() -> bool:
        return stopped

    last: Timeline | None = None
    for part in stream(source, reader, options, stop):
        if isinstance(part, Timeline):
            last = part
        elif tell is not None and tell(part) is False:
            stopped = True
    assert last is not None, "a clip that can be read has a timeline"
    return last


def stream(
    source: str | Path,
    reader: Reader,
    options: Options | None = None,
    stop: Callable[[], bool] = lambda: False,
    name: str | None = None,
) -> Iterator[Progress | Timeline]:
    """Read a clip: `Progress` after each frame, the timeline, and again with each moment.

    `stop` is asked before each frame and each explanation; once true, what was read until then is
    the result. Raises as `read` does.
    """
    options, started = options or Options(), time.perf_counter()
    with open_clip(source, options.limits, name) as clip:
        samples = _Samples(Follower(reader, options.patience))
        complete = True
        # Decoded in one thread, faces found in another; here they are read.
        with (
            closing(ahead(clip.frames(options.rate, options.side))) as frames,
            closing(ahead(map(samples.find, frames))) as found,
        ):
            for frame, faces in found:
                yield samples.add(frame, faces, clip)
                if stop():
                    complete = False
                    break
        timeline = replace(samples.timeline(clip, reader, options), complete=complete)
    spent = time.perf_counter() - started
    timeline = replace(timeline, spent=spent)
    yield timeline
    if options.explain and complete and timeline.moments:
        yield from _explained(timeline, source, reader, options, stop)


class _Samples:
    """The samples of the frames so far."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._samples: dict[int, list[Sample]] = {}
        self._pictures: dict[int, tuple[float, Pixels]] = {}
        self._frames = self._faceless = 0
        self._duration = 0.0

    def find(self, frame: Frame) -> tuple[Frame, list[Numbered]]:
        """Find the faces of the next frame."""
        return frame, self._follower.find(frame.pixels, frame.seconds)

    def add(self, frame: Frame, found: Sequence[Numbered], clip: Clip) -> Progress:
        """Read these faces and keep their samples."""
        seen = self._follower.read(found)
        self._frames += 1
        self._faceless += not seen
        for one in seen:
            samples = self._samples.setdefault(one.number, [])
            samples.append(_sample(frame, one))
            self._picture(one)
        self._duration = max(clip.duration, frame.seconds)  # some files tell too little, or nothing
        return Progress(frame.seconds, self._duration, self._frames, len(seen))

    def _picture(self, one: Seen) -> None:
        """Keep the largest sharp sighting as the picture of the track."""
        quality = one.face.quality
        worth = (quality.size * min(quality.sharpness, 0.05) if quality else 1.0) + 1e-9
        if one.face.problem:
            worth *= 1e-3
        if worth > self._pictures.get(one.number, (0.0, None))[0]:
            self._pictures[one.number] = (worth, one.face.crop)

    def timeline(self, clip: Clip, reader: Reader, options: Options) -> Timeline:
        tracks = [
            Track(number, self._smoothed(samples, options.tau), self._pictures[number][1])
            for number, samples in self._samples.items()
        ]
        kept = [track for track in tracks if track.span[1] - track.span[0] >= _BRIEF] or tracks
        kept.sort(key=lambda track: (-len(track.samples), track.number))
        chosen = [moment for track in kept for moment in choose_moments(track, options.most)]
        return Timeline(
            name=clip.name,
            size=clip.size,
            duration=self._duration,
            rate=clip.rate,
            frames=self._frames,
            faceless=self._faceless,
            unreadable=clip.unreadable,
            tracks=tuple(kept),
            moments=tuple(sorted(chosen, key=lambda moment: (moment.seconds, moment.track))),
            models=reader.models,
        )

    def _smoothed(self, samples: list[Sample], tau: float) -> tuple[Sample, ...]:
        readable = [sample for sample in samples if sample.raw is not None]
        rows = [sample.raw.row for sample in readable if sample.raw is not None]
        means = smooth([sample.seconds for sample in readable], rows, tau)
        smoothed = {}
        for sample, row in zip(readable, means, strict=True):
            expression = Expression.from_row(row)
            decided = self._follower.decide(expression)
            smoothed[sample.frame] = replace(sample, smooth=expression, prediction=decided)
        return tuple(smoothed.get(sample.frame, sample) for sample in samples)


def _sample(frame: Frame, one: Seen) -> Sample:
    x0, y0, x1, y1 = (edge * frame.scale for edge in one.face.box)
    return Sample(frame.number, frame.seconds, (x0, y0, x1, y1), one.face.problem, one.expression)


def _explained(
    timeline: Timeline,
    source: str | Path,
    reader: Reader,
    options: Options,
    stop: Callable[[], bool],
) -> Iterator[Timeline]:
    """Explain each moment's face, found once more in its frame; the timeline comes each time."""
    wanted: dict[int, list[Moment]] = {}
    for moment in timeline.moments:
        wanted.setdefault(moment.frame, []).append(moment)
    done = {id(moment): moment for moment in timeline.moments}
    with (
        open_clip(source, options.limits, timeline.name) as clip,
        closing(ahead(clip.frames(options.rate, options.side, wanted))) as frames,
    ):
        for frame in frames:
            for moment in wanted[frame.number]:
                if stop():
                    return
                done[id(moment)] = replace(
                    moment, reading=_reading(moment, timeline, frame, reader)
                )
                yield replace(timeline, moments=tuple(done.values()))


def _reading(moment: Moment, timeline: Timeline, frame: Frame, reader: Reader) -> Reading | None:
    """Explain the face of a moment by the track's prediction there, claims checked."""
    track = next(track for track in timeline.tracks if track.number == moment.track)
    sample = next(sample for sample in track.samples if sample.frame == moment.frame)
    reading = _read_again(sample, frame, reader)
    if reading is None or sample.prediction is None:
        return None
    *_, explained = reader.explain(replace(reading, prediction=sample.prediction), measure=False)
    return explained


def _read_again(sample: Sample, frame: Frame, reader: Reader) -> Reading | None:
    """Read the face that lies where the sample's did; None where there is none."""
    x0, y0, x1, y1 = (edge / frame.scale for edge in sample.box)
    seen = [one for one in Follower(reader).step(frame.pixels, frame.seconds) if one.expression]
    near = [(overlap(one.face.box, (x0, y0, x1, y1)), one.reading) for one in seen]
    best = max(near, key=lambda pair: pair[0], default=(0.0, None))
    return best[1] if best[0] > _SAME_PLACE else None
