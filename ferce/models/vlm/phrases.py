"""Phrases as answers: scored, timed in a race of two ways, and found in what a model wrote."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.compute import softmax
from ferce.core.labels import COMPOUNDS, components
from ferce.explanation.text.verdicts import EMOTIONS

Tokens = Sequence[Sequence[int]]  # K phrases, each the ids that continue the prompt
UNPARSED = "unparsed"
_NEGATIONS = r"\b(?:not|no|never|neither|nor|without|cannot|isn't|doesn't|lacks?|than)\b"
_BY_PAIR = {frozenset(components(label)): label for label in COMPOUNDS}


def joint_continuations(
    ids_of: Callable[[str], Sequence[int]], prompt: str, phrases: Sequence[str]
) -> Tokens:
    """Tokenise each phrase as it stands when it follows the prompt in one text.

    A tokenizer may join a phrase's first letters with what precedes them, so the phrase is cut out
    of the whole text; a space separates them unless the prompt ends in white space.

    Args:
        ids_of: tokenises a text, without special tokens before or after it.
        prompt: already in the family's format.
        phrases: K answers.
    """
    head = list(ids_of(prompt))
    gap = "" if prompt[-1:].isspace() else " "
    continuations = []
    for phrase in phrases:
        whole = list(ids_of(prompt + gap + phrase))
        joined = whole[: len(head)] == head
        alone = list(ids_of(gap + phrase))
        continuations.append(whole[len(head) :] if joined else alone)
    return continuations


def probabilities(
    scores: NDArray[np.floating], priors: Sequence[NDArray[np.floating]] = ()
) -> NDArray[np.float64]:
    """Turn scores into label probabilities, divided by the content-free prior.

    softmax(log p - log prior), with prior the mean of the label probabilities over content-free
    inputs: contextual calibration with W = diag(prior)^-1, b = 0 (Zhao et al. 2021,
    arXiv:2102.09690, section 5).

    Args:
        scores: (N, K) log-likelihoods.
        priors: (K,) log-likelihoods of each content-free input; none leaves the softmax as it is.

    Returns:
        (N, K), rows sum to 1.
    """
    logits = np.asarray(scores, np.float64)
    if priors:
        logits = logits - np.log(np.mean([softmax(np.asarray(p, float)) for p in priors], axis=0))
    return softmax(logits)


@dataclass(frozen=True)
class Race:
    """Timings of one picture's labels by the shared prefix and by as many whole passes.

    `difference` is the largest |shared - whole| of the mean log-probabilities.
    """

    shared: float
    whole: float
    difference: float

    @property
    def ratio(self) -> float:
        """How many times faster the shared prefix is."""
        return self.whole / self.shared


def race(shared: Callable[[], Any], whole: Callable[[], Any], repeats: int = 5) -> Race:
    """Time two ways to score the same labels; the fastest of `repeats` runs of each, by turns.

    Each callable must wait for its device before it returns, as one that returns numpy does.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for run, taken in zip((shared, whole), times, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    difference = float(np.abs(np.asarray(shared()) - np.asarray(whole())).max())
    return Race(min(times[0]), min(times[1]), difference)


def parse(text: str) -> str:
    """Find the compound that `text` names, or `UNPARSED`.

    A text names a compound by its label or by its two emotions in any form and order ("fear and
    surprise"). It is unparsed when it names one emotion, three or more, a pair that is no
    compound, or when a negation stands in it: then no reading is safe.
    """
    plain = " ".join(re.findall(r"[a-z']+", text.lower().replace("’", "'")))
    if re.search(_NEGATIONS, plain):
        return UNPARSED
    named = {EMOTIONS[word] for word in plain.split() if word in EMOTIONS}
    return _BY_PAIR.get(frozenset(named), UNPARSED)
