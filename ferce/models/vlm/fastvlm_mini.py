"""The packaged small vision-language model: FastVLM's classes on the packaged network.

It is told nothing but the picture: neither landmarks nor measured action units. So what it says can
be checked against what was measured.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.models.hub import CheckpointError

if TYPE_CHECKING:
    from ferce.models.spec import Spec
    from ferce.models.vlm.chat import Chat

PACKAGED = Path(__file__).parents[2] / "weights" / "fastvlm-mini"


def load(spec: "Spec", device: str = "auto") -> "Chat":
    """The model that `fastvlm-mini` names, or `fastvlm-mini:FOLDER` for one of your own.

    Raises:
        CheckpointError: the folder holds another model.
        ValueError: an unknown option.
    """
    from ferce.models.vlm import chat

    made = chat.load(replace(spec, where=spec.where or str(PACKAGED)), device)
    found = made.network.config.model_type
    if found != "fast_vlm":
        raise CheckpointError(f"{spec.where} holds a {found}; load it as chat:{spec.where}.")
    made.name = str(spec)
    return made
