"""CLIPScore of explanations and their likeness to references, each beside shuffled pairs."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Pixels
from ferce.data.align import Aligned
from ferce.data.record import Sample
from ferce.evaluation import metrics
from ferce.evaluation.plan import (
    EvaluationError,
    Plan,
    Table,
    Tools,
    aligned,
    batches,
    rows_of,
    watched,
)
from ferce.models.hub import CheckpointError, resolve
from ferce.models.vlm.loading import choose_device

# Hessel et al. 2021 (EMNLP, arXiv 2104.08718), section 3: w and the prefix of every caption.
WEIGHT = 2.5
PREFIX = "A photo depicts "
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class ClipScorer:
    """CLIPScore of texts and pictures; the paper's figures are of openai/clip-vit-base-patch32."""

    def __init__(self, where: str, device: str = "auto", revision: str | None = None) -> None:
        """Load a CLIP from a folder or the Hub; raises CheckpointError when it is none."""
        from transformers import AutoConfig, CLIPModel, CLIPProcessor

        folder = resolve(where, revision)
        kind = AutoConfig.from_pretrained(folder).model_type
        if kind != "clip":
            raise CheckpointError(f"CLIPScore needs a CLIP; {where} is a model of type {kind!r}.")
        self.device = choose_device(device)
        self.network = CLIPModel.from_pretrained(folder, use_safetensors=True).eval()
        self.network.to(self.device)
        self.processor = CLIPProcessor.from_pretrained(folder)
        self.longest = self.network.config.text_config.max_position_embeddings

    def pictures(self, crops: Sequence[Pixels]) -> NDArray[np.float64]:
        """Embed N (H, W, 3) uint8 RGB pictures, (N, D) unit rows."""
        import torch

        pixels = self.processor(
            images=[np.array(c) for c in crops], return_tensors="pt"
        ).pixel_values
        with torch.no_grad():
            return _unit(self.network.get_image_features(pixel_values=pixels.to(self.device)))

    def captions(self, text: str) -> NDArray[np.float64]:
        """Embed a text, or each sentence of one longer than CLIP reads, (K, D) unit rows.

        A sentence that alone is too long is cut, as the paper does.
        """
        import torch

        parts = [text] if self._length(text) <= self.longest else _SENTENCE.split(text.strip())
        tokens = self.processor.tokenizer(
            [PREFIX + part for part in parts],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self.longest,
        ).to(self.device)
        with torch.no_grad():
            return _unit(self.network.get_text_features(**tokens))

    def _length(self, text: str) -> int:
        return len(self.processor.tokenizer(PREFIX + text).input_ids)


def clip_score(picture: NDArray[np.float64], captions: NDArray[np.float64]) -> float:
    """Average w * max(cos, 0) over sentences, 0..2.5 (equation in section 3 of the paper).

    Args:
        picture: (D,) of length 1.
        captions: (K, D) rows of length 1.
    """
    return float((WEIGHT * np.maximum(captions @ picture, 0)).mean())


class SentenceEncoder:
    """An encoder of sentences: the mean over tokens, as in Sentence-BERT (arXiv 1908.10084)."""

    def __init__(self, where: str, device: str = "auto", revision: str | None = None) -> None:
        """Load an encoder such as sentence-transformers/all-MiniLM-L6-v2."""
        from transformers import AutoModel, AutoTokenizer

        folder = resolve(where, revision)
        self.device = choose_device(device)
        self.network = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
        self.network.to(self.device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.longest = min(self.network.config.max_position_embeddings, 512)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Embed texts, (N, D) unit rows."""
        import torch

        tokens = self.tokenizer(
            list(texts),
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self.longest,
        ).to(self.device)
        with torch.no_grad():
            states = self.network(**tokens).last_hidden_state  # (N, T, D)
        mask = tokens.attention_mask[..., None].to(states.dtype)
        return _unit((states * mask).sum(1) / mask.sum(1))


def _unit(output: Any) -> NDArray[np.float64]:
    """Scale rows to length 1; transformers 5 wraps CLIP's features in an output object."""
    rows = getattr(output, "pooler_output", output).double().cpu().numpy()
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)


ROUGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
_ADVICE = "install train/requirements.txt"


