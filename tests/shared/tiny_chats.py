"""Tiny random chat models of four layouts, saved as the real ones are published."""

from pathlib import Path

from tiny_models import (
    HEADS,
    LAYERS,
    MEAN,
    PATCH,
    PICTURE,
    STD,
    WIDTH,
    save_adapter,
    shake,
    vision_sizes,
)
from tiny_tokenizers import byte_level, llama_tokenizer, qwen_tokenizer

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
    vision = CLIPVisionConfig(**{**vision_sizes(), "num_hidden_layers": 3})
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
        tokenizer_object=byte_level(special), eos_token="<|im_end|>", pad_token="<|endoftext|>",
        extra_special_tokens=named,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=2,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )  # fmt: skip
    vision = InternVLVisionConfig(
        **{**vision_sizes(), "image_size": [PICTURE] * 2, "patch_size": [PATCH] * 2},
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
        tokenizer_object=byte_level(special), bos_token="<|begin_of_text|>", pad_token="<pad>",
        eos_token="<end_of_utterance>",
    )  # fmt: skip
    text = {
        "model_type": "llama", "vocab_size": len(tokenizer), "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS, "bos_token_id": 0,
        "num_attention_heads": HEADS, "num_key_value_heads": 2, "eos_token_id": 1,
        "pad_token_id": 2,
    }  # fmt: skip
    config = Idefics3Config(
        vision_config=vision_sizes(), text_config=text, scale_factor=2, pad_token_id=2,
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


def build_chat_adapter(folder: Path, base: Path, seed: int = 1) -> Path:
    """A LoRA adapter of a tiny chat model, whose base is the folder itself."""
    from transformers import AutoModelForImageTextToText

    network = AutoModelForImageTextToText.from_pretrained(base)
    return save_adapter(
        folder, network, r".*(language|text)_model.*\.(q_proj|v_proj)", str(base), seed
    )


def build_fastvlm(folder: Path, seed: int = 0) -> Path:
    """`FastVlmForConditionalGeneration`: a convolutional timm tower, and Qwen2."""
    from transformers import (
        BlipImageProcessor,
        FastVlmConfig,
        FastVlmForConditionalGeneration,
        LlavaProcessor,
        Qwen2Config,
    )

    tokenizer = llama_tokenizer()
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=2,
        bos_token_id=1, eos_token_id=2, pad_token_id=3,
    )  # fmt: skip
    tower = {
        "model_type": "timm_wrapper", "architecture": "test_efficientnet",
        "do_pooling": False, "num_classes": 0, "hidden_size": 256,
    }  # fmt: skip
    config = FastVlmConfig(
        vision_config=tower, text_config=text.to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    size = {"height": 64, "width": 64}
    pictures = BlipImageProcessor(size=size, image_mean=MEAN, image_std=STD)
    processor = LlavaProcessor(
        pictures, tokenizer, patch_size=32, vision_feature_select_strategy="full",
        chat_template=LLAVA_TEMPLATE,
    )  # fmt: skip
    shake(FastVlmForConditionalGeneration(config), seed).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
