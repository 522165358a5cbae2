"""A BLIP-2 of about 5 million parameters, built from its configuration and taught to describe.

It stands in for a large base where there is no GPU and no network: same classes, same files, same
code. Built from scratch it would see and say nothing, so its vision tower and Q-Former first learn
the action units of the training faces, and its language model to answer and describe them, and to
say how they fit labels drawn by chance. It is never told whose label is which; that is left to the
adapter.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ferce.data.align import Aligned
from ferce.labels import COMPOUNDS
from ferce.training import checkpoint, features, progress
from ferce.training.batches import unit_targets
from ferce.training.gallery import Gallery
from ferce.training.grouping import grouped
from ferce.training.language_plan import LanguagePlan
from ferce.training.rows import Tokeniser
from ferce.training.speaker import Speaker
from ferce.training.turns import PHRASES, PROMPTS, Script

WIDTH, HEADS, LAYERS, QUERIES = 192, 6, 4, 8
PICTURE, PATCH = 96, 16  # pixels
WORDS = 1200  # of the tokenizer
READS = 384  # tokens
SPREAD = 0.06  # of fresh weights, near 1 / sqrt(WIDTH)
SHARP = 1.5  # spread of query and key weights over 1 / sqrt(width), so that attention is not flat
BATCH = 32
FACES = 2000  # that it is taught on at most
MADE = "made.json"


def make(
    folder: Path, items: Sequence[Aligned], plan: LanguagePlan, report: progress.Report
) -> Path:
    """The mini base in `folder`, built and taught unless a finished one lies there.

    Args:
        folder: gets the model and its processor as plain transformers loads them.
        items: training faces; their labels are not looked at.
        plan: gives the seed, the variations, and `warm_steps` of teaching.
        report: told what is going on.
    """
    if (folder / MADE).is_file():
        return folder
    gallery = Gallery(items[:FACES], min(plan.views, 2), plan.augment, plan.seed)
    script = Script(
        gallery,
        features.look(gallery),
        [None] * len(gallery.items),
        tasks=("explanation", "vqa"),
        questions=4,
        house=0.3,
        seed=plan.seed,
    )
    torch.manual_seed(plan.seed)
    network, processor = build(corpus(script))
    size = sum(p.numel() for p in network.parameters())
    report(f"mini base: {size / 1e6:.1f} M parameters, {plan.warm_steps} steps of teaching twice")
    if plan.warm_steps:
        teach(network, processor, script, plan, report)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    checkpoint.write_json(folder / MADE, {"steps": plan.warm_steps, "seed": plan.seed})
    return folder


def corpus(script: Script) -> list[str]:
    """Texts that hold every word of training: descriptions, questions, prompts, labels."""
    turns = [t for epoch in range(4) for t in script.turns(epoch, _by_chance(script, epoch))]
    texts = [text for turn in turns for text in (turn.prompt, turn.answer)]
    labels = [label for phrases in PHRASES.values() for label in phrases]
    prompts = [f"Question: {text} Answer: {label}" for text in PROMPTS.values() for label in labels]
    return [*texts, *prompts]


def _by_chance(script: Script, epoch: int) -> list[str]:
    """A label for each face that has nothing to do with the face."""
    rng = np.random.default_rng((script.seed, epoch))
    return [COMPOUNDS[k] for k in rng.integers(len(COMPOUNDS), size=len(script.truths))]


def build(texts: Sequence[str]) -> tuple[Any, Any]:
    """A fresh network and its processor; the tokenizer is trained on the texts."""
    from transformers import Blip2ForConditionalGeneration, Blip2Processor, BlipImageProcessor

    made = tokenizer(texts)
    half = [0.5] * 3
    pictures = BlipImageProcessor(
        size={"height": PICTURE, "width": PICTURE}, image_mean=half, image_std=half
    )
    processor = Blip2Processor(pictures, made, num_query_tokens=QUERIES)
    network = Blip2ForConditionalGeneration(_config(made))
    with torch.no_grad():
        network.query_tokens.normal_(0.0, 1.0)  # zeros in a fresh network: all queries alike
        for name, parameter in network.qformer.named_parameters():
            if name.endswith(("query.weight", "key.weight")):
                parameter.normal_(0.0, SHARP / parameter.shape[1] ** 0.5)
    return network.eval(), processor


def teach(
    network: Any, processor: Any, script: Script, plan: LanguagePlan, report: progress.Report
) -> None:
    """Action units for the part that sees, then descriptions and answers for the part that says."""
    from ferce.backends.blip2 import Blip2
    from ferce.backends.checkpoint import Checkpoint
    from ferce.backends.settings import Settings

    backend = Blip2("mini", Checkpoint(network, processor, Path()), Settings(batch=BATCH))
    _see(backend, script, plan, report)
    _say(backend, script, plan, report)
    network.eval().requires_grad_(False)


def _see(backend: Any, script: Script, plan: LanguagePlan, report: progress.Report) -> None:
    """Vision tower and Q-Former learn which units are there (binary cross-entropy)."""
    gallery = script.gallery
    pixels = torch.cat(
        [features.pixel_values(backend, [gallery.picture(n)[0]]) for n in range(len(gallery))]
    )
    told = [unit_targets(*gallery.units(n, script.shown[n])) for n in range(len(gallery))]
    wanted = torch.stack([torch.from_numpy(row) for row in told])
    head = torch.nn.Linear(QUERIES * WIDTH, wanted.shape[1])
    backend.network.train()
    learning = [*_sight(backend.network), *head.parameters()]
    for members in _steps(learning, len(gallery), plan, report, "teaching sight"):
        read = backend._query(pixels[members]).last_hidden_state
        row, known = wanted[members], ~wanted[members].isnan()
        loss = functional.binary_cross_entropy_with_logits(head(read.flatten(1))[known], row[known])
        loss.backward()


def _say(backend: Any, script: Script, plan: LanguagePlan, report: progress.Report) -> None:
    """Language model and projection learn to describe what the frozen rest sees."""
    network = backend.network.requires_grad_(False).eval()
    network.language_model.requires_grad_(True)
    network.language_projection.requires_grad_(True)
    speaker, tokeniser = Speaker(backend), Tokeniser(backend)
    gallery = script.gallery
    with torch.no_grad():
        seen = torch.cat([_read(backend, gallery, n) for n in range(0, len(gallery), BATCH)])
    turns = [t for epoch in range(8) for t in script.turns(epoch, _by_chance(script, epoch))]
    rows = [tokeniser.row(turn) for turn in turns]
    speaker.train()
    learning = [p for p in speaker.parameters() if p.requires_grad]
    lengths = [row.length for row in rows]
    for members in _steps(learning, len(rows), plan, report, "teaching speech", lengths):
        some = [rows[i] for i in members]
        batch = tokeniser.batch(some, "cpu")
        batch["features"] = seen[[row.turn.number for row in some]]
        speaker(batch).mean().backward()


def _steps(
    learning: Sequence[Any],
    count: int,
    plan: LanguagePlan,
    report: progress.Report,
    name: str,
    lengths: Sequence[int] | None = None,
) -> Iterator[Any]:
    """Members of each of `warm_steps` batches; what the caller has accumulated is then applied."""
    from ferce.training import schedule

    adam = torch.optim.AdamW(learning, lr=1e-3, weight_decay=0.02, fused=True)
    done = 0
    with progress.bar(plan.warm_steps, 0, report is not progress.silent, name) as bar:
        bar.unit = "step"
        while done < plan.warm_steps:
            for members in grouped(lengths or [1] * count, BATCH, (plan.seed, done)):
                for group in adam.param_groups:
                    group["lr"] = 1e-3 * schedule.factor((done + 1) / plan.warm_steps, 0.1)
                yield members
                torch.nn.utils.clip_grad_norm_(learning, 1.0)
                adam.step()
                adam.zero_grad()
                done += 1
                bar.update()
                if done == plan.warm_steps:
                    return


def _sight(network: Any) -> list[Any]:
    parts = (network.vision_model, network.qformer)
    return [network.query_tokens, *(p for part in parts for p in part.parameters())]


def _read(backend: Any, gallery: Gallery, start: int) -> Any:
    numbers = range(start, min(len(gallery), start + BATCH))
    pixels = features.pixel_values(backend, [gallery.picture(n)[0] for n in numbers])
    return features.encode(backend, pixels, projected=False)


def tokenizer(texts: Sequence[str], words: int = WORDS) -> Any:
    """Byte-level BPE laid out like OPT's: every text begins with `</s>`."""
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


def _config(tokenizer: Any) -> Any:
    from transformers import Blip2Config, Blip2QFormerConfig, Blip2VisionConfig, OPTConfig

    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    shape = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "initializer_range": SPREAD}
    vision = Blip2VisionConfig(  # its own initializer_range, 1e-10, would never learn
        **shape,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        image_size=PICTURE,
        patch_size=PATCH,
    )
    former = Blip2QFormerConfig(
        **shape,
        vocab_size=len(tokenizer),
        num_hidden_layers=2,
        intermediate_size=4 * WIDTH,
        encoder_hidden_size=WIDTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    text = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        word_embed_proj_dim=WIDTH,
        ffn_dim=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=READS,
        init_std=SPREAD,
        dropout=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Blip2Config(
        vision_config=vision.to_dict(),
        qformer_config=former.to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=QUERIES,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
