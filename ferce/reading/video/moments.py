"""Key moments of a track: where one label is strongest, and where the expression turns."""

from collections.abc import Iterator, Sequence

from ferce.core.labels import NEUTRAL
from ferce.reading.video.expression import difference, mean
from ferce.reading.video.timeline import Moment, Sample, Track

SHORTEST = 0.3  # seconds of one label that count as a stretch of it
TURN = 0.35  # total variation distance from which a change counts
_SIDE = 0.3  # seconds before and after that a change compares
_APART = 0.5  # seconds between two changes, and between a change and a stronger one
MOST = 8  # moments a track


def choose(track: Track, most: int = MOST) -> tuple[Moment, ...]:
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
        yield _moment(track, best, "peak", _strength(best), words)


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
            yield _moment(track, samples[i], "change", strength, _turned(samples, i))


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


def _moment(track: Track, sample: Sample, kind: str, strength: float, words: str) -> Moment:
    return Moment(
        track=track.number,
        frame=sample.frame,
        seconds=sample.seconds,
        kind="peak" if kind == "peak" else "change",
        label=sample.label,
        strength=strength,
        words=words,
    )
