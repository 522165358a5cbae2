"""Word overlap of texts with references: BLEU (sacrebleu), ROUGE (rouge-score), METEOR (NLTK)."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.evaluation.plan import EvaluationError

ROUGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
_ADVICE = "install train/requirements.txt"


def corpus_bleu(texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """BLEU of all texts together, 0..100 (Papineni et al. 2002, as in arXiv 1804.08771).

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
    """BLEU of one text, 0..100, orders without any n-gram left out (`use_effective_order`)."""
    import sacrebleu

    return float(sacrebleu.sentence_bleu(text, list(references), use_effective_order=True).score)


def rouge(
    texts: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, NDArray[np.float64]]:
    """ROUGE-1, -2 and -L: (N,) F-measures 0..1, with stemming, best over the references."""
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
    """Stands in for WordNet, which would be a download."""

    def synsets(self, word: str) -> list[Any]:
        """None of a word."""
        del word
        return []


def meteor(texts: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """(N,) METEOR 0..1, best over the references (Lavie & Agarwal 2007; NLTK's implementation).

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
    """In lower case, without punctuation."""
    return re.findall(r"[^\W_]+", text.lower())
