"""Running cameras: the faces of each frame as numbers, averaged over the frames before.

Of a camera the server keeps followed faces and their means, never a picture: frames are decoded,
read and dropped in memory; the answer to each is a few numbers.
"""

import base64
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferce import images
from ferce.core.labels import BASICS, NEUTRAL, NOUNS, alone
from ferce.core.parts import Prediction
from ferce.core.types import Pixels, UnitEvidence
from ferce.faces import geometry
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import ACTIVE, TRUSTED
from ferce.images import ImageError, Limits
from ferce.reading.pipeline import Reader
from ferce.reading.video import Expression, Follower, Seen, Smoother
from ferce.ui.web.panels.prediction import STATES
from ferce.ui.web.runner import Guard

Json = dict[str, Any]

ENDED = "The camera was off for too long; start it again."
FAULT = "This frame could not be read because of a fault in ferce; the server's log says more."
NOT_A_FRAME = "The browser sent a frame that is no picture."
TAU = 0.35  # seconds; longer than for clips, as only the past can be averaged
_PATIENCE = 5.0  # seconds: a busy machine may take as long from one frame to the next
_MOST = 16  # cameras at the same time; the one that was silent longest makes room
_LETTERS = 2_000_000  # of a frame as text; 1.5 MB of JPEG
_LIMITS = Limits(max_pixels=1920 * 1080, min_side=64)
_PREFIX = "data:image/jpeg;base64,"


@dataclass(eq=False)
class Stream:
    """One camera: whoever is in the picture, and the mean of what each face shows."""

    follower: Follower
    clock: Callable[[], float]
    means: dict[int, Smoother] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, pixels: Pixels) -> list[Json]:
        """Read the next frame; gives its faces, largest first, as the page draws them."""
        with self.lock:
            now = self.clock()
            seen = self.follower.step(pixels, now)
            self.means = {one.number: self.means.get(one.number) or Smoother(TAU) for one in seen}
            return [self._face(one, now, pixels) for one in seen]

    def _face(self, one: Seen, now: float, pixels: Pixels) -> Json:
        height, width = pixels.shape[:2]
        x0, y0, x1, y1 = one.face.box
        outline: Json = {
            "number": one.number,
            "box": [round(1000 * v) for v in (x0 / width, y0 / height, x1 / width, y1 / height)],
            "lines": geometry.contours(one.face, (width, height)),
            "problem": one.face.problem,
        }
        if one.expression is None:
            return outline
        row = self.means[one.number].add(now, one.expression.row)
        return outline | numbers(Expression.from_row(row), self)


class Streams:
    """The running cameras by a name that only their page knows. Safe to share between threads.

    `clock` gives seconds from any start; tests inject their own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[str, Stream] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, reader: Reader) -> str:
        """Begin a stream; returns its name."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._open[name] = Stream(Follower(reader, _PATIENCE), self._clock)
            while len(self._open) > _MOST:
                self._open.popitem(last=False)
        return name

    def close(self, name: object) -> None:
        """Forget a stream."""
        with self._lock:
            self._open.pop(str(name), None)

    def of(self, name: object) -> Stream | None:
        """Find the stream of that name, which now counts as the one heard of last."""
        with self._lock:
            if not isinstance(name, str) or name not in self._open:
                return None
            self._open.move_to_end(name)
            return self._open[name]

    def __len__(self) -> int:
        return len(self._open)


def answer(streams: Streams, sent: object) -> Json:
    """Read one frame that a page sent; gives its `faces` and `ms`, or a `problem`."""
    frame = sent if isinstance(sent, Mapping) else {}
    stream = streams.of(frame.get("stream"))
    if stream is None:
        return {"problem": ENDED, "ended": True}
    started, guard = time.perf_counter(), Guard(FAULT)
    with guard:
        faces = stream.step(decode(frame.get("image")))
        return {"faces": faces, "ms": round(1000 * (time.perf_counter() - started), 1)}
    return {"problem": guard.problem}


def decode(image: object) -> Pixels:
    """Decode a frame that came as a data URI.

    Raises:
        ImageError: it is no JPEG, or too large.
    """
    if not isinstance(image, str) or not image.startswith(_PREFIX) or len(image) > _LETTERS:
        raise ImageError(NOT_A_FRAME)
    try:
        content = base64.b64decode(image[len(_PREFIX) :], validate=True)
    except ValueError as error:  # binascii.Error is one; so is a letter beyond ASCII
        raise ImageError(NOT_A_FRAME) from error
    return images.load(content, _LIMITS)


def numbers(expression: Expression, stream: Stream) -> Json:
    """Put an expression as the page shows it: headline, shares in percent, action units."""
    decided = stream.follower.decide(expression)
    trusted = {n: unit for n, unit in expression.units.items() if unit.confidence >= TRUSTED}
    return {
        "state": decided.state,
        "chip": STATES[decided.state],
        "label": decided.label,
        "headline": headline(decided),
        "outcomes": [[alone(name), _percent(value)] for name, value in decided.ranked[:4]],
        "components": [[name, _percent(decided.components[name])] for name in BASICS],
        "units": [_unit(number, unit) for number, unit in trusted.items()],
        "lit": sorted({UNITS[n].region for n, unit in trusted.items() if _active(unit)}),
    }


def headline(prediction: Prediction) -> str:
    """Say what the expression resembles, as a noun phrase."""
    label = prediction.label
    if label is None:
        return "nothing clearly"
    return "a neutral face" if label == NEUTRAL else NOUNS.get(label, label)


def _active(unit: UnitEvidence) -> bool:
    return unit.intensity >= ACTIVE


def _unit(number: int, unit: UnitEvidence) -> list[object]:
    """Write a unit as [code, name, percent, active]."""
    return [UNITS[number].code, UNITS[number].name, _percent(unit.intensity), _active(unit)]


def _percent(value: float) -> int:
    return round(100 * min(max(float(value), 0.0), 1.0))
