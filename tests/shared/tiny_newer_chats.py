"""Tiny random chat models of newer layouts: Gemma 3, Qwen3.5, LFM2-VL and SmolVLM."""

from pathlib import Path

from tiny_chats import QWEN_TEMPLATE
from tiny_models import HEADS, LAYERS, MEAN, PATCH, PICTURE, STD, WIDTH, shake, vision_sizes
from tiny_tokenizers import byte_level, qwen_tokenizer

TEXT = {
    "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
}  # fmt: skip
PLACE = "<|vision_start|><|image_pad|><|vision_end|>"


def _tokenizer(**named: str):
    """A tokenizer whose special tokens for pictures have names, as Gemma's have."""
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "<|im_end|>", "<|im_start|>", *named.values()]
    return PreTrainedTokenizerFast(
        tokenizer_object=byte_level(special), pad_token="<pad>", bos_token="<s>",
        eos_token="<|im_end|>", extra_special_tokens=named,
    )  # fmt: skip


def _ids(tokenizer) -> dict:
    names = ("pad_token_id", "bos_token_id", "eos_token_id")
    return {"vocab_size": len(tokenizer), **{name: getattr(tokenizer, name) for name in names}}


def _saved(folder: Path, model, processor, seed: int) -> Path:
    shake(model, seed).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def build_gemma3(folder: Path, seed: int = 0) -> Path:
    """`Gemma3ForConditionalGeneration`: SigLIP, whose patches are pooled into few tokens."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
    )

    tokenizer = _tokenizer(
        boi_token="<start_of_image>", image_token="<image_soft_token>", eoi_token="<end_of_image>"
    )
    config = Gemma3Config(
        text_config={
            **TEXT, **_ids(tokenizer), "num_hidden_layers": LAYERS, "head_dim": 16,
            "sliding_window": 64, "query_pre_attn_scalar": 16,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        vision_config={**vision_sizes(), "model_type": "siglip_vision_model"},
        mm_tokens_per_image=4, image_token_index=tokenizer.image_token_id,
        boi_token_index=tokenizer.boi_token_id, eoi_token_index=tokenizer.eoi_token_id,
    )  # fmt: skip
    size = {"height": PICTURE, "width": PICTURE}
    pictures = Gemma3ImageProcessor(size=size, image_mean=MEAN, image_std=STD)
    processor = Gemma3Processor(
        pictures, tokenizer, image_seq_length=4,
        chat_template=QWEN_TEMPLATE.replace(PLACE, "<start_of_image>"),
    )  # fmt: skip
    return _saved(folder, Gemma3ForConditionalGeneration(config), processor, seed)


def build_qwen3_5(folder: Path, seed: int = 0) -> Path:
    """`Qwen3_5ForConditionalGeneration`: linear attention in turn with the usual kind."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3_5Config,
        Qwen3_5ForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer = qwen_tokenizer()
    named = tokenizer.convert_tokens_to_ids
    config = Qwen3_5Config(
        text_config={
            **TEXT, **_ids(tokenizer), "num_hidden_layers": LAYERS, "head_dim": 16,
            "layer_types": ["linear_attention", "full_attention"], "linear_key_head_dim": 16,
            "linear_value_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 0],
                "mrope_interleaved": True, "partial_rotary_factor": 0.25,
            },
        },
        vision_config={
            "depth": LAYERS, "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH,
            "num_heads": HEADS, "patch_size": 4, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "out_hidden_size": WIDTH, "num_position_embeddings": 64,
        },
        image_token_id=named("<|image_pad|>"), video_token_id=named("<|video_pad|>"),
        vision_start_token_id=named("<|vision_start|>"),
        vision_end_token_id=named("<|vision_end|>"),
    )  # fmt: skip
    size = {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}
    shared = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2, "size": size}
    processor = Qwen3VLProcessor(
        Qwen2VLImageProcessor(image_mean=MEAN, image_std=STD, **shared), tokenizer,
        Qwen3VLVideoProcessor(**shared), chat_template=QWEN_TEMPLATE,
    )  # fmt: skip
    return _saved(folder, Qwen3_5ForConditionalGeneration(config), processor, seed)


def build_lfm2(folder: Path, seed: int = 0) -> Path:
    """`Lfm2VlForConditionalGeneration`: SigLIP 2 on flat patches, short convolutions in between."""
    from transformers import (
        Lfm2VlConfig,
        Lfm2VlForConditionalGeneration,
        Lfm2VlImageProcessor,
        Lfm2VlProcessor,
    )

    tokenizer = _tokenizer(
        image_token="<image>", image_start_token="<|image_start|>",
        image_end_token="<|image_end|>", image_thumbnail_token="<|img_thumbnail|>",
    )  # fmt: skip
    config = Lfm2VlConfig(
        text_config={
            "model_type": "lfm2", **TEXT, **_ids(tokenizer), "num_hidden_layers": LAYERS,
            "layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False,
        },
        vision_config={
            **vision_sizes(), "model_type": "siglip2_vision_model", "num_patches": 16,
            "vision_use_head": False,
        },
        image_token_id=tokenizer.image_token_id, projector_hidden_size=WIDTH,
    )  # fmt: skip
    pictures = Lfm2VlImageProcessor(
        encoder_patch_size=PATCH, tile_size=PICTURE, min_image_tokens=4, max_image_tokens=9,
        image_mean=MEAN, image_std=STD,
    )  # fmt: skip
    template = QWEN_TEMPLATE.replace(PLACE, "<image>")
    processor = Lfm2VlProcessor(pictures, tokenizer, chat_template=template)
    return _saved(folder, Lfm2VlForConditionalGeneration(config), processor, seed)


def build_smolvlm(folder: Path, seed: int = 0) -> Path:
    """`SmolVLMForConditionalGeneration`, whose processor needs the package num2words."""
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    tokenizer = _tokenizer(
        fake_image_token="<fake_token_around_image>", image_token="<image>",
        global_image_token="<global-img>", end_of_utterance_token="<end_of_utterance>",
    )  # fmt: skip
    config = SmolVLMConfig(
        text_config={
            "model_type": "llama", **TEXT, **_ids(tokenizer), "num_hidden_layers": LAYERS
        },
        vision_config={**vision_sizes(), "model_type": "smolvlm_vision"},
        scale_factor=2, image_token_id=tokenizer.image_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    side = {"longest_edge": PICTURE}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size=side, max_image_size=side, image_mean=MEAN, image_std=STD),
        tokenizer, SmolVLMVideoProcessor(size=side, max_image_size=side), image_seq_len=4,
        chat_template=QWEN_TEMPLATE.replace(PLACE, "<image>"),
    )  # fmt: skip
    return _saved(folder, SmolVLMForConditionalGeneration(config), processor, seed)
