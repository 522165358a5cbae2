"""The sizes of the small BLIP-2, and weights to start from that can learn."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        Blip2VisionConfig,
        Blip2VisionModel,
        PreTrainedTokenizerFast,
    )

    from ferce.models.vlm.blip2 import Blip2


def tokenizer(texts: Sequence[str], words: int) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE laid out like OPT's: every text begins with `</s>`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=words,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="</s>", eos_token="</s>", pad_token="<pad>"
    )


SIDE, PATCH, PLACES = 112, 16, 7  # pixels, pixels, patches a side (the teacher's stride-16 map)
WIDTH, HEADS = 192, 6
SEES, ASKS, SPEAKS = 6, 2, 4  # layers of the tower, the Q-Former, the language model
QUERIES = 16
READS = 384  # tokens
WORDS = 1000  # of the tokenizer, at most
DAMPED = 64  # components beyond are weaker than the others in the first patch embedding
SPREAD = 0.06  # of fresh weights, near 1 / sqrt(WIDTH)
SHARP = 1.5  # spread of query and key weights over 1 / sqrt(width), so that attention is not flat


def processor(texts: Sequence[str]) -> "Blip2Processor":
    """Make the processor of pictures and words; its tokenizer is trained on the texts."""
    from transformers import Blip2Processor, BlipImageProcessor

    words = tokenizer(texts, WORDS)
    words.add_special_tokens({"additional_special_tokens": ["<image>"]})
    half = [0.5] * 3
    pictures = BlipImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=half, image_std=half
    )
    return Blip2Processor(pictures, words, num_query_tokens=QUERIES)


def fresh(words: "PreTrainedTokenizerFast") -> "Blip2ForConditionalGeneration":
    """Make an untrained network for this tokenizer."""
    from transformers import Blip2ForConditionalGeneration

    network = Blip2ForConditionalGeneration(_config(words))
    network.vision_model.load_state_dict(fresh_tower().state_dict())
    with torch.no_grad():
        network.query_tokens.normal_(0.0, 1.0)  # zeros in a fresh network: all queries alike
        for name, parameter in network.qformer.named_parameters():
            if name.endswith(("query.weight", "key.weight")):
                parameter.normal_(0.0, SHARP / parameter.shape[1] ** 0.5)
    return network


def wrapped(network: "Blip2ForConditionalGeneration", processor: "Blip2Processor") -> "Blip2":
    """Wrap the network as a `Blip2`, which reads prompts and makes answers."""
    from ferce.models.vlm.blip2 import Blip2
    from ferce.models.vlm.loading import Checkpoint, Settings

    network.qformer.set_attn_implementation("eager")
    return Blip2("blip2-mini", Checkpoint(network, processor, Path()), Settings(batch=32))


def _config(words: "PreTrainedTokenizerFast") -> "Blip2Config":
    from transformers import Blip2Config, Blip2QFormerConfig, OPTConfig

    former = Blip2QFormerConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        num_hidden_layers=ASKS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        encoder_hidden_size=WIDTH,
        cross_attention_frequency=1,
        initializer_range=SPREAD,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    text = OPTConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        word_embed_proj_dim=WIDTH,
        ffn_dim=4 * WIDTH,
        num_hidden_layers=SPEAKS,
        num_attention_heads=HEADS,
        max_position_embeddings=READS,
        init_std=SPREAD,
        dropout=0.0,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return Blip2Config(
        vision_config=vision_config().to_dict(),
        qformer_config=former.to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=QUERIES,
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )


def vision_config() -> "Blip2VisionConfig":
    """Configure the tower; transformers' own `initializer_range`, 1e-10, would never learn."""
    from transformers import Blip2VisionConfig

    return Blip2VisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=SEES,
        num_attention_heads=HEADS,
        image_size=SIDE,
        patch_size=PATCH,
        initializer_range=SPREAD,
    )


def fresh_tower() -> "Blip2VisionModel":
    """Make a vision tower with sine position embeddings."""
    from transformers import Blip2VisionModel

    tower = Blip2VisionModel(vision_config())
    with torch.no_grad():
        tower.embeddings.position_embedding[0, 1:] = _places()
    return tower


@torch.no_grad()  # type: ignore[untyped-decorator]
def whiten(tower: "Blip2VisionModel", images: Tensor) -> None:
    """Start the patch embedding with the whitened principal components of some faces' patches.

    Neighbouring pixels are so much alike that a random start shows the layers above little but the
    patches' brightness; so they have all of a patch in equal strength from the first step.

    Args:
        tower: as `fresh_tower` makes it.
        images: (N, 3, SIDE, SIDE); some hundred.
    """
    patches = torch.nn.functional.unfold(images, PATCH, stride=PATCH).transpose(1, 2).flatten(0, 1)
    mean = patches.mean(0)
    spread, axes = torch.linalg.eigh((patches - mean).T.cov())
    spread, axes = spread.flip(0)[:WIDTH], axes.flip(1)[:, :WIDTH]
    weight = axes.T / (spread + spread[DAMPED] + 1e-4).sqrt()[:, None]
    layer = tower.embeddings.patch_embedding
    layer.weight.copy_(weight.view_as(layer.weight))
    layer.bias.copy_(-weight @ mean)


def _places() -> Tensor:
    """Compute (49, WIDTH) sines and cosines of row and column (arXiv:1706.03762)."""
    row, column = torch.meshgrid(torch.arange(PLACES), torch.arange(PLACES), indexing="ij")
    pace = 1 / 100 ** (torch.arange(WIDTH // 4) / (WIDTH / 4))
    angles = [at.flatten()[:, None] * pace for at in (row, column)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], 1)
