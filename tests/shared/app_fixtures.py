"""A reader for the app's tests whose every part is computed from the pixels it is given.

A photo for it is black with grey squares: each square is a face; its brightness decides the label.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from predictions import made

from ferce import images
from ferce.core.labels import COMPOUNDS
from ferce.core.parts import Answer, Cue, Explanation, Heatmap, Prediction, Reading, Report
from ferce.core.types import REGIONS, Face, Scores
from ferce.explanation import heatmaps

ROOT = Path(__file__).parents[2]
SIDE = 96
MINIMUM = 24  # pixels; a smaller square is a face too small to read
NEGATIVE, BROKEN = "timm:test/negative", "timm:test/broken"  # models beside the default
TINY = "The face is 16 pixels wide; at least 24 are needed. Use a larger photo."


def scene(*levels: int, side: int = SIDE) -> np.ndarray:
    """A photo with one square a level (1..255), from left to right."""
    photo = np.zeros((SIDE + 64, max(len(levels), 1) * (SIDE + 32) + 32, 3), np.uint8)
    for i, level in enumerate(levels):
        x = 32 + i * (SIDE + 32)
        photo[32 : 32 + side, x : x + side] = level
    return photo


def label_of(level: float) -> str:
    return COMPOUNDS[int(level) * len(COMPOUNDS) // 256]


def face(level: int, side: int = SIDE) -> Face:
    crop = np.full((SIDE, SIDE, 3), level, np.uint8)
    rows = np.arange(SIDE) * len(REGIONS) // SIDE
    stripes = {
        name: np.repeat((rows == i)[:, None], SIDE, axis=1) for i, name in enumerate(REGIONS)
    }
    return Face(crop=crop, regions=stripes, problem=TINY if side < MINIMUM else None)


def prediction_of(face: Face) -> Prediction:
    level = float(face.crop.mean())
    scores = np.full(len(COMPOUNDS), 0.3 / (len(COMPOUNDS) - 1))
    scores[COMPOUNDS.index(label_of(level))] = 0.7
    shares = dict(zip(COMPOUNDS, scores.tolist(), strict=True))
    reason = f"The square is {level:.0f} bright."
    return made("compound", label_of(level), shares, reason=reason, model="fake")


class Brightness:
    """Classes from the brightness of the mouth's stripe, so that hiding it alone changes them."""

    name = "fake"

    def scores(self, faces: "list[Face]") -> Scores:
        rows = np.full((len(faces), len(COMPOUNDS)), 0.3 / (len(COMPOUNDS) - 1))
        for row, face in zip(rows, faces, strict=True):
            mask = face.regions["mouth"]
            row[COMPOUNDS.index(label_of(float(face.crop[mask].mean())))] = 0.7
        return Scores(rows)


@dataclass
class Echo:
    """A voice whose answer holds the question and the brightness of the face."""

    pause: float = 0.0
    name: str = "fake"

    def answer(self, face: Face, questions: "list[str]") -> list[Answer]:
        time.sleep(self.pause)
        level = round(float(face.crop.mean()))
        return [Answer(q, f"*{level}* bright, of {len(q)} letters", self.name) for q in questions]


@dataclass(frozen=True)
class Hold:
    """Stops a reader of squares after each part, though it runs in another process.

    While `folder` has a file named like a label, readings of that label go no further.
    """

    folder: Path

    @contextmanager
    def on(self, level: int) -> Iterator[None]:
        """Readings of this level stop until the block ends."""
        (self.folder / label_of(level)).touch()
        try:
            yield
        finally:
            (self.folder / label_of(level)).unlink()

    def wait(self, label: str) -> None:
        while (self.folder / label).exists():
            time.sleep(0.02)

    def end(self, label: str) -> None:
        (self.folder / f"{label} is over").touch()

    def over(self, level: int) -> bool:
        """Whether a reading of this level came to its end or was given up."""
        return (self.folder / f"{label_of(level)} is over").exists()


