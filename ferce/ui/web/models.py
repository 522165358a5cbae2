"""The models of the page: loaded in the background, and by name those that it offers."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.core.types import ReadingError
from ferce.models import (
    DEFAULT_CLASSIFIER,
    DEFAULT_VOICE,
    KINDS,
    MEASURED_VOICE,
    load_classifier,
    load_voice,
    spec,
)
from ferce.ui.web.settings import Settings

if TYPE_CHECKING:
    from ferce.core.protocols import Classifier, Voice
    from ferce.reading.pipeline import Reader
    from ferce.ui.web.session import Work

Say = Callable[[str], None]  # takes a few words on what is loaded next
Load = Callable[[Say], "Reader"]

_POLL = 0.3  # seconds from one report of progress to the next
_log = logging.getLogger(__name__)

LoadNamed = Callable[[str], Load]  # a spec -> how its reader is made

_FREE = 2  # models of visitors' choice that are kept; an older one goes when no page holds it
_OPTIONS = frozenset({"load"})  # options that a visitor may give
_ONLY_HUB = "Give a model of the Hub as kind:owner/name, such as timm:owner/name"


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
    from ferce.ui.web import gpu

    name = settings.voice or ""
    if name == settings.classifier and isinstance(classifier, Voice):
        return classifier
    return load_voice(name, device=gpu.device_of(name, settings.device))


class Catalogue(Models):
    """The default reader, and by name the others; each is loaded once, when first asked for."""

    def __init__(
        self, settings: Settings, load: Load | None = None, others: LoadNamed | None = None
    ) -> None:
        super().__init__(load or from_settings(settings))
        default = settings.classifier or DEFAULT_CLASSIFIER
        self.names = tuple(dict.fromkeys((default, *map(_offered, settings.models))))
        own = settings.voice or DEFAULT_VOICE
        speaking = (name for name in self.names if KINDS[spec.parse(name).kind].voice)
        # What may explain and answer; the first is the default.
        self.voices = tuple(dict.fromkeys((own, DEFAULT_VOICE, MEASURED_VOICE, *speaking)))
        self.allow_any = settings.allow_any
        self._others = others or self._beside(settings.device)
        self._offered: dict[str, Models] = {default: self}
        self._free: OrderedDict[str, Models] = OrderedDict()
        self._pairs: dict[tuple[Models, str], Models] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> Models:
        """Find the models behind a name; they begin to load if they were not asked for before.

        Raises:
            ValueError: The name is not offered, and is none that a visitor may choose.
        """
        name = name.strip()
        if name not in self.names:
            _check_free(name, self.allow_any, self.names)
        with self._lock:
            kept = self._offered if name in self.names else self._free
            if name not in kept:
                kept[name] = Models(self._others(name))
                kept[name].start()
            if kept is self._free:
                self._free.move_to_end(name)
                while len(self._free) > _FREE:
                    self._free.popitem(last=False)
            return kept[name]

    def speaking(self, models: Models, voice: str) -> Models:
        """Find the same models with another voice, one of `voices`, which loads when first used.

        Raises:
            ValueError: the voice is not offered.
        """
        if voice not in self.voices:
            raise ValueError(
                f"{spec.quoted(voice)} is not offered; choose one of: {', '.join(self.voices)}."
            )

        def load(say: Say) -> "Reader":
            say(f"the voice {voice}")
            reader = models.ready()
            if voice in self.names:
                return reader.speaking(self.of(voice).ready().voice)
            return reader.speaking(load_voice(voice))

        with self._lock:
            if (models, voice) not in self._pairs:
                self._pairs[models, voice] = Models(load)
                self._pairs[models, voice].start()
            return self._pairs[models, voice]

    def known(self) -> Mapping[str, Models]:
        """List those that were asked for until now, name -> models; the default comes first."""
        with self._lock:
            return self._offered | self._free

    def _beside(self, device: str) -> LoadNamed:
        """Load a classifier by its spec, with its own voice where it has one."""

        def named(name: str) -> Load:
            def load(say: Say) -> "Reader":
                from ferce.reading.pipeline import Reader
                from ferce.ui.web import gpu

                default = self.ready()
                say(name)
                model = load_classifier(name, device=gpu.device_of(name, device))
                speaks = KINDS[spec.parse(name).kind].voice
                voice = model if speaks else default.voice
                reader = Reader(model, voice, default.detector)  # type: ignore[arg-type]
                return gpu.borrowing(reader)

            return load

        return named


def _offered(name: str) -> str:
    """Check a spec of the operator's list; raises ValueError when it names no classifier."""
    kind = spec.parse(name).kind
    if kind not in KINDS or not KINDS[kind].classifier:
        able = ", ".join(key for key, row in KINDS.items() if row.classifier)
        raise ValueError(
            f"FERCE_MODELS lists classifiers, of the kinds {able}; got {spec.quoted(name)}."
        )
    return name


def _check_free(name: str, allowed: bool, names: tuple[str, ...]) -> None:
    """Refuse what a visitor must not load: folders and addresses of the server's own network."""
    if not allowed:
        raise ValueError(
            f"{spec.quoted(name)} is not offered here; choose one of: {', '.join(names)}."
        )
    asked = spec.parse(name)
    if asked.kind not in KINDS or not KINDS[asked.kind].classifier or asked.kind == "remote":
        able = (key for key, row in KINDS.items() if row.classifier and key != "remote")
        raise ValueError(f"{_ONLY_HUB}, of the kinds {', '.join(able)}; got {spec.quoted(name)}.")
    for where in (asked.where, asked.adapter):
        if where is not None and not _on_hub(where):
            raise ValueError(f"{_ONLY_HUB}; got {spec.quoted(name)}.")
    if odd := sorted(set(asked.options) - _OPTIONS):
        raise ValueError(f"The option {odd[0]} is the operator's to give; leave it out.")


def _on_hub(where: str) -> bool:
    from ferce.publishing.staging import is_hub_id

    return is_hub_id(where) and not Path(where).expanduser().exists()
