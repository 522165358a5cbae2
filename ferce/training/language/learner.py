"""A vision-language model as it is fine-tuned: BLIP-2, or any chat model that sees."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferce.core.types import Pixels
from ferce.models.hub import CheckpointError, read_json
from ferce.models.spec import Spec
from ferce.models.vlm.base import VisionLanguage
from ferce.training.language.rows import Tokeniser

if TYPE_CHECKING:
    from ferce.training.language.features import FeatureSource

BLIP2, CHAT = "blip2", "chat"  # kinds of a spec


class Learner(VisionLanguage):
    """A model as a stage trains and measures it, the adapter's layers in place.

    Attributes:
        loss_model: from a batch to (N,) losses.
        tokeniser: from examples to rows, from rows to a batch.
        pictures: from N faces to what a batch has of them, on the CPU.
    """

    loss_model: torch.nn.Module
    tokeniser: Tokeniser
    pictures: Callable[[Sequence[Pixels]], dict[str, Tensor]]

    @abstractmethod
    def score(
        self, numbers: Sequence[int], source: "FeatureSource", prompt: str, phrases: Sequence[str]
    ) -> NDArray[np.float64]:
        """Compute (N, K) mean log-probability per token of the phrases as answers to `prompt`."""

    @abstractmethod
    def say(
        self, numbers: Sequence[int], source: "FeatureSource", prompts: Sequence[str], limit: int
    ) -> list[str]:
        """Answer a prompt about each picture."""


def kind_of(folder: Path) -> str:
    """Tell of which kind the model in a folder is, "blip2" or "chat".

    Raises:
        CheckpointError: it is neither.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN,
    )

    model = read_json(folder / "config.json").get("model_type")
    if model == "blip-2":
        return BLIP2
    if model not in KNOWN:
        raise CheckpointError(
            f"{folder} holds {model!r}; fine-tuning takes BLIP-2 or a chat model that sees, such "
            "as LLaVA, Qwen-VL, InternVL or SmolVLM."
        )
    return CHAT


def load(
    folder: Path, device: str, options: dict[str, str], adapter: Path | None = None
) -> VisionLanguage:
    """Load the model in a folder as it is read and scored elsewhere, frozen.

    Raises:
        CheckpointError: it is of no kind that can be fine-tuned, or does not fit.
    """
    from ferce.models.vlm import blip2, chat

    kind = kind_of(folder)
    spec = Spec(kind, str(folder), adapter=str(adapter) if adapter else None, options=options)
    return blip2.load(spec, device) if kind == BLIP2 else chat.load(spec, device)


def learner_of(model: VisionLanguage, size: int) -> Learner:
    """Give a loaded model, whose adapter is in place, what training needs.

    Args:
        model: of `load`.
        size: side of the faces in pixels.
    """
    from ferce.models.vlm.blip2 import Blip2
    from ferce.models.vlm.chat import Chat
    from ferce.training.language.chat import ChatLearner
    from ferce.training.language.loss_model import FeatureBlip2, LossModel

    if isinstance(model, Blip2):
        return FeatureBlip2(model, LossModel(model), Tokeniser(model))
    assert isinstance(model, Chat), model
    return ChatLearner(model, size)
