"""Chat models that see: LLaVA, Qwen-VL, InternVL, SmolVLM and others with a chat template."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ferce.core.types import Pixels
from ferce.models.hub import CheckpointError
from ferce.models.vlm import towers
from ferce.models.vlm.base import VisionLanguage
from ferce.models.vlm.loading import Settings, load_checkpoint
from ferce.models.vlm.phrases import Tokens, joint_continuations
from ferce.models.vlm.scoring import (
    Prefix,
    likelihood_of,
    read_prefix,
)
from ferce.models.vlm.towers import Inputs, Tower

if TYPE_CHECKING:
    from ferce.models.spec import Spec

# One tile a picture: a face crop is small, and the map of a tiled picture would be torn apart.
ONE_TILE = {"crop_to_patches": False, "do_image_splitting": False, "do_pan_and_scan": False}
# A checkpoint's own sampling settings, which would be warned about as nothing is sampled.
GREEDY = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}


def load(spec: "Spec", device: str = "auto") -> "Chat":
    """Load the model that `chat:owner/name+ADAPTER@revision?load=8bit` names.

    Raises:
        CheckpointError: it cannot be had, does not fit, or has no chat template.
        ValueError: an unknown option.
    """
    from transformers import AutoModelForImageTextToText

    checkpoint = load_checkpoint(AutoModelForImageTextToText, spec, device)
    processor = checkpoint.processor
    if getattr(processor, "chat_template", None) is None:
        raise CheckpointError(f"{spec.where} has no chat template, so it cannot be asked.")
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return Chat(str(spec), checkpoint, Settings.parse(spec.options))


class Chat(VisionLanguage):
    """Classifier, Explainable and Voice around any `AutoModelForImageTextToText`."""

    style = "chat"

    def _encode(self, crops: Sequence[Pixels], texts: Sequence[str]) -> Inputs:
        """Encode one row a prompt, padded on the left; one crop for all of them, or one each.

        Raises:
            ValueError: a row has no place for the picture, which the network would then not see.
        """
        made = encode(self.processor, crops, texts)
        places = made["input_ids"] == self.network.config.image_token_id
        if not bool(places.any(1).all()):
            raise ValueError("The chat template left no place for the picture in the prompt.")
        return {key: value.to(self.device) for key, value in made.items()}

    def prefix(self, inputs: Inputs) -> Prefix:
        """Read the rows of `inputs`, all of one length, as a prefix; differentiable."""
        assert bool(inputs["attention_mask"].all()), "rows of one prefix must have one length"
        return read_prefix(self.network, inputs)

    def continuations(self, prompt: str, phrases: Sequence[str]) -> Tokens:
        """Tokenise each phrase as the assistant's words after the prompt."""
        text = self.processor.apply_chat_template(
            _turn(prompt), add_generation_prompt=True, tokenize=False
        )
        return joint_continuations(self.ids_of, text, phrases)

    def whole_pass(self, inputs: Inputs, ids: Sequence[int]) -> Tensor:
        """Score `ids` by one plain pass, the (N,) mean log-probability."""
        n, longer = len(inputs["input_ids"]), dict(inputs)
        answer = torch.tensor([list(ids)] * n, device=self.device)
        more = {"input_ids": answer, "attention_mask": torch.ones_like(answer)}
        for key, value in inputs.items():
            if value.shape[:2] == inputs["input_ids"].shape:
                longer[key] = torch.cat([value, more.get(key, torch.zeros_like(answer))], 1)
        return likelihood_of(self.network(**longer).logits[:, -len(ids) - 1 : -1], answer)

    def generate(self, inputs: Inputs, limit: int, **extra: Any) -> Tensor:
        """Generate (N, T) new ids, at most `limit` a row; the echoed prompt is cut off."""
        pad = self.processor.tokenizer.pad_token_id
        ids = self.network.generate(
            **inputs, max_new_tokens=limit, pad_token_id=pad, **GREEDY, **extra
        )
        width = inputs["input_ids"].shape[1]
        assert torch.equal(ids[:, :width], inputs["input_ids"]), "no echo of the prompt to cut off"
        return ids[:, width:]

    def tower(self) -> Tower:
        """Find the visual encoder; raises ValueError for an unknown structure."""
        blank = np.zeros((64, 64, 3), np.uint8)
        return towers.find(self.network, self._encode([blank], [self.question("")]))


def encode(processor: Any, crops: Sequence[Pixels], texts: Sequence[str]) -> dict[str, Tensor]:
    """Encode one row a prompt on the CPU, padded as the tokenizer pads; one crop for all or each.

    A picture is one tile: the options of `ONE_TILE` that the family's image processor knows.
    """
    from PIL import Image

    pictures = [Image.fromarray(crop) for crop in crops]
    pictures = pictures * len(texts) if len(pictures) == 1 else pictures
    known = processor.image_processor
    tiling = {name: value for name, value in ONE_TILE.items() if hasattr(known, name)}
    return dict(
        processor.apply_chat_template(
            [_turn(text, image) for text, image in zip(texts, pictures, strict=True)],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, **tiling},
        )
    )


def _turn(text: str, image: Any = None) -> list[dict[str, Any]]:
    """Make a conversation of one question about one picture."""
    picture = {"type": "image"} if image is None else {"type": "image", "image": image}
    return [{"role": "user", "content": [picture, {"type": "text", "text": text}]}]
