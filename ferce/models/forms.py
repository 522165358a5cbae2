"""What the spec of each kind may hold; no model library is needed to tell."""

import os
import re

from ferce.models import hub, mix
from ferce.models.prompts import STYLES
from ferce.models.remote.endpoint import Endpoint, Terms, require_consent
from ferce.models.spec import Spec
from ferce.models.vlm.loading import Settings

MIX = "mix"  # option of the kind "embedded": how often each outcome is assumed to be met
PROMPTS = "prompts"  # option of the kind "clip": a style of label sentences
RANDOM = "random/"  # timm:random/resnet18 is that network untrained, the same each time
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def bare(spec: Spec) -> None:
    """Refuse all but the kind alone; raises ValueError."""
    if spec != Spec(spec.kind):
        raise ValueError(f"Expected the spec {spec.kind!r} alone; got {str(spec)!r}.")


def embedded(spec: Spec) -> None:
    """Accept `embedded`, a place or none, a mix or none; raises ValueError for anything else."""
    if set(spec.options) - {MIX} or spec.adapter:
        raise ValueError(
            f"The kind 'embedded' has one option, {MIX}, and no adapter; got {str(spec)!r}."
        )
    mix.named(spec.options.get(MIX, mix.EVERYDAY))
    optional(Spec(spec.kind, spec.where, spec.revision))


def timm(spec: Spec) -> None:
    """Accept `timm` with a place or an untrained network; raises ValueError for anything else."""
    if spec.options or spec.adapter:
        raise ValueError(f"A timm network takes no options and no adapter; got {str(spec)!r}.")
    where = spec.where.removeprefix("hf-hub:")
    if not where.startswith(RANDOM):
        _place(Spec(spec.kind, where, spec.revision))


def clip(spec: Spec) -> None:
    """Accept `clip` with a place and its options; raises ValueError for anything else."""
    style = spec.options.get(PROMPTS, "both")
    if style not in STYLES:
        raise ValueError(f"{PROMPTS} must be one of {', '.join(STYLES)}; got {style!r}.")
    settings = Settings.parse({k: v for k, v in spec.options.items() if k != PROMPTS})
    if settings.calibrate != "none":
        raise ValueError("The kind 'clip' has no prompt prior, so no option 'calibrate'.")
    _place(spec)


def language(spec: Spec) -> None:
    """Accept a place with `Settings`; raises ValueError for anything else."""
    Settings.parse(spec.options)
    _place(spec)


def optional(spec: Spec) -> None:
    """Accept `Settings`, and a place or none; raises ValueError for anything else."""
    Settings.parse(spec.options)
    if spec.where:
        _place(spec)


def remote(spec: Spec) -> None:
    """Accept a server that may be asked; raises ValueError for anything else."""
    terms = Terms.parse(spec.options)
    require_consent(Endpoint.parse(spec, os.environ), terms, os.environ)


def device(name: str) -> None:
    """Refuse what is no device; raises ValueError. Whether it is there is not known yet."""
    if not _DEVICE.fullmatch(name):
        raise ValueError(f"Expected a device as auto, cpu, cuda or cuda:1; got {name!r}.")


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
