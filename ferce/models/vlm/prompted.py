"""A model that is asked in words about a picture: a classifier by label scoring, and a voice.

How it computes is left open: `base` does it with torch, `fastvlm` on ONNX Runtime without.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS
from ferce.core.parts import Answer, Prediction
from ferce.core.types import Face, Pixels, Scores
from ferce.explanation.text.arrangement import arrange
from ferce.models import prompts
from ferce.models.calibration import Calibration
from ferce.models.vlm import phrases
from ferce.models.vlm.loading import Settings
from ferce.models.vlm.phrases import Race

GREY = 128  # a mean-grey picture holds nothing: the middle of 0..255
ANSWER_TOKENS = 32
EXPLANATION_TOKENS = 192


class PromptedModel(ABC):
    """A Classifier and a Voice that answers prompts about crops."""

    style: str  # key of the prompt format

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self._priors: dict[int, list[NDArray[np.float64]]] = {}
        self._log = prompts.PromptLog()

    # What a model must say.

    @property
    @abstractmethod
    def fitted(self) -> Calibration:
        """The calibration that held-out faces gave the checkpoint."""

    @abstractmethod
    def log_likelihoods(
        self, crops: Sequence[Pixels], phrases: Sequence[str], prompt: str | None = None
    ) -> NDArray[np.float64]:
        """Score phrases as the answer to `prompt`, (N, K) mean log-probability per token.

        Args:
            crops: N pictures of one size.
            phrases: K answers.
            prompt: already in the family's format; None is the question for the expression.
        """

    @abstractmethod
    def whole_passes(self, crops: Sequence[Pixels], phrases: Sequence[str]) -> NDArray[np.float64]:
        """Score phrases (N, K) by one plain pass each; for checks and benchmarks."""

    @abstractmethod
    def reply(
        self, crops: Sequence[Pixels], asked: Sequence[str], limit: int = ANSWER_TOKENS
    ) -> list[str]:
        """Generate the reply to each formatted prompt about the one crop, or about its own."""

    @abstractmethod
    def written(self, crop: Pixels, prompt: str, limit: int) -> Iterator[str]:
        """Generate the reply to a formatted prompt, at most `limit` tokens, piece by piece."""

    # What is asked.

    @property
    def calibration(self) -> Calibration:
        """That of the checkpoint; it does not hold for scores divided by content-free ones."""
        return self.fitted if self.settings.calibrate == "none" else Calibration()

    @property
    def template(self) -> str:
        """How an explanation is asked for, a key of `prompts.TEMPLATES`."""
        return self.settings.template

    def recording(self) -> AbstractContextManager[list[str]]:
        """Record the formatted prompts that are encoded while the context is open."""
        return self._log.recording()

    def question(self, text: str) -> str:
        """Format a question for the family."""
        return prompts.formatted(self.style, text).strip()

    # The classifier.

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces, one row each, batched inside; a row does not depend on its batch mates."""
        classes, calibration = np.zeros((len(faces), len(COMPOUNDS))), self.calibration
        for size, rows in _by_size(faces).items():
            crops = [faces[i].crop for i in rows]
            logs = self.log_likelihoods(crops, COMPOUNDS) / calibration.temperature
            classes[rows] = phrases.probabilities(logs, self._prior(size))
        return Scores(classes, mass=calibration.mass, calibrated=calibration != Calibration())

    def named(self, faces: Sequence[Face]) -> list[str]:
        """Name the compound of each face in the model's own words, or `phrases.UNPARSED`."""
        asked = [self.question(prompts.CLASSIFY)] * len(faces)
        return [phrases.parse(text) for text in self.reply([face.crop for face in faces], asked)]

    def race(self, crop: Pixels, repeats: int = 5) -> Race:
        """Time the shared prefix against 14 plain passes on one picture."""
        return phrases.race(
            lambda: self.log_likelihoods([crop], COMPOUNDS),
            lambda: self.whole_passes([crop], COMPOUNDS),
            repeats,
        )

    def _prior(self, size: int) -> list[NDArray[np.float64]]:
        """Score the labels for each content-free input, (14,) each."""
        if size not in self._priors:
            grey = np.full((size, size, 3), GREY, np.uint8)
            kinds = {"none": (), "grey": ("usual",), "empty": ("",), "both": ("usual", "")}
            asked = [prompts.CLASSIFY if kind else "" for kind in kinds[self.settings.calibrate]]
            self._priors[size] = [
                self.log_likelihoods([grey], COMPOUNDS, self.question(text))[0] for text in asked
            ]
        return self._priors[size]

    # The voice.

    def answer(self, face: Face, questions: Sequence[str]) -> list[Answer]:
        """Answer each question, in order, batched inside.

        Raises:
            ValueError: a question is empty, too long or holds a model's control marks.
        """
        asked = [self.question(prompts.question(text)) for text in questions]
        replies = self.reply([face.crop], asked)
        return [Answer(q, a, self.name) for q, a in zip(questions, replies, strict=True)]

    def explain(self, face: Face, prediction: Prediction) -> Iterator[str]:
        """Explain the *predicted* label; the pieces come as they are generated.

        A text of plain statements, as models trained by ferce write it, is put in order first; see
        `arrangement`.
        """
        prompt = self.question(prompts.explain(prediction, self.template, face.units))
        return arrange(self.written(face.crop, prompt, EXPLANATION_TOKENS), face, prediction)


