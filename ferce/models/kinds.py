"""The table from a model's spec to what loads it; one file a model family."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

from ferce.core.protocols import Classifier, Voice
from ferce.core.types import Face, Scores
from ferce.models import forms
from ferce.models.spec import Spec, parse

DEFAULT_CLASSIFIER = "embedded"
DEFAULT_VOICE = "fastvlm-mini"  # it sees the picture, and no action units
MEASURED_VOICE = "measured"
# Classifiers that are in the package beside the default; they need no download.
PACKAGED = ("blip2-mini", "fastvlm-mini", "prototypes")
NETWORK = ("gradients", "attention")
QUERIES = (*NETWORK, "queries")


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


KINDS: MappingProxyType[str, Kind] = MappingProxyType(
    {
        "embedded": Kind(
            "embedded",
            True,
            False,
            "the packaged network, prior and readers of action units",
            forms.embedded,
        ),
        "prototypes": Kind(
            "measured",
            True,
            False,
            "action units against prototypes, no training",
            forms.bare,
            opens=(),
        ),
        "fastvlm-mini": Kind(
            "vlm.packaged",
            True,
            True,
            "the packaged small vision-language model",
            forms.optional,
        ),
        "blip2-mini": Kind(
            "vlm.packaged",
            True,
            True,
            "the packaged small BLIP-2, with its adapter or yours",
            forms.optional,
            opens=QUERIES,
        ),
        "timm": Kind(
            "timm_net",
            True,
            False,
            "any timm network trained on the 14 compounds",
            forms.timm,
        ),
        "clip": Kind(
            "clip",
            True,
            False,
            "CLIP or SigLIP, by sentences, a probe or a few examples",
            forms.clip,
        ),
        "blip2": Kind(
            "vlm.blip2",
            True,
            True,
            "BLIP-2 on OPT or Flan-T5, with or without an adapter",
            forms.language,
            opens=QUERIES,
        ),
        "blip-vqa": Kind(
            "vlm.blip_vqa",
            True,
            True,
            "BLIP for visual question answering",
            forms.language,
        ),
        "chat": Kind(
            "vlm.chat",
            True,
            True,
            "a chat model that sees: LLaVA, Qwen-VL, InternVL, SmolVLM",
            forms.language,
        ),
        "remote": Kind(
            "remote.remote",
            True,
            True,
            "an OpenAI-compatible server; the cropped face leaves this machine",
            forms.remote,
            opens=(),
        ),
        "measured": Kind(
            "measured",
            False,
            True,
            "text composed from the measured action units",
            forms.bare,
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
        raise ValueError(f"Unknown {role} {text!r}. Known kinds: {known}.")
    forms.device(device)
    able[spec.kind].form(spec)
    return spec
