"""ROUGE-L: how much of a reference's wording a text has, in order (Lin 2004, W04-1013)."""

import re
from collections.abc import Sequence

_WORD = re.compile(r"[a-z0-9]+")


def rouge_l(text: str, references: Sequence[str]) -> float:
    """F1 0..1 of the longest common subsequence of words, with the reference where it is highest.

    Words are runs of letters a-z and digits in lower case, not stemmed, as in rouge-score.
    """
    words = _WORD.findall(text.lower())
    return max((_f1(words, _WORD.findall(r.lower())) for r in references), default=0.0)


def _f1(words: Sequence[str], reference: Sequence[str]) -> float:
    if not words or not reference:
        return 0.0
    return 2 * common(words, reference) / (len(words) + len(reference))


def common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        before = 0  # the row above, one column to the left
        for j, y in enumerate(b):
            above = row[j + 1]
            row[j + 1] = before + 1 if x == y else max(above, row[j])
            before = above
    return row[-1]
