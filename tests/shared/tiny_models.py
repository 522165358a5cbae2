"""Tiny random vision-language models, saved in the layout in which the real ones are published."""

import json
import pickle
from pathlib import Path

import numpy as np
import torch
from tiny_tokenizers import bert_tokenizer, opt_tokenizer, t5_tokenizer

from ferce.core.types import Face
from ferce.models.vlm.adapters import peft_wraps

WIDTH, HEADS, LAYERS = 64, 4, 2  # 64: the block of 4-bit weights
PICTURE, PATCH = 32, 8  # pixels
MEAN, STD = [0.5, 0.4, 0.45], [0.25, 0.3, 0.28]


def face(seed: int, size: int = 40) -> Face:
    """A crop of smooth random colours; every seed another."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3)).astype(np.uint8)
    return Face(crop=coarse.repeat(size // 5, 0).repeat(size // 5, 1))


def computed(run) -> int:
    """Floating-point operations of a run: what it costs, whatever else the machine does."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def shake(model, seed: int = 0):
    """Weights large enough that pictures and prompts matter; a fresh BLIP-2 has zeros and 1e-10."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "norm" not in name.lower():
                spread = 1.0 if "query_tokens" in name else 2.0 / WIDTH**0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
    model.tie_weights()
    return model.eval()


def speak(model, text: str, monkeypatch):
    """Make a model generate this text; which words a random one says, the processor decides."""
    from transformers import LogitsProcessorList

    ids = iter(model.processor.tokenizer(text, add_special_tokens=False)["input_ids"])
    generate = model.generate

    def follow(_, scores):
        wanted = next(ids, None)
        if wanted is None:
            return scores
        return torch.full_like(scores, float("-inf")).index_fill(1, torch.tensor([wanted]), 0.0)

    def spoken(inputs, limit, **extra):
        return generate(inputs, limit, logits_processor=LogitsProcessorList([follow]), **extra)

    monkeypatch.setattr(model, "generate", spoken)


def vision_sizes(**more) -> dict:
    """The part of a configuration that all vision transformers share."""
    return {
        "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "image_size": PICTURE, "patch_size": PATCH, **more,
    }  # fmt: skip


def _blip_pictures():
    from transformers import BlipImageProcessor

    size = {"height": PICTURE, "width": PICTURE}
    return BlipImageProcessor(size=size, image_mean=MEAN, image_std=STD)


def _opt_config(tokenizer):
    """Like Salesforce's, it stops at a new line, which is not the tokenizer's end."""
    from transformers import OPTConfig

    (newline,) = tokenizer("\n", add_special_tokens=False)["input_ids"]
    return OPTConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, word_embed_proj_dim=WIDTH, ffn_dim=2 * WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, max_position_embeddings=512,
        bos_token_id=2, eos_token_id=newline, pad_token_id=1, dropout=0.0,
    )  # fmt: skip


def _t5_config(tokenizer):
    from transformers import T5Config

    return T5Config(
        vocab_size=len(tokenizer), d_model=WIDTH, d_kv=WIDTH // HEADS, d_ff=2 * WIDTH,
        num_layers=LAYERS, num_heads=HEADS, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip


def build_blip2(folder: Path, language: str, seed: int = 0, queries: int = 6) -> Path:
    """`Blip2ForConditionalGeneration` on "opt" or "t5", its processor and tokenizer."""
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        Blip2QFormerConfig,
        Blip2VisionConfig,
    )

    tokenizer = opt_tokenizer() if language == "opt" else t5_tokenizer()
    processor = Blip2Processor(_blip_pictures(), tokenizer, num_query_tokens=queries)
    text = (_opt_config if language == "opt" else _t5_config)(tokenizer)
    former = Blip2QFormerConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, intermediate_size=2 * WIDTH, encoder_hidden_size=WIDTH,
    )  # fmt: skip
    config = Blip2Config(
        vision_config=Blip2VisionConfig(**vision_sizes()).to_dict(),
        qformer_config=former.to_dict(),
        text_config=text.to_dict(), num_query_tokens=queries,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    model = shake(Blip2ForConditionalGeneration(config), seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def build_blip_vqa(folder: Path, seed: int = 0) -> Path:
    """`BlipForQuestionAnswering`, its processor and tokenizer."""
    from transformers import (
        BlipConfig,
        BlipForQuestionAnswering,
        BlipProcessor,
        BlipTextConfig,
        BlipVisionConfig,
    )

    tokenizer = bert_tokenizer()
    text = BlipTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, encoder_hidden_size=WIDTH,
        intermediate_size=2 * WIDTH, projection_dim=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, max_position_embeddings=128, label_smoothing=0.0,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        bos_token_id=tokenizer.bos_token_id, sep_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.sep_token_id,
    )  # fmt: skip
    config = BlipConfig(
        text_config=text.to_dict(), vision_config=BlipVisionConfig(**vision_sizes()).to_dict()
    )
    shake(BlipForQuestionAnswering(config), seed).save_pretrained(folder)
    BlipProcessor(_blip_pictures(), tokenizer).save_pretrained(folder)
    return folder


def build_adapter(folder: Path, base: Path, name: str, seed: int = 1) -> Path:
    """A LoRA adapter of a tiny BLIP-2, trained nowhere, that says its base is `name`."""
    from transformers import Blip2ForConditionalGeneration

    targets = r".*(language_model\..*\.(q_proj|v_proj|q|v)|qformer\..*\.(query|value))"
    network = Blip2ForConditionalGeneration.from_pretrained(base)
    return save_adapter(folder, network, targets, name, seed)


def save_adapter(folder: Path, network, targets: str, name: str, seed: int) -> Path:
    """Save random LoRA weights on the modules that match `targets`."""
    from peft import LoraConfig, get_peft_model

    with peft_wraps():
        wrapped = get_peft_model(network, LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in wrapped.named_parameters():
            if "lora_" in key:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    wrapped.peft_config["default"].base_model_name_or_path = name
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    return folder


def build_wide_adapter(folder: Path, base: Path, save: bool = False, words: int = 0, **config):
    """An adapter of a tiny BLIP-2 with all that may learn beside LoRA, changed at random.

    `save` stores embeddings, of `words` more words; `config` is more for `LoraConfig`.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import Blip2ForConditionalGeneration

    network = Blip2ForConditionalGeneration.from_pretrained(base)
    if words:
        network.resize_token_embeddings(network.get_input_embeddings().num_embeddings + words)
    with peft_wraps():
        wrapped = get_peft_model(
            network, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], **config)
        )
    saved = [network.get_input_embeddings().weight] if save else []
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in [*saved, *(p for p in wrapped.parameters() if p.requires_grad)]:
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    wrapped.save_pretrained(folder, save_embedding_layers=save)
    return folder


def rewrite_json(path: Path, **changes) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def forbid_pickle(monkeypatch) -> None:
    """Make every door to a pickle raise."""

    def refuse(*args, **kwargs):
        raise AssertionError("pickle was touched")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
