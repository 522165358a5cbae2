"""BLIP for visual question answering (Li et al. 2022, arXiv:2201.12086): short answers, ranked."""

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ferce.core.parts import Prediction
from ferce.core.types import Face, Pixels
from ferce.models.vlm.base import VisionLanguage
from ferce.models.vlm.loading import Settings, load_checkpoint
from ferce.models.vlm.phrases import Tokens
from ferce.models.vlm.scoring import EncoderPrefix, Prefix, likelihood_of, pad
from ferce.models.vlm.towers import Inputs, Tower, patch_grid

if TYPE_CHECKING:
    from ferce.models.spec import Spec

# BLIP answers in one to three words, so its explanation is one such answer a part of the face.
PARTS: MappingProxyType[str, str] = MappingProxyType(
    {
        "The eyebrows are": "how are the eyebrows?",
        "The eyes are": "how are the eyes?",
        "The nose is": "how is the nose?",
        "The mouth is": "how is the mouth?",
        "The muscles are": "are the muscles of the face tense or relaxed?",
    }
)


def load(spec: "Spec", device: str = "auto") -> "BlipVqa":
    """Load the model that `blip-vqa:Salesforce/blip-vqa-base@revision?load=8bit` names.

    Raises:
        CheckpointError: it cannot be had or does not fit; see `loading.load_checkpoint`.
        ValueError: an unknown option.
    """
    from transformers import BlipForQuestionAnswering

    checkpoint = load_checkpoint(BlipForQuestionAnswering, spec, device)
    return BlipVqa(str(spec), checkpoint, Settings.parse(spec.options))


class BlipVqa(VisionLanguage):
    """Classifier, Explainable and Voice around `BlipForQuestionAnswering`."""

    style = "vqa"

    def _encode(self, crops: Sequence[Pixels], texts: Sequence[str]) -> Inputs:
        """Encode one row a prompt, padded on the right; one crop for all of them, or one each."""
        tokenizer = self.processor.tokenizer
        rows = [tokenizer(prompt)["input_ids"] for prompt in texts]
        ids, mask = pad(rows, self.device, tokenizer.pad_token_id)
        made = self.processor.image_processor(images=list(crops), return_tensors="pt")
        pixels = made["pixel_values"].to(self.device)
        return {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask}

    def prefix(self, inputs: Inputs) -> Prefix:
        """Read the rows of `inputs`, all of one length, by the question encoder; differentiable."""
        assert bool(inputs["attention_mask"].all()), "rows of one prefix must have one length"
        start = self.network.decoder_start_token_id
        return EncoderPrefix(self._read(inputs), inputs["attention_mask"], start, self._decode)

    def continuations(self, prompt: str, phrases: Sequence[str]) -> Tokens:
        """Tokenise each phrase and the end after it; the prompt is not the decoder's."""
        del prompt
        return [self.processor.tokenizer(phrase)["input_ids"][1:] for phrase in phrases]

    def whole_pass(self, inputs: Inputs, ids: Sequence[int]) -> Tensor:
        """Score `ids` by one plain pass, the (N,) mean log-probability."""
        states = self._read(inputs)
        answer = torch.tensor([list(ids)] * len(states), device=self.device)
        start = answer.new_full((len(states), 1), self.network.decoder_start_token_id)
        read = torch.cat([start, answer[:, :-1]], 1)
        return likelihood_of(self._decode(read, states, inputs["attention_mask"]), answer)

    def generate(self, inputs: Inputs, limit: int, **extra: Any) -> Tensor:
        """Generate (N, T) new ids, at most `limit` a row.

        BLIP's decoder reads the padding of a question, whatever mask it is given (transformers
        5.23 drops it), so questions go in groups of one length.
        """
        lengths = inputs["attention_mask"].sum(1)
        text = self.network.config.text_config
        ids = lengths.new_full((len(lengths), limit), text.pad_token_id)
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero()[:, 0]
            new = self._generate_alike(_rows(inputs, rows, length), limit, **extra)
            ids[rows, : new.shape[1]] = new
        return ids

    def _generate_alike(self, inputs: Inputs, limit: int, **extra: Any) -> Tensor:
        """Generate (N, T) new ids for questions of one length."""
        states = self._read(inputs)
        start = self.network.decoder_start_token_id
        text = self.network.config.text_config
        return self.network.text_decoder.generate(
            input_ids=torch.full((len(states), 1), start, device=self.device),
            encoder_hidden_states=states,
            encoder_attention_mask=inputs["attention_mask"],
            eos_token_id=text.sep_token_id,
            pad_token_id=text.pad_token_id,
            max_new_tokens=limit,
            do_sample=False,
            **extra,
        )[:, 1:]

    def tower(self) -> Tower:
        """Find the visual encoder: one class token, then the patches in raster order."""
        last = self.network.vision_model.encoder.layers[-1]
        return Tower(last.layer_norm1, patch_grid(self.network.config.vision_config.patch_size))

    def explain(self, face: Face, prediction: Prediction) -> Iterator[str]:
        """Say a sentence on the predicted label, if any, then one on each part of the face."""
        label = prediction.label
        sentences = [] if label is None else [f"The expression resembles {label}."]
        yield from sentences
        for opening, question in PARTS.items():
            (reply,) = self.reply([face.crop], [self.question(question)])
            if reply:
                sentences.append(f"{' ' if sentences else ''}{opening} {reply}.")
                yield sentences[-1]

    def _read(self, inputs: Inputs) -> Tensor:
        """Encode the question, (N, L, D), each row with attention to its picture."""
        vision = self.network.vision_model
        pixels = inputs["pixel_values"].to(vision.embeddings.patch_embedding.weight.dtype)
        patches = vision(pixel_values=pixels).last_hidden_state
        patches = patches.expand(len(inputs["input_ids"]), -1, -1)
        return self.network.text_encoder(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            encoder_hidden_states=patches,
            encoder_attention_mask=patches.new_ones(patches.shape[:2], dtype=torch.long),
        ).last_hidden_state

    def _decode(self, ids: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Compute (B, T, V) logits of the answer decoder."""
        return self.network.text_decoder(
            input_ids=ids,
            encoder_hidden_states=states,
            encoder_attention_mask=mask,
            use_cache=False,
        ).logits


def _rows(inputs: Inputs, rows: Tensor, length: int) -> Inputs:
    """Select rows of a batch, without their padding; a picture for all rows stays one."""
    pixels = inputs["pixel_values"]
    return {
        "pixel_values": pixels if len(pixels) == 1 else pixels[rows],
        "input_ids": inputs["input_ids"][rows, :length],
        "attention_mask": inputs["attention_mask"][rows, :length],
    }
