"""What training adds to a chat model: rows of tokens, the loss of its answers, its pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferce.core.types import Pixels
from ferce.models.vlm import chat
from ferce.models.vlm.chat import Chat
from ferce.training.language.conversation import Example
from ferce.training.language.learner import Learner
from ferce.training.language.loss_model import answer_losses
from ferce.training.language.rows import IGNORED, Row, Tokeniser
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from ferce.training.language.features import FeatureSource


class ChatTokeniser(Tokeniser):
    """Tokenises examples exactly as `vlm.chat` reads prompts and scores answers.

    A prompt has as many places as a picture of `size` pixels takes, whatever it shows.
    """

    def __init__(self, backend: Chat, size: int) -> None:
        """`size` is the side of the pictures in pixels."""
        self.backend, self.inner, self.causal = backend, backend.processor.tokenizer, True
        text = backend.network.config.get_text_config()
        self.limit = getattr(text, "max_position_embeddings", None)
        self.blank = np.zeros((size, size, 3), np.uint8)
        self._prompts: dict[str, tuple[int, ...]] = {}
        self._more: dict[str, dict[str, tuple[int, ...]]] = {}

    def prompt(self, text: str) -> tuple[int, ...]:
        """Tokenise a prompt in the family's format, with the picture's placeholders."""
        asked = self.backend.question(text)
        if asked not in self._prompts:
            made = chat.encode(self.backend.processor, [self.blank], [asked])
            tokens = {key: tuple(made[key][0].tolist()) for key in token_keys(made)}
            self._prompts[asked] = tokens.pop("input_ids")
            del tokens["attention_mask"]
            self._more[asked] = tokens
        return self._prompts[asked]

    def row(self, example: Example) -> Row:
        """Turn an example into ids.

        Raises:
            TrainingError: it is longer than the language model can read.
        """
        row = super().row(example)
        return replace(row, more=self._more[self.backend.question(example.prompt)])


def token_keys(made: Mapping[str, Tensor]) -> list[str]:
    """List the inputs that have one value a token; the others are of the picture."""
    shape = made["input_ids"].shape
    return [key for key, value in made.items() if value.shape[:2] == shape]


@dataclass(frozen=True)
class ChatPictures:
    """Prepares faces as a chat model takes them, also in a process of its own."""

    processor: Any
    prompt: str
    size: int

    def __call__(self, crops: Sequence[Pixels]) -> dict[str, Tensor]:
        """Preprocess N pictures (S, S, 3): everything but the tokens, on the CPU.

        Raises:
            TrainingError: one is of another size, and would take other places in the prompt.
        """
        if odd := [len(crop) for crop in crops if len(crop) != self.size]:
            raise TrainingError(
                f"A chat model is fine-tuned on faces of one size; got one of {odd[0]} px and one "
                f"of {self.size} px. Give --detect yes, which cuts all alike."
            )
        made = chat.encode(self.processor, crops, [self.prompt] * len(crops))
        tokens = token_keys(made)
        return {key: value for key, value in made.items() if key not in tokens}


class ChatLoss(torch.nn.Module):  # type: ignore[misc]
    """The loss of each row's answer, computed by the network's own forward pass."""

    frozen_projection = False  # nothing of a chat model is computed once

    def __init__(self, backend: Chat) -> None:
        """`backend` has the adapter's layers in place."""
        super().__init__()
        self.network = backend.network

    def train(self, mode: bool = True) -> "ChatLoss":
        """Put what learns into training mode; a frozen vision tower stays as it is."""
        super().train(mode)
        tower = self.network.get_encoder(modality="image")
        tower.train(mode and any(p.requires_grad for p in tower.parameters()))
        return self

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Compute (N,) mean negative log-likelihoods of the rows' answers.

        Args:
            batch: `Tokeniser.batch` with `ChatPictures` of the same rows. Logits are made for the
                places only that some row's answer needs.
        """
        given = dict(batch)
        wanted = given.pop("labels")[:, 1:]  # the state before a token predicts it
        shifts = given.pop("shifts", None)
        places = (wanted != IGNORED).any(0).nonzero()[:, 0]
        logits = self.network(**given, use_cache=False, logits_to_keep=places).logits
        wanted = wanted[:, places]
        learnt = wanted != IGNORED
        return answer_losses(logits[learnt], wanted[learnt], learnt, shifts)


class ChatLearner(Chat, Learner):
    """A chat model with the source of pictures that training has."""

    def __init__(self, backend: Chat, size: int) -> None:
        """`size` is the side of the pictures in pixels."""
        super().__init__(backend.name, backend.checkpoint, backend.settings)
        self.loss_model, self.tokeniser = ChatLoss(self), ChatTokeniser(self, size)
        self.pictures = ChatPictures(self.processor, self.question(""), size)

    def score(
        self, numbers: Sequence[int], source: "FeatureSource", prompt: str, phrases: Sequence[str]
    ) -> NDArray[np.float64]:
        """Compute (N, K) mean log-probability per token of the phrases as answers to `prompt`."""
        if not numbers:
            return np.zeros((0, len(phrases)))
        crops = [source.gallery.picture(number)[0] for number in numbers]
        return self.log_likelihoods(crops, phrases, self.question(prompt))

    def say(
        self, numbers: Sequence[int], source: "FeatureSource", prompts: Sequence[str], limit: int
    ) -> list[str]:
        """Answer a prompt about each picture."""
        crops = [source.gallery.picture(number)[0] for number in numbers]
        return self.reply(crops, [self.question(prompt) for prompt in prompts], limit)
