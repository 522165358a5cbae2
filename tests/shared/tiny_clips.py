"""Tiny CLIP and SigLIP models with random weights, saved in the real layout."""

import json
from pathlib import Path

import tiny_models
import torch
from tiny_models import HEADS, LAYERS, MEAN, PATCH, PICTURE, STD, WIDTH
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from ferce.models import prompts

SHARED = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
SIZES = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH}


def _vision() -> dict:
    return SHARED | SIZES | {"image_size": PICTURE, "patch_size": PATCH}


def build_clip(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    tokenizer = CLIPTokenizer(**_learned())
    named = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = SHARED | SIZES | named | {"vocab_size": len(tokenizer), "max_position_embeddings": 77}
    config = CLIPConfig(text_config=text, vision_config=_vision(), projection_dim=24)
    tiny_models.shake(CLIPModel(config)).save_pretrained(folder)
    crop = {"height": PICTURE, "width": PICTURE}
    pictures = CLIPImageProcessor(
        size={"shortest_edge": PICTURE}, crop_size=crop, image_mean=MEAN, image_std=STD
    )
    CLIPProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


def build_siglip(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel, SiglipProcessor

    tokenizer = tiny_models.t5_tokenizer()
    text = SHARED | SIZES | {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
    config = SiglipConfig(text_config=text, vision_config=_vision())
    model = tiny_models.shake(SiglipModel(config))
    with torch.no_grad():
        model.logit_scale.fill_(1.5)
        model.logit_bias.fill_(-2.0)
    model.save_pretrained(folder)
    size = {"height": PICTURE, "width": PICTURE}
    pictures = SiglipImageProcessor(size=size, image_mean=MEAN, image_std=STD)
    SiglipProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


def _learned() -> dict:
    """Vocabulary and merges as CLIP has them: single bytes, each also as the end of a word."""
    inner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), inner.pre_tokenizer]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|startoftext|>", "<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), end_of_word_suffix="</w>",
    )  # fmt: skip
    corpus = [s.lower() for rows in prompts.label_sentences().values() for s in rows]
    inner.train_from_iterator(corpus, trainer)
    learned = json.loads(inner.to_str())["model"]
    return {"vocab": learned["vocab"], "merges": [tuple(pair) for pair in learned["merges"]]}


BUILDERS = {"clip": build_clip, "siglip": build_siglip}
