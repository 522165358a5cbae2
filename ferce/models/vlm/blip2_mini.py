"""The packaged small BLIP-2: a base that sees and describes, and an adapter that knows compounds.

It is told nothing but the picture. The adapter was made by `train/finetune_blip2.py`, whose base
without arguments this is; what such a run leaves takes the packaged adapter's place.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferce.models.spec import Spec
    from ferce.models.vlm.blip2 import Blip2

KIND = "blip2-mini"
NAME = f"ferce/weights/{KIND}"  # what an adapter calls it: the folder as seen from the repository
PACKAGED = Path(__file__).parents[2] / "weights" / KIND
ADAPTER = PACKAGED.with_name(f"{KIND}-lora")


def load(spec: "Spec", device: str = "auto") -> "Blip2":
    """`blip2-mini`, or `blip2-mini:FOLDER` for an adapter of your own on the same base.

    Raises:
        CheckpointError: the adapter is not to be had, or belongs to another base.
        ValueError: an unknown option.
    """
    from ferce.models.vlm import blip2

    adapter = spec.where or str(ADAPTER)
    made = blip2.load(replace(spec, kind="blip2", where=str(PACKAGED), adapter=adapter), device)
    made.name = str(spec)
    return made
