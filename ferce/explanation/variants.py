"""Score each variant of a face once: the map, the checks and the measures hide the same regions."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from ferce.core.protocols import Classifier
from ferce.core.types import Face, Scores


class Variants:
    """A `Classifier` that remembers the scores, without action units, of the faces it was given.

    To be used for one face and what is hidden of it, by one thread at a time.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.name = classifier.name
        self._classifier = classifier
        self._known: dict[bytes, Scores] = {}

    def remember(self, face: Face, scores: Scores) -> None:
        """Keep the one row of scores that a face has already."""
        self._known.setdefault(_key(face), replace(scores, units=None))

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces, one row each; only those not seen before go to the classifier."""
        keys = [_key(face) for face in faces]
        new = {key: face for key, face in zip(keys, faces, strict=True) if key not in self._known}
        if new or not keys:
            scored = replace(self._classifier.scores(list(new.values())), units=None)
            if not keys:
                return scored
            self._known |= {key: scored.row(i) for i, key in enumerate(new)}
        return _stacked([self._known[key] for key in keys])


def _key(face: Face) -> bytes:
    """Hash the pixels, and how far the measures of each region are covered."""
    digest = sha256(np.ascontiguousarray(face.crop).data)  # processors have instructions for it
    digest.update(repr(sorted(face.hidden.items())).encode())
    return digest.digest()


def _stacked(rows: Sequence[Scores]) -> Scores:
    def column(name: str) -> NDArray[np.float64] | None:
        parts = [getattr(row, name) for row in rows]
        return None if parts[0] is None else np.concatenate(parts)

    classes = np.concatenate([row.classes for row in rows])
    return replace(rows[0], classes=classes, outcomes=column("outcomes"), neutral=column("neutral"))
