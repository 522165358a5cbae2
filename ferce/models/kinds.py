"""The kinds of models: what the spec of each may hold, and what loads it; a family is a file."""

import os
import re
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

from ferce.core.protocols import Classifier, Voice
from ferce.core.types import Face, Scores
from ferce.models import calibration, hub
from ferce.models.prompts import STYLES
from ferce.models.remote.endpoint import Endpoint, Terms, require_consent
from ferce.models.spec import Spec, parse, quoted
from ferce.models.vlm.loading import Settings

DEFAULT_CLASSIFIER = "embedded"
DEFAULT_VOICE = "fastvlm-mini"  # it sees the picture, and no action units
MEASURED_VOICE = "measured"
# Classifiers that are in the package beside the default; they need no download.
PACKAGED = ("blip2-mini", "fastvlm-mini", "prototypes")
NETWORK = ("gradients", "attention")
QUERIES = (*NETWORK, "queries")

MIX = "mix"  # option of the kind "embedded": how often each outcome is assumed to be met
PROMPTS = "prompts"  # option of the kind "clip": a style of label sentences
RANDOM = "random/"  # timm:random/resnet18 is that network untrained, the same each time
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class Kind:
    """A model family.

    Attributes:
        module: whose `load(spec, device)` makes it.
        classifier: whether it can classify.
        voice: whether it can answer and explain.
        about: in a few words.
        form: raises ValueError for a spec that cannot be of this kind.
        opens: what heat maps may need of it, see `heatmaps.methods.Method`; () for no network to
            look into.
    """

    module: str
    classifier: bool
    voice: bool
    about: str
    form: Callable[[Spec], None]
    opens: tuple[str, ...] = NETWORK


def accept_bare(spec: Spec) -> None:
    """Refuse all but the kind alone; raises ValueError."""
    if spec != Spec(spec.kind):
        raise ValueError(f"Expected the spec {spec.kind!r} alone; got {quoted(str(spec))}.")


def accept_embedded(spec: Spec) -> None:
    """Accept `embedded`, a place or none, a mix or none; raises ValueError for anything else."""
    if set(spec.options) - {MIX} or spec.adapter:
        raise ValueError(
            f"The kind 'embedded' has one option, {MIX}, and no adapter; got {quoted(str(spec))}."
        )
    calibration.named_mix(spec.options.get(MIX, calibration.EVERYDAY))
    accept_optional(Spec(spec.kind, spec.where, spec.revision))


def accept_timm(spec: Spec) -> None:
    """Accept `timm` with a place or an untrained network; raises ValueError for anything else."""
    if spec.options or spec.adapter:
        raise ValueError(
            f"A timm network takes no options and no adapter; got {quoted(str(spec))}."
        )
    where = spec.where.removeprefix("hf-hub:")
    if not where.startswith(RANDOM):
        _place(Spec(spec.kind, where, spec.revision))


def accept_clip(spec: Spec) -> None:
    """Accept `clip` with a place and its options; raises ValueError for anything else."""
    style = spec.options.get(PROMPTS, "both")
    if style not in STYLES:
        raise ValueError(f"{PROMPTS} must be one of {', '.join(STYLES)}; got {quoted(style)}.")
    settings = Settings.parse({k: v for k, v in spec.options.items() if k != PROMPTS})
    if settings.calibrate != "none":
        raise ValueError("The kind 'clip' has no prompt prior, so no option 'calibrate'.")
    _place(spec)


def accept_language(spec: Spec) -> None:
    """Accept a place with `Settings`; raises ValueError for anything else."""
    Settings.parse(spec.options)
    _place(spec)


def accept_optional(spec: Spec) -> None:
    """Accept `Settings`, and a place or none; raises ValueError for anything else."""
    Settings.parse(spec.options)
    if spec.where:
        _place(spec)


def accept_remote(spec: Spec) -> None:
    """Accept a server that may be asked; raises ValueError for anything else."""
    terms = Terms.parse(spec.options)
    require_consent(Endpoint.parse(spec, os.environ), terms, os.environ)


def check_device(name: str) -> None:
    """Refuse what is no device; raises ValueError. Whether it is there is not known yet."""
    if not _DEVICE.fullmatch(name):
        raise ValueError(f"Expected a device as auto, cpu, cuda or cuda:1; got {quoted(name)}.")


