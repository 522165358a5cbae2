"""BLIP-2 (Li et al. 2023, arXiv:2301.12597) on OPT or Flan-T5, alone or with a LoRA adapter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferce.core.types import Face, Pixels
from ferce.models.hub import CheckpointError
from ferce.models.vlm.base import VisionLanguage
from ferce.models.vlm.loading import Checkpoint, Settings, load_checkpoint
from ferce.models.vlm.phrases import Tokens, joint_continuations
from ferce.models.vlm.scoring import (
    EncoderPrefix,
    Prefix,
    likelihood_of,
    pad,
    read_prefix,
)
from ferce.models.vlm.towers import Inputs, Tower, patch_grid

if TYPE_CHECKING:
    from ferce.models.spec import Spec


def load(spec: "Spec", device: str = "auto") -> "Blip2":
    """Load the BLIP-2 that `blip2:BASE+ADAPTER@revision?load=8bit` names.

    Raises:
        CheckpointError: it cannot be had or does not fit; see `loading.load_checkpoint`.
        ValueError: an unknown option.
    """
    from transformers import Blip2ForConditionalGeneration

    checkpoint = load_checkpoint(Blip2ForConditionalGeneration, spec, device)
    _agree(checkpoint)
    checkpoint.network.qformer.set_attn_implementation("eager")  # the only one that keeps its maps
    return Blip2(str(spec), checkpoint, Settings.parse(spec.options))


class Blip2(VisionLanguage):
    """Classifier, Explainable and Voice around `Blip2ForConditionalGeneration`."""

    def __init__(self, name: str, checkpoint: Checkpoint, settings: Settings) -> None:
        super().__init__(name, checkpoint, settings)
        self.style = "opt" if self._causal else "t5"

    @property
    def _causal(self) -> bool:
        return bool(self.network.config.use_decoder_only_language_model)

    @property
    def speaker(self) -> Any:
        """The language model: the network's own settings are not read when it generates."""
        return self.network.language_model

    @property
    def _eos(self) -> list[int]:
        """Ids that end an answer: OPT goes on with another "Question:" in a new line."""
        tokenizer = self.processor.tokenizer
        newline = tokenizer("\n", add_special_tokens=False)["input_ids"] if self._causal else []
        return [self.end, tokenizer.eos_token_id, *newline[-1:]]

    def _encode(self, crops: Sequence[Pixels], texts: Sequence[str]) -> Inputs:
        """Encode one row a prompt, padded on the left; one crop for all of them, or one each.

        Raises:
            ValueError: a row has not `num_query_tokens` placeholders for the picture, with which
                the network would ignore it without a word.
        """
        made = self.processor(images=list(crops), text=list(texts), padding=False)
        rows = [list(map(int, ids)) for ids in made["input_ids"]]
        image, wanted = self.network.config.image_token_id, self.network.config.num_query_tokens
        for row in rows:
            if row.count(image) != wanted:
                count = row.count(image)
                raise ValueError(f"Each prompt must hold {wanted} image placeholders; got {count}.")
        ids, mask = pad(rows, self.device, self.processor.tokenizer.pad_token_id, "left")
        pixels = torch.as_tensor(np.stack(made["pixel_values"]), device=self.device)
        return {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask}

    def prefix(self, inputs: Inputs) -> Prefix:
        """Read the rows of `inputs`, all of one length, as a prefix; differentiable."""
        model, mask = self.network.language_model, inputs["attention_mask"]
        assert bool(mask.all()), "rows of one prefix must have one length"
        embeds = self._embed(inputs)
        if self._causal:
            return read_prefix(model, {"inputs_embeds": embeds})
        states = model.get_encoder()(inputs_embeds=embeds, attention_mask=mask).last_hidden_state
        start = model.config.decoder_start_token_id
        return EncoderPrefix(states, mask, start, self._decode)

    def continuations(self, prompt: str, phrases: Sequence[str]) -> Tokens:
        """Tokenise each phrase as the continuation of the prompt; Flan-T5 also ends its answer."""
        if self._causal:
            return joint_continuations(self.ids_of, prompt, phrases)
        return [self.processor.tokenizer(phrase)["input_ids"] for phrase in phrases]

    def whole_pass(self, inputs: Inputs, ids: Sequence[int]) -> Tensor:
        """Score `ids` by one plain pass, the (N,) mean log-probability."""
        n, longer = len(inputs["input_ids"]), dict(inputs)
        answer = torch.tensor([list(ids)] * n, device=self.device)
        if self._causal:
            longer["input_ids"] = torch.cat([inputs["input_ids"], answer], 1)
            longer["attention_mask"] = torch.ones_like(longer["input_ids"])
            logits = self.network(**longer).logits[:, -len(ids) - 1 : -1]
        else:
            opening = self.network.language_model.config.decoder_start_token_id
            start = answer.new_full((n, 1), opening)
            longer["decoder_input_ids"] = torch.cat([start, answer[:, :-1]], 1)
            logits = self.network(**longer).logits
        return likelihood_of(logits, answer)

    def generate(self, inputs: Inputs, limit: int, **extra: Any) -> Tensor:
        """Generate (N, T) new ids, at most `limit` a row, without the prompt.

        The language model is given embeddings and no ids, so that OPT has no prompt to echo.
        """
        ids = self.network.language_model.generate(
            inputs_embeds=self._embed(inputs),
            attention_mask=inputs["attention_mask"],
            max_new_tokens=limit,
            do_sample=False,
            eos_token_id=self._eos,
            pad_token_id=self.processor.tokenizer.pad_token_id,
            **extra,
        )
        assert ids.shape[1] <= limit + 1, "the language model has echoed its prompt"
        return ids

    def tower(self) -> Tower:
        """Find the visual encoder: one class token, then the patches in raster order."""
        last = self.network.vision_model.encoder.layers[-1]
        return Tower(last.layer_norm1, patch_grid(self.network.config.vision_config.patch_size))

    def attention(self, faces: Sequence[Face]) -> NDArray[np.float32]:
        """Average the Q-Former's cross-attention to the picture's patches.

        The mean is over the layers that have it, their heads and the queries. It has no label, and
        what it looks at need not be what the language model uses.

        Returns:
            (N, h, w) attention of each patch >= 0; the class token's share is left out, so a map
            sums to at most 1.
        """
        crops = [face.crop for face in faces]
        with self.turn, torch.no_grad():
            inputs = self.encode(crops, [self.question("")] * len(crops))
            maps = self._query(inputs["pixel_values"], output_attentions=True).cross_attentions
        layers = [layer.float().mean((1, 2)) for layer in maps if layer is not None]  # (N, 1 + hw)
        if not layers:
            raise RuntimeError("The Q-Former kept no attention; it must run with eager attention.")
        patches = torch.stack(layers).mean(0)[:, 1:, None]
        h, w = inputs["pixel_values"].shape[-2:]
        grid = self.tower().grid(torch.cat([patches[:, :1], patches], 1), (h, w))[:, 0]
        return np.asarray(grid.cpu().numpy(), np.float32)

    def _embed(self, inputs: Inputs) -> Tensor:
        """Embed the rows, (N, L, D), with what the queries read in place of placeholders."""
        ids = inputs["input_ids"]
        embeds = self.network.get_input_embeddings()(ids)
        read = self._query(inputs["pixel_values"]).last_hidden_state
        seen = self.network.language_projection(read.to(self._dtype))  # (N or 1, Q, D)
        seen = seen.expand(len(ids), -1, -1).to(embeds.dtype)
        return embeds.masked_scatter((ids == self.network.config.image_token_id)[..., None], seen)

    def _query(self, pixels: Tensor, **extra: Any) -> Any:
        """Run the Q-Former on (N, 3, H, W) normalised pixels."""
        network = self.network
        patches = network.vision_model(pixel_values=pixels.to(self._dtype)).last_hidden_state
        return network.qformer(
            query_embeds=network.query_tokens.expand(len(pixels), -1, -1),
            encoder_hidden_states=patches,
            encoder_attention_mask=patches.new_ones(patches.shape[:2], dtype=torch.long),
            **extra,
        )

    @property
    def _dtype(self) -> Any:
        """Of the visual encoder; the Q-Former may be kept in fp32 beside it."""
        return self.network.vision_model.embeddings.patch_embedding.weight.dtype

    def _decode(self, ids: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Compute (B, T, V) logits of the T5 decoder."""
        from transformers.modeling_outputs import BaseModelOutput

        return self.network.language_model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=mask,
            decoder_input_ids=ids,
            use_cache=False,
        ).logits


def _agree(checkpoint: Checkpoint) -> None:
    """Make processor and network agree on the placeholders, which old repositories leave open."""
    network, processor = checkpoint.network, checkpoint.processor
    processor.num_query_tokens = network.config.num_query_tokens
    token = processor.tokenizer.convert_tokens_to_ids(str(processor.image_token))
    if network.config.image_token_index is None:
        network.config.image_token_index = token
        if token >= network.get_input_embeddings().num_embeddings:
            network.resize_token_embeddings(token + 1, mean_resizing=False)
    if network.config.image_token_index != token:
        raise CheckpointError(
            f"The network's placeholder is token {network.config.image_token_index}, but the "
            f"processor's {processor.image_token} is token {token}; they are of different models."
        )
