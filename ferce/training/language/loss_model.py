"""The loss of a BLIP-2's answers, from pictures or their features and from token ids.

The language model is given embeddings. The output layer runs over answer tokens only, as the logits
of all others would be thrown away: with 50,000 words they are the largest tensor of a plain step.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ferce.core.types import Pixels
from ferce.models.vlm import scoring
from ferce.models.vlm.blip2 import Blip2
from ferce.models.vlm.towers import Inputs
from ferce.training.language.decoder import Decoder
from ferce.training.language.learner import Learner
from ferce.training.language.rows import IGNORED, Tokeniser

if TYPE_CHECKING:
    from ferce.training.language.features import FeatureSource


class LossModel(torch.nn.Module):  # type: ignore[misc]
    """The loss of each row; frozen parts run without gradients and in evaluation mode."""

    def __init__(self, backend: Blip2) -> None:
        """`backend` has the adapter's layers in place."""
        super().__init__()
        self.network = backend.network
        self.causal = backend.style == "opt"
        self.projected = False  # whether the features given are behind the projection
        self._decoder = _decoder(backend)

    @property
    def frozen_vision(self) -> bool:
        """Whether nothing of the vision tower and the Q-Former learns."""
        network = self.network
        parts = (network.vision_model, network.qformer)
        learns = any(p.requires_grad for part in parts for p in part.parameters())
        return not learns and not network.query_tokens.requires_grad

    @property
    def frozen_projection(self) -> bool:
        """Whether the language projection does not learn."""
        return not _learns(self.network.language_projection)

    def train(self, mode: bool = True) -> "LossModel":
        """Put the language model and what learns into training mode; the rest stays as it is."""
        super().train(mode)
        for part in (self.network.vision_model, self.network.qformer):
            part.train(mode and _learns(part))
        return self

    def free_vision(self, projected: bool) -> None:
        """Replace frozen vision modules by Identity to free memory.

        Args:
            projected: replace the language projection, too.
        """
        self.projected = projected
        self.network.vision_model = torch.nn.Identity()
        self.network.qformer = torch.nn.Identity()
        if projected:
            self.network.language_projection = torch.nn.Identity()

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Compute (N,) mean negative log-likelihoods of the rows' answers.

        Args:
            batch: `rows.Tokeniser.batch`, with `features` (N, Q, D) or `pixel_values`, and perhaps
                the `shifts` of `answer_losses`.
        """
        embeds, shifts = self.embed(batch), batch.get("shifts")
        read = self._continued if self.causal else self._decoded
        logits, wanted, learnt = read(embeds, batch["attention_mask"], batch["labels"])
        return answer_losses(logits, wanted, learnt, shifts)

    def embed(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Embed the rows as (N, L, D), the picture's features in place of the placeholders."""
        ids = batch["input_ids"]
        places = ids == self.network.config.image_token_id
        wanted = self.network.config.num_query_tokens
        assert bool((places.sum(1) == wanted).all()), f"a row must have {wanted} placeholders"
        embeds = self.network.get_input_embeddings()(ids)
        seen = self.see(batch).to(embeds.dtype)
        return embeds.masked_scatter(places[..., None], seen)

    def see(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Compute (N, Q, D) picture features in the language model's space."""
        network = self.network
        if "features" not in batch:
            read = self._query(batch["pixel_values"])
        else:
            read = batch["features"]
            if self.projected:
                return read
        return network.language_projection(read.to(_dtype(network.language_projection, read)))

    def _query(self, pixels: Tensor) -> Tensor:
        network = self.network
        dtype = network.vision_model.embeddings.patch_embedding.weight.dtype
        with torch.no_grad() if not _learns(network.vision_model) else nullcontext():
            patches = network.vision_model(pixel_values=pixels.to(dtype)).last_hidden_state
        with torch.no_grad() if self.frozen_vision else nullcontext():
            return network.qformer(
                query_embeds=network.query_tokens.expand(len(pixels), -1, -1),
                encoder_hidden_states=patches,
                encoder_attention_mask=patches.new_ones(patches.shape[:2], dtype=torch.long),
            ).last_hidden_state

    def _continued(
        self, embeds: Tensor, mask: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        model = self.network.language_model
        wanted = labels[:, 1:]  # the state before a token predicts it
        learnt = wanted != IGNORED
        if self._decoder is not None and not torch.is_autocast_enabled(embeds.device.type):
            states = self._decoder(embeds, learnt)
        else:
            whole = model.model.decoder(
                inputs_embeds=embeds, attention_mask=mask, use_cache=False
            ).last_hidden_state
            states = whole[:, :-1][learnt]
        return model.lm_head(states), wanted[learnt], learnt

    def _decoded(
        self, embeds: Tensor, mask: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        model = self.network.language_model
        logits = model(
            inputs_embeds=embeds, attention_mask=mask, labels=labels, use_cache=False
        ).logits
        learnt = labels != IGNORED
        return logits[learnt], labels[learnt], learnt


def answer_losses(
    logits: Tensor, wanted: Tensor, learnt: Tensor, shifts: Tensor | None = None
) -> Tensor:
    """Compute (N,) mean cross-entropies of rows over their answers' tokens.

    Args:
        logits: (M, V) of the M tokens of all answers, row after row.
        wanted: (M,) ids.
        learnt: (N, L) with M true, the places of the answers.
        shifts: (S, 3) what is added to single logits: place in M, id, value.
    """
    logits = logits.float()
    if shifts is not None:
        places, ids = shifts[:, 0].long(), shifts[:, 1].long()
        logits = logits.index_put((places, ids), shifts[:, 2], accumulate=True)
    losses = functional.cross_entropy(logits, wanted, reduction="none")
    rows = learnt.nonzero()[:, 0]
    sums = losses.new_zeros(len(learnt)).index_add(0, rows, losses)
    return sums / learnt.sum(1).clamp(min=1)


def _decoder(backend: Blip2) -> Decoder | None:
    """Take OPT apart where this file computes it faster than the library."""
    if backend.style != "opt":
        return None
    return Decoder.of(backend.network.language_model.model.decoder)


def _learns(module: torch.nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _dtype(module: torch.nn.Module, read: Tensor) -> torch.dtype:
    """Find the floating-point type that a layer's inputs need; quantised weights have none."""
    weight = next(module.parameters())
    return weight.dtype if weight.dtype.is_floating_point else read.dtype


@dataclass(frozen=True)
class BlipPictures:
    """Prepares faces as BLIP-2 takes them, also in a process of its own."""

    image_processor: Any

    def __call__(self, crops: Sequence[Pixels]) -> dict[str, Tensor]:
        """Preprocess N pictures: `pixel_values` (N, 3, H, W) float32 on the CPU."""
        made = self.image_processor(images=list(crops), return_tensors="pt")
        return {"pixel_values": made["pixel_values"]}


class FeatureBlip2(Blip2, Learner):
    """The backend with the source of a `LossModel`: `features` or `pixel_values` of a batch."""

    def __init__(self, backend: Blip2, loss_model: LossModel, tokeniser: Tokeniser) -> None:
        super().__init__(backend.name, backend.checkpoint, backend.settings)
        self.loss_model, self.tokeniser = loss_model, tokeniser
        self.pictures = BlipPictures(self.processor.image_processor)

    def _embed(self, inputs: Inputs) -> Tensor:
        return self.loss_model.embed(inputs)

    def asked(self, prompts: Sequence[str], source: dict[str, Tensor]) -> Inputs:
        """Build inputs of N prompts, not yet in the family's format, about N pictures."""
        rows = [list(self.tokeniser.prompt(text)) for text in prompts]
        ids, mask = scoring.pad(rows, self.device, self.processor.tokenizer.pad_token_id, "left")
        return {"input_ids": ids, "attention_mask": mask, **source}

    def score(
        self, numbers: Sequence[int], source: "FeatureSource", prompt: str, phrases: Sequence[str]
    ) -> NDArray[np.float64]:
        """Compute (N, K) mean log-probability per token of the phrases as answers to `prompt`."""
        tokens = self.continuations(self.question(prompt), phrases)
        rows = []
        for start in range(0, len(numbers), self.settings.batch):
            some = numbers[start : start + self.settings.batch]
            with torch.no_grad():
                prefix = self.prefix(self.asked([prompt] * len(some), source(some)))
                values = scoring.likelihoods(prefix, tokens, self.device)
            rows.append(values.float().cpu().numpy())
        whole = np.concatenate(rows) if rows else np.zeros((0, len(phrases)))
        return np.asarray(whole, np.float64)

    def say(
        self, numbers: Sequence[int], source: "FeatureSource", prompts: Sequence[str], limit: int
    ) -> list[str]:
        """Answer a prompt about each picture."""
        texts: list[str] = []
        for start in range(0, len(numbers), self.settings.batch):
            rows = slice(start, start + self.settings.batch)
            inputs = self.asked(prompts[rows], source(numbers[rows]))
            with torch.no_grad():
                ids = self.generate(inputs, limit)
            texts += self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [text.strip() for text in texts]
