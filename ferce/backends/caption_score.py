"""How well a sentence fits a picture (CLIPScore) or another sentence (an encoder's cosine)."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.backends.checkpoint import choose_device
from ferce.hub import CheckpointError, resolve
from ferce.types import Pixels

# Hessel et al. 2021 (EMNLP, arXiv 2104.08718), section 3: w and the prefix of every caption.
WEIGHT = 2.5
PREFIX = "A photo depicts "
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class ClipScorer:
    """CLIPScore of texts and pictures; the paper's figures are of openai/clip-vit-base-patch32."""

    def __init__(self, where: str, device: str = "auto", revision: str | None = None) -> None:
        """Load a CLIP from a folder or the Hub; raises CheckpointError when it is none."""
        from transformers import AutoConfig, CLIPModel, CLIPProcessor

        folder = resolve(where, revision)
        kind = AutoConfig.from_pretrained(folder).model_type
        if kind != "clip":
            raise CheckpointError(f"CLIPScore needs a CLIP; {where} is a model of type {kind!r}.")
        self.device = choose_device(device)
        self.network = CLIPModel.from_pretrained(folder, use_safetensors=True).eval()
        self.network.to(self.device)
        self.processor = CLIPProcessor.from_pretrained(folder)
        self.longest = self.network.config.text_config.max_position_embeddings

    def pictures(self, crops: Sequence[Pixels]) -> NDArray[np.float64]:
        """(N, D) unit rows of N (H, W, 3) uint8 RGB pictures."""
        import torch

        pixels = self.processor(
            images=[np.array(c) for c in crops], return_tensors="pt"
        ).pixel_values
        with torch.no_grad():
            return _unit(self.network.get_image_features(pixel_values=pixels.to(self.device)))

    def captions(self, text: str) -> NDArray[np.float64]:
        """(K, D) unit rows: the text, or each of its sentences when it is longer than CLIP reads.

        A sentence that alone is too long is cut, as the paper does.
        """
        import torch

        parts = [text] if self._length(text) <= self.longest else _SENTENCE.split(text.strip())
        told = self.processor.tokenizer(
            [PREFIX + part for part in parts],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self.longest,
        ).to(self.device)
        with torch.no_grad():
            return _unit(self.network.get_text_features(**told))

    def _length(self, text: str) -> int:
        return len(self.processor.tokenizer(PREFIX + text).input_ids)


def clip_score(picture: NDArray[np.float64], captions: NDArray[np.float64]) -> float:
    """Mean over sentences of w * max(cos, 0), 0..2.5 (equation in section 3 of the paper).

    Args:
        picture: (D,) of length 1.
        captions: (K, D) rows of length 1.
    """
    return float((WEIGHT * np.maximum(captions @ picture, 0)).mean())


class SentenceEncoder:
    """Sentence vectors: the mean over tokens, as in Sentence-BERT (arXiv 1908.10084), length 1."""

    def __init__(self, where: str, device: str = "auto", revision: str | None = None) -> None:
        """Load an encoder such as sentence-transformers/all-MiniLM-L6-v2."""
        from transformers import AutoModel, AutoTokenizer

        folder = resolve(where, revision)
        self.device = choose_device(device)
        self.network = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
        self.network.to(self.device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.longest = min(self.network.config.max_position_embeddings, 512)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(N, D) unit rows."""
        import torch

        told = self.tokenizer(
            list(texts),
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self.longest,
        ).to(self.device)
        with torch.no_grad():
            states = self.network(**told).last_hidden_state  # (N, T, D)
        mask = told.attention_mask[..., None].to(states.dtype)
        return _unit((states * mask).sum(1) / mask.sum(1))


def _unit(found: Any) -> NDArray[np.float64]:
    """Rows of length 1; transformers 5 wraps CLIP's features in an output object."""
    rows = getattr(found, "pooler_output", found).double().cpu().numpy()
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)