@dataclass
class SquareReader:
    """`pause` is waited between parts; `seen` lists the labels whose reading came to its end."""

    pause: float = 0.0
    hold: Hold | None = None
    models: dict[str, str] = field(default_factory=lambda: {"classifier": "fake", "voice": "fake"})
    seen: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    classifier: Brightness = field(default_factory=Brightness)
    voice: Echo = field(default_factory=Echo)
    sends_photos_to: tuple[str, ...] = ()

    def detect(self, photo: np.ndarray) -> list[Face]:
        bright = photo[..., 0] > 0
        found, column = [], 0
        edges = np.flatnonzero(np.diff(np.concatenate([[0], bright.any(0).astype(int), [0]])))
        for column, end in edges.reshape(-1, 2):
            levels = photo[:, column:end, 0]
            found.append(face(int(np.median(levels[levels > 0])), side=int(end - column)))
        return found

    def predict(self, faces: "list[Face]") -> list[Reading]:
        return [Reading(f, None if f.problem else prediction_of(f)) for f in faces]

    def stream(self, face: Face, options: object = None) -> Iterator[Reading]:
        reading = Reading(face)
        if face.problem:
            yield reading
            return
        prediction = prediction_of(face)
        assert prediction.label is not None
        self.started.append(prediction.label)
        try:
            for part in self._parts(face, prediction):
                reading = replace(reading, **part)
                yield reading
                self._rest(prediction.label)
            self.seen.append(prediction.label)
        finally:
            if self.hold:
                self.hold.end(prediction.label)

    def _rest(self, label: str) -> None:
        time.sleep(self.pause)
        if self.hold:
            self.hold.wait(label)

    def answer(self, reading: Reading, questions: "list[str]") -> Reading:
        answers = self.voice.answer(reading.face, questions)
        return replace(reading, answers=(*reading.answers, *answers))

    def accompany(self, reading: Reading, against: str | None = None) -> Reading:
        return reading

    def explain(self, reading: Reading) -> Iterator[Reading]:
        yield replace(reading, explanation=Explanation("The mouth smiles.", self.voice.name))

    def speaking(self, voice: object) -> "SquareReader":
        return replace(self, voice=voice)

    def locate(self, reading: Reading, *wanted: str | None) -> Reading:
        label, method, against = wanted
        heat = heatmaps.explain(self.classifier, reading.face, label, method, against)
        return replace(reading, heatmap=heat)

    def _parts(self, face: Face, prediction: Prediction) -> Iterator[dict[str, object]]:
        yield {"prediction": prediction}
        heat = np.where(face.regions["mouth"], 1.0, 0.1).astype(np.float32)
        shares = {name: float(heat[m].sum() / heat.sum()) for name, m in face.regions.items()}
        yield {"heatmap": Heatmap(heat, prediction.label or "", "occlusion", None, shares)}
        text = f"The expression resembles {prediction.label}: the lip corners are pulled up."
        yield {"explanation": Explanation(text, "fake")}
        start = text.index("the lip")
        cue = Cue(
            text[start:-1], start, len(text) - 1, 12, "mouth", seen="supported", used="used",
            evidence="AU12 0.90",
        )  # fmt: skip
        yield {"explanation": Explanation(text, "fake", (cue,))}

    def read(self, source: object, name: str | None = None, options: object = None) -> Report:
        try:
            photo = images.load(source)
        except images.ImageError as error:
            return Report(name or "photo", error=str(error))
        readings = tuple([*self.stream(face)][-1] for face in self.detect(photo))
        if not readings:
            return Report(name or "photo", error="No face was found.")
        return Report(name or "photo", (photo.shape[1], photo.shape[0]), 0.1, readings)


class Negative(SquareReader):
    """Reads every square as if it were as bright as it is dark."""

    def stream(self, face: Face, options: object = None) -> Iterator[Reading]:
        yield from super().stream(face.replace(crop=255 - face.crop))


def others(name: str) -> Callable[..., object]:
    """Further models by their spec: "timm:test/negative" is one, "timm:test/broken" is none."""

    def load(say: Callable[[str], None]) -> SquareReader:
        if name == BROKEN:
            raise ValueError("The Hub has no test/broken.")
        return Negative() if name == NEGATIVE else SquareReader()

    return load


def loader(reader: SquareReader, gate: Path | None = None) -> Callable[..., object]:
    """How the app gets the reader; it waits until the gate exists, if there is one."""

    def load(say: Callable[[str], None]) -> SquareReader:
        say("the squares")
        while gate is not None and not gate.exists():
            time.sleep(0.05)
        return reader

    return load
