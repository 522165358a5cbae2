"""The protocols: what a detector, a classifier, a voice and their optional abilities must do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ferce.core.parts import Answer, Prediction
from ferce.core.types import Face, Pixels, Scores


@runtime_checkable
class Detector(Protocol):
    """A part that finds and aligns faces."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def detect(self, photo: Pixels) -> list[Face]:
        """Find the faces of a (H, W, 3) uint8 RGB photo, largest first; empty without one."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """A model that scores faces against the 14 compounds."""

    @property
    def name(self) -> str:
        """The spec that loads this classifier."""
        ...

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces, one row each, batched inside; a row does not depend on its batch mates."""
        ...


@dataclass(frozen=True)
class View:
    """A network opened for gradients.

    `inputs` turns faces into a tensor (N, 3, H, W) that `module` maps to (N, K) scores; `index`
    gives the column of a label; `layer` is the module whose activations carry the map and `reshape`
    turns them into (N, C, h, w) (None where they are so already). `part` is the share of the crop's
    side, about its centre, that the inputs keep. `complete` is False where the classifier decides
    by evidence that does not pass through `module` as well.
    """

    module: Any
    layer: Any
    layer_name: str
    inputs: Callable[[Sequence[Face]], Any]
    index: Callable[[str], int]
    reshape: Callable[[Any], Any] | None = None
    part: float = 1.0
    complete: bool = True


@runtime_checkable
class Explainable(Protocol):
    """A classifier whose network is open to gradients."""

    def view(self) -> View:
        """Open the network for Grad-CAM."""
        ...


@dataclass(frozen=True, eq=False)
class Pooled:
    """What a network sees of one face, where its scores are linear in pooled features.

    `maps` (C, h, w) are the activations of the layer, whose means over the places are the features;
    `weight` (K, C) gives the scores of the features and `scores` (K,) are those of the face, up to
    a number added to all; `index`, `layer_name` and `part` as in `View`.
    """

    maps: NDArray[np.float32]
    weight: NDArray[np.float64]
    scores: NDArray[np.float64]
    index: Callable[[str], int]
    layer_name: str
    part: float = 1.0


@runtime_checkable
class Poolable(Protocol):
    """A classifier whose network is linear in pooled features: Grad-CAM needs no gradients of it.

    `complete` as in `View`.
    """

    complete: bool

    def pooled(self, face: Face) -> Pooled:
        """Compute the last map of a face and its scores."""
        ...


@runtime_checkable
class Attentive(Protocol):
    """A classifier whose queries attend to places of the picture, as a Q-Former's do."""

    def attention(self, faces: Sequence[Face]) -> NDArray[np.float32]:
        """Compute (N, h, w) attention >= 0 of each place; it belongs to no label."""
        ...


@runtime_checkable
class Voice(Protocol):
    """A model that answers questions about a face and explains a prediction."""

    @property
    def name(self) -> str:
        """The spec that loads this voice."""
        ...

    def answer(self, face: Face, questions: Sequence[str]) -> list[Answer]:
        """Answer each question, in order, batched inside."""
        ...

    def explain(self, face: Face, prediction: Prediction) -> Iterator[str]:
        """Explain the *predicted* label, piece by piece; joined, the pieces are the text."""
        ...


@runtime_checkable
class Closable(Protocol):
    """A part that holds threads or connections."""

    def close(self) -> None:
        """Release them."""
        ...


@runtime_checkable
class Hosted(Protocol):
    """A model that may run on another machine."""

    @property
    def leaves_machine(self) -> bool:
        """Whether the cropped faces are sent there."""
        ...


@runtime_checkable
class OnDevice(Protocol):
    """A model that computes on a device of its own."""

    @property
    def device(self) -> object:
        """The device; as text "cpu", "cuda:0" ..."""
        ...


@runtime_checkable
class FreeText(Protocol):
    """A classifier that also names the compound in its own words."""

    def named(self, faces: Sequence[Face]) -> list[str]:
        """Name the compound of each face in generated text, or "unparsed"."""
        ...


@runtime_checkable
class Prompted(Protocol):
    """A model that is asked in words."""

    @property
    def template(self) -> str:
        """How an explanation is asked for, a key of `prompts.TEMPLATES`."""
        ...

    def recording(self) -> AbstractContextManager[list[str]]:
        """Record the prompts sent to the model while the context is open."""
        ...
