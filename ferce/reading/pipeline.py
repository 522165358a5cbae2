"""The reading: the one place where the order photo, face, prediction, map, text is written.

`Reader.read` reads a photo, `Reader.stream` one face part by part. Each part can also be asked for
alone, and again, of a reading that has a prediction: `locate`, `answer`, `explain`, `verify`.
`Reader.predict` makes predictions of a batch; a model without a voice is asked through `predict`.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

from ferce import explanation, images
from ferce.core.labels import NEUTRAL
from ferce.core.parts import Cue, Explanation, Reading, Report
from ferce.core.protocols import Classifier, Closable, Detector, Hosted, Voice
from ferce.core.types import Face, Pixels, ReadingError
from ferce.explanation import faithfulness, heatmaps
from ferce.explanation.variants import Variants
from ferce.facs.decision import predict
from ferce.models import MEASURED_VOICE, prompts

NO_FACE = "No face was found; use a photo in which a face is visible and not too small."


@dataclass(frozen=True)
class Options:
    """The parts of a reading beyond the prediction.

    `questions` are asked of the voice, cleaned by `prompts.question`, which raises ValueError for
    those that are empty or too long; `method` is a key of `heatmaps.METHODS`, "auto" or None for
    no heat map; `target` is the label the map explains (the predicted one if None); `explain` asks
    for the text and `check` for the verdicts on its claims. `beside` adds a map of the other kind,
    see `Reader.accompany`; `measure` the faithfulness of the text.
    """

    questions: tuple[str, ...] = ()
    method: str | None = "auto"
    target: str | None = None
    explain: bool = True
    check: bool = True
    beside: bool = False
    measure: bool = True

    def __post_init__(self) -> None:
        cleaned = tuple(prompts.question(question) for question in self.questions)
        object.__setattr__(self, "questions", cleaned)


class Reader:
    """A reader of photographs with one detector, one classifier and one voice.

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
        self._seen: WeakKeyDictionary[Face, Variants] = WeakKeyDictionary()

    @property
    def models(self) -> dict[str, str]:
        """Role -> spec of the model that plays it."""
        return {
            "detector": self.detector.name,
            "classifier": self.classifier.name,
            "voice": self.voice.name,
        }

    @property
    def sends_photos_to(self) -> tuple[str, ...]:
        """Specs of the models that run elsewhere, to which the cropped faces are sent."""
        models = (self.classifier, self.voice)
        hosted = [m.name for m in models if isinstance(m, Hosted) and m.leaves_machine]
        return tuple(dict.fromkeys(hosted))

    def speaking(self, voice: Voice) -> "Reader":
        """Copy the reader with another voice."""
        return Reader(self.classifier, voice, self.detector)

    def close(self) -> None:
        """Release what the detector holds."""
        if isinstance(self.detector, Closable):
            self.detector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def detect(self, photo: Pixels) -> list[Face]:
        """Find the faces of a (H, W, 3) uint8 RGB photo, largest first."""
        return self.detector.detect(photo)

    def read(self, source: Any, name: str | None = None, options: Options | None = None) -> Report:
        """Read one photo; a photo that cannot be read becomes `Report.error`.

        Args:
            source: whatever `images.load` takes: a path, bytes, a file, a PIL image or an array.
            name: how the report calls the photo; its path by default.
            options: what to include; everything but questions by default.
        """
        options, start = options or Options(), time.perf_counter()
        photo_name = name or _name_of(source)
        try:
            loaded = images.load_noted(source)
        except images.ImageError as error:
            return Report(photo_name, error=str(error))
        photo, note = loaded.pixels, loaded.note
        size = (photo.shape[1], photo.shape[0])
        faces = self.detect(photo)
        if not faces:
            missing = f"{NO_FACE} {note}".strip()
            return Report(photo_name, size, time.perf_counter() - start, error=missing)
        try:
            readings = tuple(_last(self.stream(face, options)) for face in faces)
        except ReadingError as error:
            return Report(photo_name, size, time.perf_counter() - start, error=str(error))
        return Report(photo_name, size, time.perf_counter() - start, readings, note=note)

    def read_many(self, sources: Iterable[Any], options: Options | None = None) -> Iterator[Report]:
        """Read several photos, one report each, in order, as they are made."""
        for source in sources:
            yield self.read(source, options=options)

    def predict(self, faces: Sequence[Face]) -> list[Reading]:
        """Predict the expression of faces, scored in one batch; see `predict`.

        A face with a `problem` keeps its place and gets no prediction.
        """
        known = iter(predict(self.classifier, [face for face in faces if not face.problem]))
        return [Reading(face) if face.problem else next(known) for face in faces]

    def stream(self, face: Face, options: Options | None = None) -> Iterator[Reading]:
        """Read one face; the reading is given again with each further part.

        First the prediction, then the heat map, the answers, the text as it grows, and last the
        verdicts on its claims. A face with a `problem` gives one reading without any of them.
        """
        options = options or Options()
        (reading,) = self.predict([face])
        yield reading
        if reading.prediction is None:
            return
        if options.method:
            reading = self.locate(reading, options.target, options.method)
            yield reading
            if options.beside:
                reading = self.accompany(reading)
                yield reading
        if options.questions:
            reading = self.answer(reading, options.questions)
            yield reading
        if options.explain:
            yield from self.explain(reading, options.check, options.measure)

    def locate(
        self,
        reading: Reading,
        target: str | None = None,
        method: str = "auto",
        against: str | None = None,
    ) -> Reading:
        """Make the heat map of a reading, in place of the one that it has.

        Args:
            reading: with a prediction.
            target: label that the map explains; None for the predicted one.
            method: a key of `heatmaps.METHODS`, or "auto".
            against: a second label: the map then shows what speaks for the first rather than it.

        Raises:
            ValueError: as `heatmaps.explain` raises it.
        """
        label = target or _predicted(reading)
        face, scorer = reading.face, self._variants(reading)
        heatmap = heatmaps.explain(self.classifier, face, label, method, against, scorer)
        return replace(reading, heatmap=heatmap)

    def accompany(self, reading: Reading, against: str | None = None) -> Reading:
        """Set a map of the other kind beside that of a reading, where the classifier allows one.

        Beside what hiding a part costs that is what the network looks at, or the reverse.
        """
        assert reading.heatmap is not None, "a map accompanies another one"
        face, label = reading.face, reading.heatmap.label
        method = heatmaps.counterpart(self.classifier, face, reading.heatmap.method)
        if method is None or (against and not heatmaps.METHODS[method].of_label):
            return replace(reading, beside=None)
        beside = heatmaps.explain(self.classifier, face, label, method, against)
        return replace(reading, beside=beside)

    def answer(self, reading: Reading, questions: Sequence[str]) -> Reading:
        """Ask the voice questions about the face; their answers follow those that are there."""
        answers = self.voice.answer(reading.face, questions)
        return replace(reading, answers=(*reading.answers, *answers))

    def explain(
        self, reading: Reading, check: bool = True, measure: bool = True
    ) -> Iterator[Reading]:
        """Explain the prediction of a reading; it is given again as the text grows.

        Args:
            reading: with a prediction; its heat map, if any, takes part in the verdicts.
            check: whether the last one has verdicts on the claims and the repaired text.
            measure: whether it has the faithfulness of the text, too.
        """
        assert reading.prediction is not None, "an explanation explains a prediction"
        text = ""
        for piece in self.voice.explain(reading.face, reading.prediction):
            text += piece
            reading = replace(reading, explanation=self.said(text))
            yield reading
        if check:
            yield self.verify(reading, self.said(text), measure)

    def said(self, text: str) -> Explanation:
        """Take a text as the voice's, which no check has seen yet."""
        return Explanation(text, self.voice.name, composed=self.voice.name == MEASURED_VOICE)

    def verify(self, reading: Reading, said: Explanation, measure: bool = True) -> Reading:
        """Check an explanation: a verdict on every claim, the repaired text, its faithfulness.

        A composed text is only checked for what the model uses.

        Args:
            reading: with a prediction, of which the explanation tells.
            said: the text; cues that it has already are found again.
            measure: whether its faithfulness is measured, for faces with regions.
        """
        face, prediction, heatmap = reading.face, reading.prediction, reading.heatmap
        assert prediction is not None, "claims are checked against a prediction"
        claims, variants = explanation.parse(said.text), self._variants(reading)
        cues = explanation.check(
            claims, face, prediction, heatmap, variants, composed=said.composed
        )
        cues = _ordered(*cues, *explanation.strange(said.text, prediction))
        checked = replace(said, cues=cues)
        revised, dropped = explanation.revise(checked, cues)
        faithful = None
        if measure and face.regions:
            faithful = faithfulness.measure(face, prediction, heatmap, cues, variants)
        return replace(
            reading,
            explanation=checked,
            revised=revised if dropped else None,
            faithfulness=faithful,
        )

    def _variants(self, reading: Reading) -> Variants:
        """Find what was scored of a reading's face, while somebody holds it."""
        if reading.face not in self._seen:
            variants = self._seen[reading.face] = Variants(self.classifier)
            own = reading.prediction and reading.prediction.model == self.classifier.name
            if own and reading.scores is not None:
                variants.remember(reading.face, reading.scores)
        return self._seen[reading.face]


def _predicted(reading: Reading) -> str:
    """Choose the label that a heat map explains unless another one is asked for."""
    assert reading.prediction is not None, "a heat map explains a prediction"
    label = reading.prediction.top
    scored = reading.scores is not None and reading.scores.neutral is not None
    # A model of compounds alone has no output whose evidence for neutral could be mapped.
    return reading.prediction.compound if label == NEUTRAL and not scored else label


def _ordered(*cues: Cue) -> tuple[Cue, ...]:
    """Sort claims by their place in the text."""
    return tuple(sorted(cues, key=lambda cue: cue.start))


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
