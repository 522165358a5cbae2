"""Tiny random vision-language models, saved in the layout in which the real ones are published."""

import json
import pickle
from pathlib import Path

import numpy as np
import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from ferce.labels import BASICS, COMPOUNDS, NOUNS
from ferce.types import Face

CORPUS = [
    *COMPOUNDS,
    *BASICS,
    *NOUNS.values(),
    "Question: Which compound expression does this face show? Answer: happily surprised",
    "The expression resembles fearfully disgusted. Which facial cues contribute to it?",
    "The brows are raised and drawn together, the eyes are wide and the mouth is open.",
    "USER: Is the mouth open? ASSISTANT: yes, no, not clearly; the lip corners are pulled up.",
    "Describe the emotional state: eyes, eyebrows, mouth, muscle tension, nose, cheeks, chin.",
]
WIDTH, HEADS, LAYERS = 64, 4, 2  # 64: the block of 4-bit weights
PICTURE, PATCH = 32, 8  # pixels
MEAN, STD = [0.5, 0.4, 0.45], [0.25, 0.3, 0.28]


def face(seed: int, size: int = 40) -> Face:
    """A crop of smooth random colours; every seed another."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3)).astype(np.uint8)
    return Face(crop=coarse.repeat(size // 5, 0).repeat(size // 5, 1))


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


def _byte_level(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def opt_tokenizer():
    from transformers import PreTrainedTokenizerFast

    inner = _byte_level(["<s>", "<pad>", "</s>", "<unk>"])
    inner.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="</s>", eos_token="</s>", pad_token="<pad>"
    )


def t5_tokenizer():
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.Unigram())
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>",
        show_progress=False,
    )  # fmt: skip
    inner.train_from_iterator(CORPUS, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def bert_tokenizer():
    from transformers import BertTokenizerFast

    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=250, special_tokens=special, show_progress=False)
    inner.train_from_iterator(CORPUS, trainer)
    tokenizer = BertTokenizerFast(vocab=inner.get_vocab(), do_lower_case=True)
    tokenizer.add_special_tokens({"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]})
    return tokenizer


def llama_tokenizer():
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=False))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    inner.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", "<s>", "</s>", "<pad>", "<image>"],
        show_progress=False,
    )  # fmt: skip
    inner.train_from_iterator([*CORPUS, "\n"], trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>", additional_special_tokens=["<image>"],
    )  # fmt: skip


def qwen_tokenizer():
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
    special += ["<|image_pad|>", "<|video_pad|>"]
    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(special), eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=special,
    )  # fmt: skip


def _vision(**more) -> dict:
    return {
        "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "image_size": PICTURE, "patch_size": PATCH, **more,
    }  # fmt: skip


def _blip_pictures():
    from transformers import BlipImageProcessor

    size = {"height": PICTURE, "width": PICTURE}
    return BlipImageProcessor(size=size, image_mean=MEAN, image_std=STD)


def _opt_config(vocabulary: int):
    from transformers import OPTConfig

    return OPTConfig(
        vocab_size=vocabulary, hidden_size=WIDTH, word_embed_proj_dim=WIDTH, ffn_dim=2 * WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, max_position_embeddings=512,
        bos_token_id=2, eos_token_id=2, pad_token_id=1, dropout=0.0,
    )  # fmt: skip


def _t5_config(vocabulary: int):
    from transformers import T5Config

    return T5Config(
        vocab_size=vocabulary, d_model=WIDTH, d_kv=WIDTH // HEADS, d_ff=2 * WIDTH,
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
    text = (_opt_config if language == "opt" else _t5_config)(len(tokenizer))
    former = Blip2QFormerConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, intermediate_size=2 * WIDTH, encoder_hidden_size=WIDTH,
    )  # fmt: skip
    config = Blip2Config(
        vision_config=Blip2VisionConfig(**_vision()).to_dict(), qformer_config=former.to_dict(),
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
        text_config=text.to_dict(), vision_config=BlipVisionConfig(**_vision()).to_dict()
    )
    shake(BlipForQuestionAnswering(config), seed).save_pretrained(folder)
    BlipProcessor(_blip_pictures(), tokenizer).save_pretrained(folder)
    return folder


def build_adapter(folder: Path, base: Path, name: str, seed: int = 1) -> Path:
    """A LoRA adapter of a tiny BLIP-2, trained nowhere, that says its base is `name`."""
    from transformers import Blip2ForConditionalGeneration

    targets = r".*(language_model\..*\.(q_proj|v_proj|q|v)|qformer\..*\.(query|value))"
    network = Blip2ForConditionalGeneration.from_pretrained(base)
    return _save_adapter(folder, network, targets, name, seed)


def build_chat_adapter(folder: Path, base: Path, seed: int = 1) -> Path:
    """A LoRA adapter of a tiny chat model, whose base is the folder itself."""
    from transformers import AutoModelForImageTextToText

    network = AutoModelForImageTextToText.from_pretrained(base)
    return _save_adapter(
        folder, network, r".*(language|text)_model.*\.(q_proj|v_proj)", str(base), seed
    )


def _save_adapter(folder: Path, network, targets: str, name: str, seed: int) -> Path:
    from peft import LoraConfig, get_peft_model

    wrapped = get_peft_model(network, LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in wrapped.named_parameters():
            if "lora_" in key:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    wrapped.peft_config["default"].base_model_name_or_path = name
    wrapped.save_pretrained(folder, save_embedding_layers=False)
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


LLAVA_TEMPLATE = (
    "{% for m in messages %}{{ m['role'].upper() + ': ' }}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<image>\n' }}"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
QWEN_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def build_llava(folder: Path, seed: int = 0) -> Path:
    """`LlavaForConditionalGeneration`: CLIP tower read at its last but one layer, and Llama."""
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = llama_tokenizer()
    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=2,
        bos_token_id=1, eos_token_id=2, pad_token_id=3,
    )  # fmt: skip
    vision = CLIPVisionConfig(**{**_vision(), "num_hidden_layers": 3})
    config = LlavaConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), vision_feature_layer=-2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    size = {"shortest_edge": PICTURE}
    crop = {"height": PICTURE, "width": PICTURE}
    pictures = CLIPImageProcessor(size=size, crop_size=crop, image_mean=MEAN, image_std=STD)
    processor = LlavaProcessor(
        pictures, tokenizer, patch_size=PATCH, vision_feature_select_strategy="default",
        chat_template=LLAVA_TEMPLATE, num_additional_image_tokens=1,
    )  # fmt: skip
    shake(LlavaForConditionalGeneration(config), seed).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def build_qwen(folder: Path, seed: int = 0) -> Path:
    """`Qwen2_5_VLForConditionalGeneration`: windows in the visual encoder, three-part positions."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = qwen_tokenizer()
    named = tokenizer.convert_tokens_to_ids
    text = {
        "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": 2,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4},
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
    }  # fmt: skip
    vision = {
        "depth": 3, "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_heads": HEADS,
        "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 16,
        "fullatt_block_indexes": [2], "out_hidden_size": WIDTH, "in_channels": 3,
    }  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, image_token_id=named("<|image_pad|>"),
        video_token_id=named("<|video_pad|>"), vision_start_token_id=named("<|vision_start|>"),
        vision_end_token_id=named("<|vision_end|>"),
    )  # fmt: skip
    size = {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}
    shared = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2, "size": size}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(image_mean=MEAN, image_std=STD, **shared), tokenizer,
        Qwen2VLVideoProcessor(**shared), chat_template=QWEN_TEMPLATE,
    )  # fmt: skip
    shake(Qwen2_5_VLForConditionalGeneration(config), seed).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def build_internvl(folder: Path, seed: int = 0) -> Path:
    """`InternVLForConditionalGeneration`: tiles by default, patches shuffled into channels."""
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
        InternVLVisionConfig,
        PreTrainedTokenizerFast,
        Qwen2Config,
    )

    named = {
        "start_image_token": "<img>", "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>",
    }  # fmt: skip
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *named.values()]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(special), eos_token="<|im_end|>", pad_token="<|endoftext|>",
        extra_special_tokens=named,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=2,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )  # fmt: skip
    vision = InternVLVisionConfig(
        **{**_vision(), "image_size": [PICTURE] * 2, "patch_size": [PATCH] * 2},
        use_absolute_position_embeddings=True,
    )
    config = InternVLConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), image_seq_length=4,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
    )  # fmt: skip
    size = {"height": PICTURE, "width": PICTURE}
    template = QWEN_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>")
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=size, image_mean=MEAN, image_std=STD), tokenizer,
        InternVLVideoProcessor(size=size), image_seq_length=4, chat_template=template,
    )  # fmt: skip
    shake(InternVLForConditionalGeneration(config), seed).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def build_idefics3(folder: Path, seed: int = 0) -> Path:
    """`Idefics3ForConditionalGeneration`, of which SmolVLM is the small sibling."""
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
        PreTrainedTokenizerFast,
    )

    special = ["<|begin_of_text|>", "<end_of_utterance>", "<pad>", "<fake_token_around_image>"]
    special += ["<image>", "<global-img>"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(special), bos_token="<|begin_of_text|>", pad_token="<pad>",
        eos_token="<end_of_utterance>",
    )  # fmt: skip
    text = {
        "model_type": "llama", "vocab_size": len(tokenizer), "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS, "bos_token_id": 0,
        "num_attention_heads": HEADS, "num_key_value_heads": 2, "eos_token_id": 1,
        "pad_token_id": 2,
    }  # fmt: skip
    config = Idefics3Config(
        vision_config=_vision(), text_config=text, scale_factor=2, pad_token_id=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    side = {"longest_edge": PICTURE}
    pictures = Idefics3ImageProcessor(
        size=side, max_image_size=side, image_mean=MEAN, image_std=STD
    )
    template = (
        "<|begin_of_text|>{% for m in messages %}{{ m['role'] | capitalize }}:"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<image>' }}"
        "{% else %}{{ ' ' + c['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
        "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
    )
    processor = Idefics3Processor(pictures, tokenizer, image_seq_len=4, chat_template=template)
    shake(Idefics3ForConditionalGeneration(config), seed).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