def _place(spec: Spec) -> None:
    """Refuse a spec without a place, and a place or adapter that cannot be; the Hub is not asked.

    Raises:
        ValueError: no place is named.
        CheckpointError: neither a folder with weights nor an id of the Hub.
    """
    if not spec.where:
        raise ValueError(
            f"Expected {spec.kind}:owner/name or {spec.kind}:FOLDER; got {spec.kind!r} alone."
        )
    hub.local(spec.where, None if spec.adapter else spec.revision)
    if spec.adapter:
        hub.local(spec.adapter, spec.revision)


KINDS: MappingProxyType[str, Kind] = MappingProxyType(
    {
        "embedded": Kind(
            "embedded",
            True,
            False,
            "the packaged network, prior and readers of action units",
            accept_embedded,
        ),
        "prototypes": Kind(
            "measured",
            True,
            False,
            "action units against prototypes, no training",
            accept_bare,
            opens=(),
        ),
        "fastvlm-mini": Kind(
            "vlm.packaged",
            True,
            True,
            "the packaged small vision-language model",
            accept_optional,
        ),
        "blip2-mini": Kind(
            "vlm.packaged",
            True,
            True,
            "the packaged small BLIP-2, with its adapter or yours",
            accept_optional,
            opens=QUERIES,
        ),
        "timm": Kind(
            "timm_net",
            True,
            False,
            "any timm network trained on the 14 compounds",
            accept_timm,
        ),
        "clip": Kind(
            "clip",
            True,
            False,
            "CLIP or SigLIP, by sentences, a probe or a few examples",
            accept_clip,
        ),
        "blip2": Kind(
            "vlm.blip2",
            True,
            True,
            "BLIP-2 on OPT or Flan-T5, with or without an adapter",
            accept_language,
            opens=QUERIES,
        ),
        "blip-vqa": Kind(
            "vlm.blip_vqa",
            True,
            True,
            "BLIP for visual question answering",
            accept_language,
        ),
        "chat": Kind(
            "vlm.chat",
            True,
            True,
            "a chat model that sees: LLaVA, Qwen-VL, InternVL, SmolVLM",
            accept_language,
        ),
        "remote": Kind(
            "remote.remote",
            True,
            True,
            "an OpenAI-compatible server; the cropped face leaves this machine",
            accept_remote,
            opens=(),
        ),
        "measured": Kind(
            "measured",
            False,
            True,
            "text composed from the measured action units",
            accept_bare,
            opens=(),
        ),
    }
)


def load_classifier(spec: str, device: str = "auto") -> Classifier:
    """Load the classifier named by `spec` on `device` ("auto", "cpu", "cuda", "cuda:1" ...).

    Raises:
        ValueError: the spec is unknown or names a model that cannot classify.
    """
    return _load(spec, device, "classifier")  # type: ignore[no-any-return]


def given_compound(classifier: Classifier) -> Classifier:
    """Narrow a classifier to the 14 compounds; its scores are those given that one shows."""

    class Narrowed(type(classifier)):  # type: ignore[misc]
        def scores(self, faces: Sequence[Face]) -> Scores:
            return super().scores(faces).given_compound()  # type: ignore[no-any-return]

    narrowed = copy(classifier)
    narrowed.__class__ = Narrowed
    return narrowed


def load_voice(spec: str, device: str = "auto") -> Voice:
    """Load the voice named by `spec` on `device`.

    Raises:
        ValueError: the spec is unknown or names a model that cannot answer.
    """
    return _load(spec, device, "voice")  # type: ignore[no-any-return]


def check_classifier(spec: str, device: str = "auto") -> None:
    """Refuse what `load_classifier` would, as far as it shows without loading anything.

    Raises:
        ValueError: as `load_classifier` raises it.
    """
    _checked(spec, device, "classifier")


def check_voice(spec: str, device: str = "auto") -> None:
    """Refuse what `load_voice` would, as far as it shows without loading anything.

    Raises:
        ValueError: as `load_voice` raises it.
    """
    _checked(spec, device, "voice")


def _load(text: str, device: str, role: str) -> Any:
    spec = _checked(text, device, role)
    module = import_module(f"ferce.models.{KINDS[spec.kind].module}")
    return module.load(spec, device)


def _checked(text: str, device: str, role: str) -> Spec:
    spec = parse(text)
    able = {name: kind for name, kind in KINDS.items() if getattr(kind, role)}
    if spec.kind not in able:
        known = "; ".join(f"{name} ({kind.about})" for name, kind in able.items())
        raise ValueError(f"Unknown {role} {quoted(text)}. Known kinds: {known}.")
    check_device(device)
    able[spec.kind].form(spec)
    return spec