def _by_size(faces: Sequence[Face]) -> dict[int, list[int]]:
    """Group rows by the side of their crops: crops of one size take the same number of tokens."""
    groups: dict[int, list[int]] = {}
    for row, face in enumerate(faces):
        groups.setdefault(face.size, []).append(row)
    return groups


def stream(produce: Callable[[Any, Any], object], tokenizer: Any) -> Iterator[str]:
    """Stream the text that `produce` generates; joined, the pieces are the whole.

    Leaving the iterator early stops the generation at its next token. An error of the worker is
    raised here, after the pieces it had made.

    Args:
        produce: called in a thread with a streamer and stopping criteria for `generate`.
        tokenizer: turns ids into text.
    """
    from transformers import StoppingCriteriaList, TextIteratorStreamer

    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    stop, failures = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            produce(streamer, StoppingCriteriaList([_halt(stop)]))
        except BaseException as error:  # handed to the reader, who would wait for ever otherwise
            failures.append(error)
            streamer.text_queue.put(streamer.stop_signal)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        yield from _trimmed(streamer)
    finally:
        stop.set()
        worker.join()
    if failures:
        raise failures[0]


def pieces(ids: Iterator[int], text_of: Callable[[Sequence[int]], str]) -> Iterator[str]:
    """Stream the text of ids as they come, word by word; joined, the pieces are the whole."""
    return _trimmed(_words(ids, text_of))


def _words(ids: Iterator[int], text_of: Callable[[Sequence[int]], str]) -> Iterator[str]:
    """Give what of the text no further id can change: all up to its last space."""
    known, shown, text = list[int](), 0, ""
    for number in ids:
        known.append(number)
        text = text_of(known)
        safe = text.rfind(" ") + 1
        yield text[shown:safe]
        shown = max(shown, safe)
    yield text[shown:]


def _trimmed(pieces: Iterator[str]) -> Iterator[str]:
    """Drop the white space before the text and empty pieces."""
    begun = False
    for piece in pieces:
        shown = piece if begun else piece.lstrip()
        begun = begun or bool(shown)
        if shown:
            yield shown


def _halt(stop: threading.Event) -> Callable[..., Any]:
    """Make a stopping criterion that ends every row once `stop` is set."""
    import torch

    def halted(ids: Any, scores: Any, **kwargs: Any) -> Any:
        del scores, kwargs
        return torch.full((len(ids),), stop.is_set(), dtype=torch.bool, device=ids.device)

    return halted
