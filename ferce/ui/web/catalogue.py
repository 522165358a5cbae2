"""The models that the page offers: the one it starts with, those of the operator, those of all."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.models import (
    DEFAULT_CLASSIFIER,
    DEFAULT_VOICE,
    KINDS,
    MEASURED_VOICE,
    load_voice,
    spec,
)
from ferce.ui.web.loading import Load, Models, Say, from_settings
from ferce.ui.web.settings import Settings

if TYPE_CHECKING:
    from ferce.reading.pipeline import Reader

LoadNamed = Callable[[str], Load]  # a spec -> how its reader is made

_FREE = 2  # models of visitors' choice that are kept; an older one goes when no page holds it
_OPTIONS = frozenset({"load"})  # options that a visitor may give
_ONLY_HUB = "Give a model of the Hub as kind:owner/name, such as timm:owner/name"


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
            raise ValueError(f"{voice!r} is not offered; choose one of: {', '.join(self.voices)}.")

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
                from ferce import models
                from ferce.reading.pipeline import Reader
                from ferce.ui.web import gpu

                default = self.ready()
                say(name)
                model = models.load_classifier(name, device=gpu.device_of(name, device))
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
        raise ValueError(f"FERCE_MODELS lists classifiers, of the kinds {able}; got {name!r}.")
    return name


def _check_free(name: str, allowed: bool, names: tuple[str, ...]) -> None:
    """Refuse what a visitor must not load: folders and addresses of the server's own network."""
    if not allowed:
        raise ValueError(f"{name!r} is not offered here; choose one of: {', '.join(names)}.")
    asked = spec.parse(name)
    if asked.kind not in KINDS or not KINDS[asked.kind].classifier or asked.kind == "remote":
        able = (key for key, row in KINDS.items() if row.classifier and key != "remote")
        raise ValueError(f"{_ONLY_HUB}, of the kinds {', '.join(able)}; got {name!r}.")
    for where in (asked.where, asked.adapter):
        if where is not None and not _on_hub(where):
            raise ValueError(f"{_ONLY_HUB}; got {name!r}.")
    if odd := sorted(set(asked.options) - _OPTIONS):
        raise ValueError(f"The option {odd[0]} is the operator's to give; leave it out.")


def _on_hub(where: str) -> bool:
    from ferce.publishing.staging import is_hub_id

    return is_hub_id(where) and not Path(where).expanduser().exists()
