r"""A classifier out of single letters: labels shown as options A to N, read from one token.

A server that gives no likelihood of a whole phrase still gives the log-probabilities of the first
token of its answer. So the 14 compounds are listed as lettered options and the letters' share of
that token is read. Models prefer some letters and some places whatever stands there (Zheng et al.
2024, arXiv:2309.03882), so each face is asked in several cyclic orders and the model

    log P(letter l | order r) = bias_l + evidence_c + constant_r,   c = the label at letter l in r

is fitted by least squares. The bias then cancels exactly where it adds up like this, even with few
orders; the plain mean over orders would need all 14. Probabilities are softmax(evidence).

A server lists only the K most probable tokens (20 for vLLM and OpenAI, 5 for TGI). A letter that is
not listed has at most the probability of the last one listed, and all m such letters share at most
what the list leaves over, so each is given

    min(smallest listed, (1 - sum of listed) / m)

the largest value that all of them can have at once: a letter is never ruled out by not being
listed, and never placed above one that is.
"""

from collections.abc import Sequence
from functools import cache
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS
from ferce.models import prompts
from ferce.models.calibration import softmax

LETTERS = ascii_uppercase[: len(COMPOUNDS)]
# Cyclic shifts, one an order. The first four are the ruler 0, 1, 4, 6: its differences are all
# different modulo 14, so two letters show the same label at most once, the best design of four
# (variance of the evidence 1 / 0.80 of that without bias; three orders 1 / 0.65, fourteen 1).
SHIFTS = (0, 1, 4, 6, 7, 2, 10, 9, 3, 11, 5, 12, 8, 13)
STEP = 5  # has no divisor in common with 14; keeps "sadly ..." labels from standing together
FLOOR = 1e-8  # a float32 list of log-probabilities tells no smaller share of 1
MIN_MASS = 0.1  # share of the letters in the first token, below which the answer is something else
# What tokenizers put around a letter: GPT-2's and SentencePiece's blanks, marks of a list.
_AROUND = " \t\n\"'`*()[].:,\u0120\u2581\u010a"
assert sorted(SHIFTS) == list(range(len(COMPOUNDS)))

Top = Sequence[tuple[str, float]]  # tokens with their log-probabilities


def orders(count: int) -> NDArray[np.intp]:
    """List the (count, 14) index of the label that each letter stands for in each order."""
    if not 3 <= count <= len(SHIFTS):
        raise ValueError(f"orders must lie in 3..{len(SHIFTS)}; got {count}")
    places = np.arange(len(COMPOUNDS)) + np.array(SHIFTS[:count])[:, None]
    return np.asarray(STEP * places % len(COMPOUNDS), np.intp)


def question(order: NDArray[np.intp]) -> str:
    """Write the question with the labels in this order."""
    options = [f"{letter}. {COMPOUNDS[i]}" for letter, i in zip(LETTERS, order, strict=True)]
    return "\n".join([prompts.CLASSIFY, *options, "Answer with the letter of one option only."])


def letter_of(token: str) -> str | None:
    """Find the option that a token names: "B", " B", "B." and "(B" do; "b", "Be" and "Z" do not."""
    bare = token.strip(_AROUND)
    return bare if len(bare) == 1 and bare in LETTERS else None


def shares(top: Top) -> NDArray[np.float64]:
    """Sum (15,) the probability of each letter, 0 where none is listed; last, of the rest."""
    mass = np.zeros(len(LETTERS) + 1)
    for token, logprob in top:
        letter = letter_of(token)
        if letter:
            mass[LETTERS.index(letter)] += np.exp(logprob)
    mass[-1] = max(0.0, 1.0 - sum(float(np.exp(logprob)) for _, logprob in top))
    return mass


def log_shares(top: Top) -> NDArray[np.float64]:
    """Compute (14,) log-probabilities of the letters; one that is not listed gets its bound."""
    listed = shares(top)
    letters, rest = listed[:-1], listed[-1]
    missing = letters == 0
    if missing.any():
        smallest = min(float(np.exp(logprob)) for _, logprob in top)
        letters[missing] = min(smallest, rest / missing.sum())
    return np.asarray(np.log(np.maximum(letters, FLOOR)))


def evidence(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit (14,) evidence of the labels, up to a constant, to (R, 14) log-probabilities.

    Row r holds the letters of `orders(R)[r]`.
    """
    return np.asarray(_solver(len(logs)) @ logs.ravel())


def probabilities(tops: Sequence[Top]) -> NDArray[np.float64]:
    """Compute (14,) label probabilities from the first tokens in each of `orders(len(tops))`.

    Raises:
        ValueError: the letters have less than `MIN_MASS` of the first tokens; the message says
            what was answered instead.
    """
    mass = float(np.mean([shares(top)[:-1].sum() for top in tops]))
    if mass < MIN_MASS:
        token = max(tops[0], key=lambda pair: pair[1])[0]
        raise ValueError(
            f"gives the letters {mass:.0%} of its first token and begins with {token[:20]!r} "
            "instead, so it cannot classify; ask a model that answers at once, without thinking"
        )
    logs = np.array([log_shares(top) for top in tops])
    return np.asarray(softmax(evidence(logs)[None])[0])


@cache
def _solver(count: int) -> NDArray[np.float64]:
    """Invert the design: (14, count * 14) from log-probabilities to the fitted evidence."""
    size = len(COMPOUNDS)
    letter = np.tile(np.eye(size), (count, 1))
    label = np.eye(size)[orders(count).ravel()]
    order = np.repeat(np.eye(count), size, axis=0)
    # Two singular values are 0 but for rounding, which may exceed NumPy's own limit of 1e-15.
    inverse = np.linalg.pinv(np.hstack([letter, label, order]), rtol=1e-10)
    return np.asarray(inverse[size : 2 * size])
