"""The packaged small vision-language models: FastVLM's classes and BLIP-2's on networks of ours.

They are given nothing but the picture, neither landmarks nor measured action units, so that what
they say can be checked against what was measured. The adapter of the BLIP-2 was made by
`train/finetune_blip2.py`, whose base without arguments this is; what such a run leaves takes the
packaged adapter's place. The FastVLM runs on ONNX Runtime, and with torch where gradients, a GPU,
another precision or an adapter is asked for.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.models.hub import CheckpointError, read_json, resolve
from ferce.models.vlm.loading import Settings

if TYPE_CHECKING:
    from ferce.models.spec import Spec
    from ferce.models.vlm.base import VisionLanguage
    from ferce.models.vlm.prompted import PromptedModel

_WEIGHTS = Path(__file__).parents[2] / "weights"
BLIP2, FASTVLM = "blip2-mini", "fastvlm-mini"  # kinds
BLIP2_BASE = _WEIGHTS / BLIP2
BLIP2_NAME = f"ferce/weights/{BLIP2}"  # of the base, in adapters: its folder in the repository
BLIP2_ADAPTER = _WEIGHTS / f"{BLIP2}-lora"
FASTVLM_FOLDER = _WEIGHTS / FASTVLM


def load(spec: "Spec", device: str = "auto") -> "PromptedModel":
    """Load the packaged model of a kind, or one of your own with `kind:FOLDER`.

    The folder of `blip2-mini` holds an adapter on the packaged base, that of `fastvlm-mini` a whole
    model. A FastVLM of the packaged layout needs no torch on "auto" and "cpu".

    Raises:
        CheckpointError: not to be had, an adapter of another base, or another model.
        ValueError: an unknown option.
    """
    model = _blip2(spec, device) if spec.kind == BLIP2 else _fastvlm(spec, device)
    model.name = str(spec)
    return model


def _blip2(spec: "Spec", device: str) -> "VisionLanguage":
    from ferce.models.vlm import blip2
    from ferce.models.vlm.loading import no_progress_bar

    adapter = spec.where or str(BLIP2_ADAPTER)
    whole = replace(spec, kind="blip2", where=str(BLIP2_BASE), adapter=adapter)
    with no_progress_bar():
        return blip2.load(whole, device)


def _fastvlm(spec: "Spec", device: str) -> "PromptedModel":
    from ferce.models.vlm import fastvlm

    where = spec.where or str(FASTVLM_FOLDER)
    folder = resolve(where, None if spec.adapter else spec.revision)
    kind = read_json(folder / "config.json").get("model_type")
    if kind != "fast_vlm":
        raise CheckpointError(f"{where} holds a {kind}; load it as chat:{where}.")
    whole = replace(spec, where=where)
    load, plain = Settings.parse(spec.options).load, not spec.adapter and device in ("auto", "cpu")
    if plain and load in ("auto", "fp32") and fastvlm.fits(folder):
        return fastvlm.FastVlm(spec, folder, lambda: _chat(whole, "cpu"))
    return _chat(whole, device)


def _chat(spec: "Spec", device: str) -> "VisionLanguage":
    from ferce.models.vlm import chat
    from ferce.models.vlm.loading import no_progress_bar

    with no_progress_bar():
        return chat.load(spec, device)
