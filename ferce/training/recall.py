"""A BLIP-2 that reads remembered features instead of pictures, to score labels and to speak."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.backends import scoring
from ferce.backends.blip2 import Blip2
from ferce.backends.vlm import Inputs, pad_left
from ferce.training.rows import Tokeniser
from ferce.training.speaker import Speaker

Sight = Callable[[Sequence[int]], dict[str, Any]]  # numbers of pictures -> what a batch has of them


class Recall(Blip2):
    """The backend with the sight of a `Speaker`: `features` or `pixel_values` of a batch."""

    def __init__(self, backend: Blip2, speaker: Speaker, tokeniser: Tokeniser) -> None:
        super().__init__(backend.name, backend.checkpoint, backend.settings)
        self.speaker, self.tokeniser = speaker, tokeniser

    def _embed(self, inputs: Inputs) -> Any:
        return self.speaker.embed(inputs)

    def asked(self, prompts: Sequence[str], sight: dict[str, Any]) -> Inputs:
        """Inputs of N prompts, not yet in the family's format, over what is seen of N pictures."""
        rows = [list(self.tokeniser.prompt(text)) for text in prompts]
        ids, mask = pad_left(rows, self.processor.tokenizer.pad_token_id, self.device)
        return {"input_ids": ids, "attention_mask": mask, **sight}

    def score(
        self, numbers: Sequence[int], sight: Sight, prompt: str, phrases: Sequence[str]
    ) -> NDArray[np.float64]:
        """(N, K) mean log-probability per token of each phrase as the answer to `prompt`."""
        tokens = self.continuations(self.question(prompt), phrases)
        rows = []
        for start in range(0, len(numbers), self.settings.batch):
            some = numbers[start : start + self.settings.batch]
            with torch.no_grad():
                prefix = self.prefix(self.asked([prompt] * len(some), sight(some)))
                found = scoring.likelihoods(prefix, tokens, self.device)
            rows.append(found.float().cpu().numpy())
        whole = np.concatenate(rows) if rows else np.zeros((0, len(phrases)))
        return np.asarray(whole, np.float64)

    def say(
        self, numbers: Sequence[int], sight: Sight, prompts: Sequence[str], limit: int
    ) -> list[str]:
        """What the model answers to a prompt about each picture."""
        texts: list[str] = []
        for start in range(0, len(numbers), self.settings.batch):
            rows = slice(start, start + self.settings.batch)
            inputs = self.asked(prompts[rows], sight(numbers[rows]))
            with torch.no_grad():
                ids = self.generate(inputs, limit)
            texts += self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [text.strip() for text in texts]
