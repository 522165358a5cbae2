"""The table from a model's spec to what loads it; one file a model family."""

from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

from ferce.core.protocols import Classifier, Voice
from ferce.models.spec import Spec, parse

DEFAULT_CLASSIFIER = "embedded"
DEFAULT_VOICE = "measured"


@dataclass(frozen=True)
class Kind:
    """A model family: the module whose `load(spec, device)` makes it, and what it can be."""

    module: str
    classifier: bool
    voice: bool
    about: str


KINDS: MappingProxyType[str, Kind] = MappingProxyType(
    {
        "embedded": Kind(
            "embedded", True, False, "the packaged network, prior and readers of action units"
        ),
        "prototypes": Kind(
            "prototypes", True, False, "action units against prototypes, no training"
        ),
        "fastvlm-mini": Kind(
            "vlm.fastvlm_mini", True, True, "the packaged small vision-language model"
        ),
        "blip2-mini": Kind(
            "vlm.blip2_mini", True, True, "the packaged small BLIP-2, with its adapter or yours"
        ),
        "timm": Kind("timm_net", True, False, "any timm network trained on the 14 compounds"),
        "clip": Kind(
            "clip", True, False, "CLIP or SigLIP, by sentences, a probe or a few examples"
        ),
        "blip2": Kind(
            "vlm.blip2", True, True, "BLIP-2 on OPT or Flan-T5, with or without an adapter"
        ),
        "blip-vqa": Kind("vlm.blip_vqa", True, True, "BLIP for visual question answering"),
        "chat": Kind(
            "vlm.chat", True, True, "a chat model that sees: LLaVA, Qwen-VL, InternVL, SmolVLM"
        ),
        "remote": Kind(
            "remote.remote",
            True,
            True,
            "an OpenAI-compatible server; the cropped face leaves this machine",
        ),
        "measured": Kind("measured", False, True, "text composed from the measured action units"),
    }
)


def load_classifier(spec: str, device: str = "auto") -> Classifier:
    """The classifier named by `spec` on `device` ("auto", "cpu", "cuda", "cuda:1" ...).

    Raises:
        ValueError: the spec is unknown or names a model that cannot classify.
    """
    return _load(spec, device, "classifier")  # type: ignore[no-any-return]


def load_voice(spec: str, device: str = "auto") -> Voice:
    """The voice named by `spec` on `device`.

    Raises:
        ValueError: the spec is unknown or names a model that cannot answer.
    """
    return _load(spec, device, "voice")  # type: ignore[no-any-return]


def _load(text: str, device: str, role: str) -> Any:
    spec: Spec = parse(text)
    able = {name: kind for name, kind in KINDS.items() if getattr(kind, role)}
    if spec.kind not in able:
        known = "; ".join(f"{name} ({kind.about})" for name, kind in able.items())
        raise ValueError(f"Unknown {role} {text!r}. Known kinds: {known}.")
    module = import_module(f"ferce.models.{able[spec.kind].module}")
    return module.load(spec, device)