def corpus_bleu(texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Compute BLEU of all texts together, 0..100 (Papineni et al. 2002, as in arXiv 1804.08771).

    Args:
        texts: N texts.
        references: for each of them one or more.
    """
    try:
        import sacrebleu
    except ImportError as error:
        raise EvaluationError(f"BLEU needs sacrebleu; {_ADVICE}.") from error
    most = max(map(len, references))
    # None where a text has fewer references than another; sacrebleu leaves those out.
    columns: Any = [[r[k] if k < len(r) else None for r in references] for k in range(most)]
    return float(sacrebleu.corpus_bleu(list(texts), columns).score)


def sentence_bleu(text: str, references: Sequence[str]) -> float:
    """Compute BLEU of one text, 0..100, without orders that have no n-gram."""
    import sacrebleu

    return float(sacrebleu.sentence_bleu(text, list(references), use_effective_order=True).score)


def rouge(
    texts: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, NDArray[np.float64]]:
    """Compute ROUGE-1, -2 and -L: (N,) F-measures 0..1, stemmed, best over the references."""
    try:
        from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]
    except ImportError as error:
        raise EvaluationError(f"ROUGE needs rouge-score; {_ADVICE}.") from error
    scorer = RougeScorer(list(ROUGE.values()), use_stemmer=True)
    rows = [scorer.score_multi(r, text) for text, r in zip(texts, references, strict=True)]
    return {
        name: np.array([row[theirs].fmeasure for row in rows]) for name, theirs in ROUGE.items()
    }


class _NoSynonyms:
    """An empty stand-in for WordNet, which would be a download."""

    def synsets(self, word: str) -> list[Any]:
        """Return none for any word."""
        del word
        return []


def meteor(texts: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Compute METEOR, (N,) 0..1, best over the references (Lavie & Agarwal 2007; by NLTK).

    Words match exactly or by their stem and not as synonyms, so that neither Java nor a download is
    needed; figures of other papers are a little higher.
    """
    try:
        from nltk.translate.meteor_score import meteor_score  # type: ignore[import-untyped]
    except ImportError as error:
        raise EvaluationError(f"METEOR needs nltk; {_ADVICE}.") from error
    rows = [
        meteor_score([_words(r) for r in own], _words(text), wordnet=_NoSynonyms())
        for text, own in zip(texts, references, strict=True)
    ]
    return np.array(rows, np.float64)


def _words(text: str) -> list[str]:
    """Split into words in lower case, without punctuation."""
    return re.findall(r"[^\W_]+", text.lower())


FILE = "clip.csv"
COLUMNS = ("name", "subject", "clip_score", "control")
BLOCK = 64  # pictures held at a time; the control pairs those of a block


def measure_clip(plan: Plan, texts: Table, folder: Path, tools: Tools, device: str) -> Table:
    """Compute CLIPScore of each text with its face, and with a face half a block on."""
    scorer, table = ClipScorer(plan.clip, device), Table(folder / FILE, COLUMNS)
    done = table.done()
    left = (row for row in texts.rows() if row["text"] and row["name"] not in done)
    written = {row["name"]: row["text"] for row in left}
    rows = (
        row
        for row in rows_of(plan.data, plan.split)
        if isinstance(row, Sample) and row.name in written
    )
    faces = (item for item in aligned(rows, True, tools) if isinstance(item, Aligned))
    for block in batches(watched(faces, "CLIPScore", tools.shown, len(written)), BLOCK):
        table.append(_block(block, written, scorer))
    return table


def _block(
    block: list[Aligned], written: dict[str, str], scorer: ClipScorer
) -> list[dict[str, Any]]:
    pictures = scorer.pictures([item.face().crop for item in block])
    others = np.roll(pictures, len(block) // 2, axis=0)
    rows = []
    for item, picture, other in zip(block, pictures, others, strict=True):
        captions = scorer.captions(written[item.sample.name])
        rows.append(
            {
                "name": item.sample.name,
                "subject": item.sample.subject,
                "clip_score": clip_score(picture, captions),
                "control": clip_score(other, captions) if len(block) > 1 else None,
            }
        )
    return rows


def clip_figures(table: Table, plan: Plan) -> dict[str, Any]:
    """Average CLIPScore beside that of shuffled pairs."""
    rows = list(table.rows())
    own, control = (metrics.column(rows, name) for name in COLUMNS[2:])
    how = metrics.Resampling(metrics.people(rows), plan.draws, plan.seed)
    figure = metrics.beside(own, control, how)
    return {"clip_score": figure | {"model": plan.clip}}


def encoder_figures(texts: Table, plan: Plan, device: str) -> dict[str, Any]:
    """Compute the cosine of each text with its nearest reference, and another picture's."""
    encode = SentenceEncoder(plan.encoder, device)
    rows = [row for row in texts.rows() if row["text"]]
    own, control = [], []
    for block in batches(rows, BLOCK):
        written = encode([row["text"] for row in block])
        wanted = [encode(json.loads(row["references"])) for row in block]
        other = wanted[len(block) // 2 :] + wanted[: len(block) // 2]
        own += [float((w @ t).max()) for t, w in zip(written, wanted, strict=True)]
        control += [float((w @ t).max()) for t, w in zip(written, other, strict=True)]
    how = metrics.Resampling(metrics.people(rows), plan.draws, plan.seed)
    return {"similarity": metrics.beside(np.array(own), np.array(control), how)}
