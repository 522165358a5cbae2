"""The models, loaded in the background while the page is already up."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ferce.core.types import ReadingError
from ferce.ui.web.settings import Settings

if TYPE_CHECKING:
    from ferce.core.protocols import Classifier, Voice
    from ferce.reading.pipeline import Reader
    from ferce.ui.web.session import Work

Say = Callable[[str], None]  # takes a few words on what is loaded next
Load = Callable[[Say], "Reader"]

_POLL = 0.3  # seconds from one report of progress to the next
_log = logging.getLogger(__name__)


class Models:
    """A `Reader` that becomes ready in its own thread.

    `load` is called once; it may report what it loads. Safe to share between threads.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self.then: list[Callable[[], None]] = []  # called in that thread once they are ready
        self.kept: dict[str, Work] = {}  # examples read before, by their digest
        self._reader: Reader | None = None
        self._failure: str | None = None
        self._doing = "the models"
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin loading; returns at once."""
        threading.Thread(target=self._run, name="ferce-models", daemon=True).start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until loading has ended, well or not; False where `seconds` were too few."""
        return self._ended.wait(seconds)

    def progress(self) -> Iterator[str]:
        """Say in words what is being loaded, several times a second until loading has ended."""
        while not self.wait(_POLL):
            yield self._doing

    def ready(self) -> "Reader":
        """Wait for the reader.

        Raises:
            ReadingError: loading has failed; the message says why.
        """
        self.wait()
        if self._reader is None:
            raise ReadingError(self._failure)
        return self._reader

    @property
    def reader(self) -> "Reader | None":
        """The reader; None while it loads and after it failed to."""
        return self._reader

    @property
    def doing(self) -> str:
        """What is being loaded, in words: "the face finder"."""
        return self._doing

    @property
    def failure(self) -> str | None:
        """Why there will be no reader, one sentence; None while there is hope."""
        return self._failure

    def _run(self) -> None:
        try:
            reader = self._load(self._say)
            _open(reader)
            self._reader = reader
        except Exception as error:  # the page must say so instead of waiting for ever
            _log.exception("the models could not be loaded")
            self._failure = f"The models could not be loaded: {error}"
        self._ended.set()
        if self._reader is not None:
            for call in self.then:
                call()

    def _say(self, doing: str) -> None:
        self._doing = doing


def _open(reader: "Reader") -> None:
    """Open the network for heat maps while nobody reads: it is watched at work for that."""
    from ferce.core.protocols import Explainable, Poolable

    # A `Poolable` one is opened when a map by gradients is asked for; that takes torch.
    if isinstance(reader.classifier, Explainable) and not isinstance(reader.classifier, Poolable):
        with suppress(ValueError):  # no layer of it keeps the places of the image
            reader.classifier.view()


def from_settings(settings: Settings) -> Load:
    """Make the function that loads the models named in the settings."""

    def load(say: Say) -> "Reader":
        say("the program")
        from ferce.faces.detector import FaceDetector
        from ferce.models import DEFAULT_CLASSIFIER, load_classifier
        from ferce.reading.pipeline import Reader
        from ferce.ui.web import gpu

        voice, name = None, settings.classifier or DEFAULT_CLASSIFIER
        say(f"the classifier {name}")
        classifier = load_classifier(name, device=gpu.device_of(name, settings.device))
        if settings.voice:
            say(f"the voice {settings.voice}")
            voice = _voice(settings, classifier)
        say("the face finder")
        return gpu.borrowing(Reader(classifier, voice, FaceDetector(settings.max_faces)))

    return load


def _voice(settings: Settings, classifier: "Classifier | None") -> "Voice":
    """Load the voice of the settings; the same model is not loaded twice."""
    from ferce.core.protocols import Voice
    from ferce.models import load_voice
    from ferce.ui.web import gpu

    name = settings.voice or ""
    if name == settings.classifier and isinstance(classifier, Voice):
        return classifier
    return load_voice(name, device=gpu.device_of(name, settings.device))
