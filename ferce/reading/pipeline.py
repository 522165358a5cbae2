"""The reading: the one place where the order photo, face, prediction, map, text is written."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

from ferce import explanation, images
from ferce.core.labels import NEUTRAL
from ferce.core.protocols import Classifier, Detector, Voice
from ferce.core.types import Explanation, Face, Pixels, Reading, ReadingError, Report, Scores
from ferce.explanation import faithfulness, heatmaps
from ferce.facs import decision
from ferce.models import prompts

NO_FACE = "No face was found; use a photo in which a face is visible and not too small."


@dataclass(frozen=True)
class Options:
    """What a reading holds beyond the prediction.

    `questions` are asked of the voice, cleaned by `prompts.question`, which raises ValueError for
    those that are empty or too long; `method` is a key of `heatmaps.METHODS`, "auto" or None for
    no heat map; `target` is the label the map explains (the predicted one if None); `explain` asks
    for the text and `check` for the verdicts on its claims.
    """

    questions: tuple[str, ...] = ()
    method: str | None = "auto"
    target: str | None = None
    explain: bool = True
    check: bool = True

    def __post_init__(self) -> None:
        cleaned = tuple(prompts.question(question) for question in self.questions)
        object.__setattr__(self, "questions", cleaned)


class Reader:
    """Reads photographs with one detector, one classifier and one voice.

    Parts that are not given are the defaults that need no download. Safe to share between threads
    when its parts are; those of ferce are.
    """

    def __init__(
        self,
        classifier: Classifier | None = None,
        voice: Voice | None = None,
        detector: Detector | None = None,
    ) -> None:
        from ferce.faces.detector import FaceDetector
        from ferce.models import DEFAULT_CLASSIFIER, DEFAULT_VOICE, load_classifier, load_voice

        self.classifier = classifier or load_classifier(DEFAULT_CLASSIFIER)
        self.voice = voice or load_voice(DEFAULT_VOICE)
        self.detector = detector or FaceDetector()

    @property
    def models(self) -> dict[str, str]:
        """Role -> spec of the model that plays it."""
        detector = getattr(self.detector, "name", type(self.detector).__name__)
        return {"detector": detector, "classifier": self.classifier.name, "voice": self.voice.name}

    @property
    def sends_photos_to(self) -> tuple[str, ...]:
        """Specs of the models that run elsewhere, to which the cropped faces are sent."""
        models = (self.classifier, self.voice)
        away = [model.name for model in models if getattr(model, "leaves_machine", False)]
        return tuple(dict.fromkeys(away))

    def close(self) -> None:
        """Release what the detector holds."""
        close = getattr(self.detector, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def detect(self, photo: Pixels) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB photo, largest first."""
        return self.detector.detect(photo)

    def read(self, source: Any, name: str | None = None, options: Options | None = None) -> Report:
        """The report on one photo; a photo that cannot be read becomes `Report.error`.

        Args:
            source: whatever `images.load` takes: a path, bytes, a file, a PIL image or an array.
            name: how the report calls the photo; its path by default.
            options: what to include; everything but questions by default.
        """
        options, start = options or Options(), time.perf_counter()
        photo_name = name or _name_of(source)
        try:
            photo = images.load(source)
        except images.ImageError as error:
            return Report(photo_name, error=str(error))
        size = (photo.shape[1], photo.shape[0])
        faces = self.detect(photo)
        if not faces:
            return Report(photo_name, size, time.perf_counter() - start, error=NO_FACE)
        try:
            readings = tuple(_last(self.stream(face, options)) for face in faces)
        except ReadingError as error:
            return Report(photo_name, size, time.perf_counter() - start, error=str(error))
        return Report(photo_name, size, time.perf_counter() - start, readings)

    def read_many(self, sources: Iterable[Any], options: Options | None = None) -> Iterator[Report]:
        """One report a source, in order, as they are made."""
        for source in sources:
            yield self.read(source, options=options)

    def stream(self, face: Face, options: Options | None = None) -> Iterator[Reading]:
        """The reading of one face, again and again with one part more.

        First the prediction, then the heat map, the answers, the text as it grows, and last the
        verdicts on its claims. A face with a `problem` gives one reading without any of them.
        """
        options, reading = options or Options(), Reading(face)
        if face.problem:
            yield reading
            return
        scores = self.classifier.scores([face])
        reading = replace(reading, face=measured(face, scores))
        prediction = decision.decide(scores, 0, reading.face, self.classifier.name)
        reading = replace(reading, prediction=prediction)
        yield reading
        if options.method:
            reading = self._with_heatmap(reading, scores, options)
            yield reading
        if options.questions:
            reading = replace(reading, answers=tuple(self.voice.answer(face, options.questions)))
            yield reading
        if options.explain:
            yield from self._explained(reading, options)

    def _with_heatmap(self, reading: Reading, scores: Scores, options: Options) -> Reading:
        assert reading.prediction is not None, "a heat map explains a prediction"
        label = options.target or reading.prediction.label or reading.prediction.top
        if label == NEUTRAL and scores.neutral is None and not options.target:
            label = reading.prediction.top  # a model of compounds only looks for none of neutral
        heatmap = heatmaps.explain(
            self.classifier, reading.face, label, method=options.method or "auto"
        )
        return replace(reading, heatmap=heatmap)

    def _explained(self, reading: Reading, options: Options) -> Iterator[Reading]:
        assert reading.prediction is not None, "an explanation explains a prediction"
        text = ""
        for piece in self.voice.explain(reading.face, reading.prediction):
            text += piece
            reading = replace(reading, explanation=Explanation(text, self.voice.name))
            yield reading
        if options.check:
            yield self._checked(reading, text)

    def _checked(self, reading: Reading, text: str) -> Reading:
        """With a verdict on every claim, the repaired text, and the text's faithfulness."""
        face, prediction, heatmap = reading.face, reading.prediction, reading.heatmap
        assert prediction is not None, "claims are checked against a prediction"
        cues = explanation.check(
            explanation.parse(text), face, prediction, heatmap, self.classifier
        )
        told = Explanation(text, self.voice.name, cues)
        revised, dropped = explanation.revise(told, cues)
        measured = None
        if face.regions:
            measured = faithfulness.measure(face, prediction, heatmap, cues, self.classifier)
        return replace(
            reading,
            explanation=told,
            revised=revised if dropped else None,
            faithfulness=measured,
        )


def measured(face: Face, scores: Scores, i: int = 0) -> Face:
    """The face with action units that the classifier measured itself (row `i`), where surer."""
    if scores.units is None:
        return face
    units = dict(face.units)
    for number, seen in scores.units[i].items():
        if number not in units or seen.confidence > units[number].confidence:
            units[number] = seen
    return face.replace(units=units)


def _last(parts: Iterator[Reading]) -> Reading:
    *_, reading = parts
    return reading


def _name_of(source: Any) -> str:
    if isinstance(source, str | PathLike):
        return Path(fspath(source)).as_posix()
    return "photo"


def read(
    photo: Any,
    *,
    classifier: str | None = None,
    voice: str | None = None,
    questions: Sequence[str] = (),
    device: str = "auto",
) -> Report:
    """Read one photo with models named by spec; the short form of `Reader`.

    For many photos build one `Reader` and keep it, so that models are loaded once.
    """
    from ferce.models import DEFAULT_CLASSIFIER, DEFAULT_VOICE, load_classifier, load_voice

    with Reader(
        load_classifier(classifier or DEFAULT_CLASSIFIER, device),
        load_voice(voice or DEFAULT_VOICE, device),
    ) as reader:
        return reader.read(photo, options=Options(questions=tuple(questions)))
