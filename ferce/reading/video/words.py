"""A timeline in words, for a terminal."""

from collections import Counter
from collections.abc import Iterator

from ferce.core import notice
from ferce.reading.video.frames import spoken
from ferce.reading.video.timeline import Moment, Timeline, Track


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
