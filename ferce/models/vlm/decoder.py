"""A small language model on ONNX Runtime: it reads vectors, remembers them, scores and writes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.compute import log_softmax
from ferce.models import graph_net
from ferce.models.vlm.phrases import Tokens

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
# What the graph takes and gives; `training.graphs` writes it. Keys and values go by turns.
VECTORS, PLACES, HIDDEN, LOGITS = "vectors", "places", "hidden", "logits"
PAST, PRESENT = "past_{}", "present_{}"
_NEVER = np.finfo(np.float32).min  # added to the score of what must not be attended to


@dataclass(frozen=True, eq=False)
class Cache:
    """What a decoder has read of N rows.

    Attributes:
        layers: keys and values of each layer by turns, (N, heads, P, width).
        real: (N, P) False where a row was padded.
    """

    layers: tuple[Floats, ...]
    real: Mask

    def rows(self, chosen: NDArray[Any]) -> "Cache":
        """Select rows by number, also repeatedly, or by a mask."""
        return Cache(tuple(layer[chosen] for layer in self.layers), self.real[chosen])


class Decoder:
    """A decoder; safe to share between threads."""

    def __init__(
        self, graph: Path, weights: Mapping[str, NDArray[Any]], words: Floats, end: int
    ) -> None:
        """Open the graph.

        Args:
            graph: file that `training.graphs` wrote.
            weights: those that it names.
            words: (V, D) vectors of the words.
            end: id that ends a text.
        """
        self.words, self.end = words, end
        # One thread: a word at a time shares no work.
        self._session = graph_net.session(graph, weights, threads=1)
        past = [one for one in self._session.get_inputs() if one.name.startswith(PAST.format(""))]
        self._layers = [(int(one.shape[1]), int(one.shape[3])) for one in past]
        self._outputs = [LOGITS, *(PRESENT.format(i) for i in range(len(past)))]

    def empty(self, rows: int) -> Cache:
        """Make the cache of rows of which nothing is read."""
        layers = tuple(np.zeros((rows, h, 0, width), np.float32) for h, width in self._layers)
        return Cache(layers, np.zeros((rows, 0), bool))

    def read(self, vectors: Floats, cache: Cache, real: Mask | None = None) -> tuple[Floats, Cache]:
        """Read on.

        Args:
            vectors: (N, T, D) of the next words.
            cache: of the N rows before them.
            real: (N, T) False for padding, which stands behind a row's words; None without any.

        Returns:
            (N, T, V) logits of the word after each, and the longer cache.
        """
        real = np.ones(vectors.shape[:2], bool) if real is None else real
        known = np.concatenate([cache.real, real], 1)
        feed = {
            VECTORS: vectors,
            PLACES: cache.real.sum(1, keepdims=True) + np.cumsum(real, 1) - 1,
            HIDDEN: _hidden(known, vectors.shape[1]),
        }
        feed |= {PAST.format(i): layer for i, layer in enumerate(cache.layers)}
        logits, *layers = self._session.run(self._outputs, feed)
        return logits, Cache(tuple(layers), known)

    def score(self, last: Floats, cache: Cache, phrases: Tokens) -> NDArray[np.float64]:
        """Score phrases as what follows N rows, by their mean log-probability per token.

        Args:
            last: (N, V) logits of the word after each row.
            cache: of the N rows.
            phrases: K continuations.

        Returns:
            (N, K), at most 0.
        """
        ids, real = padded(phrases)
        (k, t), n = ids.shape, len(last)
        scores = np.zeros((n, k, t))
        scores[..., 0] = log_softmax(last)[:, ids[:, 0]]
        if t > 1:  # phrases that begin alike are read once: the 14 compounds have 5 first words
            begun = np.where(real, ids, -1)[:, :-1]
            rows, which = np.unique(begun, axis=0, return_inverse=True)  # (R, T - 1)
            read, shared = np.tile(rows, (n, 1)), cache.rows(np.repeat(np.arange(n), len(rows)))
            logits, _ = self.read(self.words[read.clip(0)], shared, read >= 0)
            logs = log_softmax(logits).reshape(n, len(rows), t - 1, -1)
            wanted = ids[None, :, 1:, None]
            scores[..., 1:] = np.take_along_axis(logs[:, which.ravel()], wanted, 3)[..., 0]
        return np.asarray((scores * real).sum(-1) / real.sum(-1))

    def write(self, last: Floats, cache: Cache, limit: int) -> Iterator[Ids]:
        """Write on, each time the likeliest word, until every row has ended.

        Args:
            last: (N, V) logits of the word after each row.
            cache: of the N rows.
            limit: of words a row.

        Yields:
            (N,) ids of the next word; `end` for a row that has ended.
        """
        going, count = np.arange(len(last)), len(last)
        for step in range(limit):
            chosen = last.argmax(-1)
            ids = np.full(count, self.end)
            ids[going] = chosen
            yield ids
            left = chosen != self.end
            if step + 1 == limit or not left.any():
                return
            if not left.all():
                going, chosen, cache = going[left], chosen[left], cache.rows(left)
            logits, cache = self.read(self.words[chosen][:, None], cache)
            last = logits[:, 0]


def padded(rows: Tokens) -> tuple[Ids, Mask]:
    """Pad rows of ids behind their last to one length, (N, L), and tell which ids are real.

    Raises:
        ValueError: a row has no token.
    """
    if not all(rows):
        raise ValueError("every phrase must have at least one token; got an empty one")
    lengths = np.array([len(row) for row in rows])
    real = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros(real.shape, np.int64)
    ids[real] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return ids, real


def _hidden(known: Mask, count: int) -> Floats:
    """Hide from each of the last `count` words what is padding or stands behind it.

    Args:
        known: (N, P + T) False for padding.
        count: T.

    Returns:
        (N, 1, T, P + T) to be added to the scores of attention.
    """
    length = known.shape[1]
    before = np.arange(length) <= np.arange(length - count, length)[:, None]  # (T, P + T)
    seen = known[:, None, None] & before
    return np.where(seen, np.float32(0), _NEVER)
