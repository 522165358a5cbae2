"""A small FastVLM around a trained network: timm tower, projector, Qwen2, in native classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ferce.training.classifier.network import LITE
from ferce.training.mini import design
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from transformers import (
        FastVlmConfig,
        FastVlmForConditionalGeneration,
        FastVlmModel,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    from ferce.models.vlm.chat import Chat

SIDE, CELL = 112, 28  # pixels of a picture; of one of its 4 x 4 tokens
PLACES = (SIDE // CELL) ** 2
SEEN, WIDTH, INNER = 1280, 192, 512  # of the tower's features, the language model, its layers
LAYERS, HEADS = 4, 6
READS = 384  # tokens
WORDS = 1000  # of the tokenizer, at most
IMAGE = "<image>"
# A picture, then the question as BLIP-2 on OPT is asked.
TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}"
    "Question: {{ part['text'] }} Answer:{% endif %}{% endfor %}{% endfor %}"
)


def processor(texts: Sequence[str]) -> "LlavaProcessor":
    """Make the processor of pictures and words; its tokenizer is trained on the texts."""
    from transformers import BlipImageProcessor, LlavaProcessor

    words = design.tokenizer(texts, WORDS)
    words.add_special_tokens({"additional_special_tokens": [IMAGE]})
    half = [0.5] * 3
    pictures = BlipImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=half, image_std=half
    )
    return LlavaProcessor(
        pictures,
        words,
        patch_size=CELL,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
        image_token=IMAGE,
    )


def fresh(
    words: "PreTrainedTokenizerFast", tower: Path, faces: Tensor
) -> "FastVlmForConditionalGeneration":
    """Make a network with a trained tower and an untrained language model.

    Args:
        words: the tokenizer.
        tower: folder of a classifier with `model.safetensors` and `units.safetensors`.
        faces: (N, 3, SIDE, SIDE) in -1..1, some hundred, that settle the projector's start.

    Raises:
        TrainingError: the folder holds another network.
    """
    from transformers import FastVlmForConditionalGeneration

    network = FastVlmForConditionalGeneration(_config(words))
    heads = _open(network.model.vision_tower.timm_model, tower)
    _settle(network.model, heads, faces)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(network.generation_config, name, getattr(words, name))
    return network.eval()


def begin(network: "FastVlmForConditionalGeneration", folder: Path) -> None:
    """Begin with the projector and the language model of a trained FastVLM; the tower stays."""
    from transformers import FastVlmForConditionalGeneration

    trained = FastVlmForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    for part in ("multi_modal_projector", "language_model"):
        weights = getattr(trained.model, part).state_dict()
        getattr(network.model, part).load_state_dict(weights)


def wrapped(network: "FastVlmForConditionalGeneration", processor: "LlavaProcessor") -> "Chat":
    """Wrap the network as a `Chat`, which reads prompts and makes answers."""
    from ferce.models.vlm.chat import Chat
    from ferce.models.vlm.loading import Checkpoint, Settings

    processor.tokenizer.padding_side = "left"
    return Chat("fastvlm-mini", Checkpoint(network, processor, Path()), Settings(batch=32))


@torch.no_grad()  # type: ignore[untyped-decorator]
def features(network: "FastVlmForConditionalGeneration", images: Tensor) -> Tensor:
    """Compute (N, PLACES, SEEN) features of the tower, in raster order."""
    seen = network.model.vision_tower(images.contiguous(memory_format=torch.channels_last))
    return seen.last_hidden_state.flatten(2).transpose(1, 2)


def _config(words: "PreTrainedTokenizerFast") -> "FastVlmConfig":
    from transformers import FastVlmConfig, Qwen2Config

    ids = {name: getattr(words, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = Qwen2Config(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=READS,
        initializer_range=0.04,
        tie_word_embeddings=True,
        **ids,
    )
    tower = {
        "model_type": "timm_wrapper",
        "architecture": LITE,
        "do_pooling": False,
        "num_classes": 0,
        "hidden_size": SEEN,
    }
    image = words.convert_tokens_to_ids(IMAGE)
    return FastVlmConfig(
        vision_config=tower,
        text_config=text.to_dict(),
        image_token_id=image,
        tie_word_embeddings=True,
    )


def _open(body: torch.nn.Module, folder: Path) -> Tensor:
    """Fill the tower; (A, SEEN) directions that the classifier reads its features in."""
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    reads, _ = (weights.pop(f"classifier.{name}", None) for name in ("weight", "bias"))
    if reads is None or set(weights) != set(body.state_dict()):
        raise TrainingError(f"{folder} does not hold a {LITE} with its classifier.")
    body.load_state_dict(weights)  # float16 becomes float32
    units = load_file(folder / "units.safetensors")["weight"]
    return torch.cat([units.float(), reads.float()])


@torch.no_grad()  # type: ignore[untyped-decorator]
def _settle(model: "FastVlmModel", heads: Tensor, faces: Tensor) -> None:
    """Start the projector with the classifier's own read-outs, then principal components."""
    seen = model.vision_tower(faces).last_hidden_state.flatten(2).transpose(1, 2).flatten(0, 1)
    mean = seen.mean(0)
    _, axes = torch.linalg.eigh((seen - mean).T.cov())
    rows = torch.cat([heads, axes.flip(1).T])[:WIDTH]
    scores = (seen - mean) @ rows.T
    rows = rows / (scores.std(0) + 1e-6)[:, None]
    first, second = model.multi_modal_projector.linear_1, model.multi_modal_projector.linear_2
    first.weight.copy_(rows)
    first.bias.copy_(0.5 - rows @ mean)
    second.weight.normal_(0.0, WIDTH**-0.5)
