"""Clips: frames in; faces followed, smoothed probabilities, action units and key moments out.

`read(path, reader)` gives a `Timeline`; `stream` gives it part by part. `Follower` and `Smoother`
do the same for frames that come from a camera.
"""

from ferce.reading.video.expression import Expression, Smoother, smooth
from ferce.reading.video.frames import (
    Clip,
    Frame,
    Limits,
    VideoError,
    is_video,
    open_clip,
    spoken,
)
from ferce.reading.video.timeline import Moment, Progress, Sample, Timeline, Track
from ferce.reading.video.tracking import Follower, Seen, Tracker
from ferce.reading.video.watch import Options, read, stream

__all__ = [
    "Clip",
    "Expression",
    "Follower",
    "Frame",
    "Limits",
    "Moment",
    "Options",
    "Progress",
    "Sample",
    "Seen",
    "Smoother",
    "Timeline",
    "Track",
    "Tracker",
    "VideoError",
    "is_video",
    "open_clip",
    "read",
    "smooth",
    "spoken",
    "stream",
]
