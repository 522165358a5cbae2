"""What the server keeps of a running camera: followed faces and their means, never a picture.

Frames are decoded, read and dropped in memory; the answer to each is a few numbers.
"""

import base64
import binascii
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferce import images
from ferce.core.labels import BASICS, NEUTRAL, NOUNS
from ferce.core.types import Pixels, Prediction
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import ACTIVE, TRUSTED
from ferce.images import ImageError, Limits
from ferce.reading.pipeline import Reader
from ferce.reading.video import Expression, Follower, Seen, Smoother, contours
from ferce.ui.web.panels.prediction import STATES

Json = dict[str, Any]

ENDED = "The camera was off for too long; start it again."
BROKEN = "The browser sent a frame that is no picture."
TAU = 0.35  # seconds; longer than for clips, as only the past can be averaged
_PATIENCE = 5.0  # seconds: a busy machine may take as long from one frame to the next
_MOST = 16  # cameras at the same time; the one that was silent longest makes room
_LETTERS = 2_000_000  # of a frame as text; 1.5 MB of JPEG
_LIMITS = Limits(max_pixels=1920 * 1080, min_side=64)
_PREFIX = "data:image/jpeg;base64,"


@dataclass(eq=False)
class Stream:
    """One camera: whoever is in the picture, and the mean of what each face shows."""

    reader: Reader
    follower: Follower
    clock: Callable[[], float]
    means: dict[int, Smoother] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, pixels: Pixels) -> list[Json]:
        """The faces of the next frame, largest first, as the page draws them."""
        with self.lock:
            now = self.clock()
            seen = self.follower.step(pixels, now)
            self.means = {one.number: self._mean(one.number) for one in seen}
            return [self._told(one, now, pixels) for one in seen]

    def _mean(self, number: int) -> Smoother:
        return self.means.get(number) or Smoother(TAU)

    def _told(self, one: Seen, now: float, pixels: Pixels) -> Json:
        height, width = pixels.shape[:2]
        x0, y0, x1, y1 = one.face.box
        told: Json = {
            "number": one.number,
            "box": [round(1000 * v) for v in (x0 / width, y0 / height, x1 / width, y1 / height)],
            "lines": contours.draw(one.face, (width, height)),
            "problem": one.face.problem,
        }
        if one.expression is None:
            return told
        row = self.means[one.number].add(now, one.expression.row)
        return told | numbers(Expression.from_row(row), self)


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
            follower = Follower(reader.detector, reader.classifier, _PATIENCE)
            self._open[name] = Stream(reader, follower, self._clock)
            while len(self._open) > _MOST:
                self._open.popitem(last=False)
        return name

    def close(self, name: object) -> None:
        """Forget a stream."""
        with self._lock:
            self._open.pop(str(name), None)

    def of(self, name: object) -> Stream | None:
        """The stream of that name, now the one that was heard of last."""
        with self._lock:
            if name not in self._open:
                return None
            self._open.move_to_end(str(name))
            return self._open[str(name)]

    def __len__(self) -> int:
        return len(self._open)


def answer(streams: Streams, told: object) -> Json:
    """What the page is told of one frame: `faces` and `ms`, or a `problem`."""
    asked = told if isinstance(told, Mapping) else {}
    stream = streams.of(asked.get("stream"))
    if stream is None:
        return {"problem": ENDED, "ended": True}
    started = time.perf_counter()
    try:
        faces = stream.step(decoded(asked.get("image")))
    except ImageError as error:
        return {"problem": str(error)}
    return {"faces": faces, "ms": round(1000 * (time.perf_counter() - started), 1)}


def decoded(image: object) -> Pixels:
    """The pixels of a frame that came as a data URI.

    Raises:
        ImageError: it is no JPEG, or too large.
    """
    if not isinstance(image, str) or not image.startswith(_PREFIX) or len(image) > _LETTERS:
        raise ImageError(BROKEN)
    try:
        content = base64.b64decode(image[len(_PREFIX) :], validate=True)
    except binascii.Error as error:
        raise ImageError(BROKEN) from error
    return images.load(content, _LIMITS)


def numbers(expression: Expression, stream: Stream) -> Json:
    """An expression as the page shows it: headline, shares, action units."""
    follower, model = stream.follower, stream.reader.classifier.name
    decided = expression.decide(follower.mass, follower.calibrated, model)
    ranked = sorted(decided.probabilities.items(), key=lambda item: -item[1])[:4]
    return {
        "state": decided.state,
        "chip": STATES[decided.state],
        "label": decided.label,
        "headline": headline(decided),
        "compounds": [[name, _percent(value)] for name, value in ranked],
        "components": [[name, _percent(decided.components[name])] for name in BASICS],
        "units": _units(expression),
        "lit": sorted({UNITS[unit.unit].region for unit in _active(expression)}),
    }


def headline(prediction: Prediction) -> str:
    """What the expression resembles, as a noun phrase."""
    label = prediction.label
    if label is None:
        return "nothing clearly"
    return "a neutral face" if label == NEUTRAL else NOUNS.get(label, label)


def _active(expression: Expression) -> list[Any]:
    units = expression.units.values()
    return [unit for unit in units if unit.confidence >= TRUSTED and unit.intensity >= ACTIVE]


def _units(expression: Expression) -> list[list[object]]:
    """[code, name, percent, active] of the units that can be read, in the order of `UNITS`."""
    active = {unit.unit for unit in _active(expression)}
    return [
        [UNITS[number].code, UNITS[number].name, _percent(unit.intensity), number in active]
        for number, unit in expression.units.items()
        if unit.confidence >= TRUSTED
    ]


def _percent(value: float) -> int:
    return round(100 * min(max(float(value), 0.0), 1.0))
