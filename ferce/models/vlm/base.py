"""The base of vision-language models: a classifier by label scoring, and a voice."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import View
from ferce.core.types import Answer, Face, Pixels, Prediction, Scores
from ferce.models import memory, prompts
from ferce.models.calibration import Calibration
from ferce.models.vlm import freeform, scoring
from ferce.models.vlm.loading import Checkpoint, Settings, unload
from ferce.models.vlm.scoring import Prefix, Race, Tokens
from ferce.models.vlm.stream import stream
from ferce.models.vlm.towers import Inputs, Tower
from ferce.models.vlm.view import PhraseScores, open_view

GREY = 128  # a mean-grey picture holds nothing: the middle of 0..255
ANSWER_TOKENS = 32
EXPLANATION_TOKENS = 192


class VisionLanguage(ABC):
    """A Classifier, an Explainable's base and a Voice around one checkpoint.

    A family says how it encodes pictures and prompts, how it reads them as a prefix, how a phrase
    continues a prompt, and how it generates. Calls from several threads take turns.
    """

    style: str  # key of the prompt format

    def __init__(self, name: str, checkpoint: Checkpoint, settings: Settings) -> None:
        self.name = name
        self.checkpoint = checkpoint
        self.settings = settings
        self.turn = threading.RLock()
        self._priors: dict[int, list[NDArray[np.float64]]] = {}
        self._log = prompts.PromptLog()

    @property
    def network(self) -> Any:
        """The transformers model, adapter layers in place."""
        return self.checkpoint.network

    @property
    def processor(self) -> Any:
        """The transformers processor."""
        return self.checkpoint.processor

    @property
    def device(self) -> Any:
        """Where the network lies."""
        return self.network.device

    @property
    def calibration(self) -> Calibration:
        """That of the checkpoint; it does not hold for scores divided by content-free ones."""
        return self.checkpoint.calibration if self.settings.calibrate == "none" else Calibration()

    # What a family must say.

    @abstractmethod
    def _encode(self, crops: Sequence[Pixels], texts: Sequence[str]) -> Inputs:
        """Encode one row a formatted prompt, padded; one crop for all of them, or one each."""

    @abstractmethod
    def prefix(self, inputs: Inputs) -> Prefix:
        """Read the rows of `inputs`, all of one length, as a prefix; differentiable."""

    @abstractmethod
    def continuations(self, prompt: str, phrases: Sequence[str]) -> Tokens:
        """Tokenise each phrase as the continuation of the prompt."""

    @abstractmethod
    def whole_pass(self, inputs: Inputs, ids: Sequence[int]) -> Tensor:
        """Score `ids` by one plain pass, the (N,) mean log-probability."""

    @abstractmethod
    def generate(self, inputs: Inputs, limit: int, **extra: Any) -> Tensor:
        """Generate (N, T) new ids, at most `limit` a row, without the prompt."""

    @abstractmethod
    def tower(self) -> Tower:
        """Find the visual encoder, for heat maps."""

    # What is asked.

    @property
    def speaker(self) -> Any:
        """The part of the network whose generation settings hold."""
        return self.network

    @property
    def end(self) -> int:
        """The id that ends an answer: where the network stops by its own settings.

        Salesforce/blip2-opt-2.7b stops at a new line, and not at its tokenizer's `</s>`.
        """
        usual, own = self.processor.tokenizer.eos_token_id, self.speaker.generation_config
        ends = np.ravel(usual if own.eos_token_id is None else own.eos_token_id).tolist()
        return int(usual if usual in ends else ends[0])

    @property
    def template(self) -> str:
        """How an explanation is asked for, a key of `prompts.TEMPLATES`."""
        return self.settings.template

    def recording(self) -> AbstractContextManager[list[str]]:
        """Record the formatted prompts that are encoded while the context is open."""
        return self._log.recording()

    def encode(self, crops: Sequence[Pixels], texts: Sequence[str]) -> Inputs:
        """Encode one row a formatted prompt, padded; one crop for all of them, or one each.

        Raises:
            ValueError: the prompt has no place for the picture, which the network would not see.
        """
        self._log.note(texts)
        return self._encode(crops, texts)

    # The classifier.

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces, one row each, batched inside; a row does not depend on its batch mates."""
        classes, calibration = np.zeros((len(faces), len(COMPOUNDS))), self.calibration
        for size, rows in _by_size(faces).items():
            crops = [faces[i].crop for i in rows]
            logs = self.log_likelihoods(crops, COMPOUNDS) / calibration.temperature
            classes[rows] = scoring.probabilities(logs, self._prior(size))
        return Scores(classes, mass=calibration.mass, calibrated=calibration != Calibration())

    def log_likelihoods(
        self, crops: Sequence[Pixels], phrases: Sequence[str], prompt: str | None = None
    ) -> NDArray[np.float64]:
        """Score phrases as the answer to `prompt`, (N, K) mean log-probability per token.

        Args:
            crops: N pictures of one size.
            phrases: K answers.
            prompt: already in the family's format; None is the question for the expression.
        """
        prompt = self.question(prompts.CLASSIFY) if prompt is None else prompt
        tokens = self.continuations(prompt, phrases)

        def one(chunk: Sequence[Pixels]) -> NDArray[np.float64]:
            prefix = self.prefix(self.encode(chunk, [prompt] * len(chunk)))
            made: NDArray[np.float64] = (
                scoring.likelihoods(prefix, tokens, self.device).cpu().numpy()
            )
            return made

        with self.turn, torch.no_grad():
            rows = list(memory.passes(one, crops, self.settings.batch))
        return np.concatenate(rows).astype(np.float64)

    def whole_passes(self, crops: Sequence[Pixels], phrases: Sequence[str]) -> NDArray[np.float64]:
        """Score phrases (N, K) by one plain pass each; for checks and benchmarks."""
        prompt = self.question(prompts.CLASSIFY)
        with self.turn, torch.no_grad():
            inputs = self.encode(crops, [prompt] * len(crops))
            columns = [
                self.whole_pass(inputs, ids).cpu().numpy()
                for ids in self.continuations(prompt, phrases)
            ]
        return np.stack(columns, 1).astype(np.float64)

    def race(self, crop: Pixels, repeats: int = 5) -> Race:
        """Time the shared prefix against 14 plain passes on one picture."""
        return scoring.race(
            lambda: self.log_likelihoods([crop], COMPOUNDS),
            lambda: self.whole_passes([crop], COMPOUNDS),
            repeats,
        )

    def named(self, faces: Sequence[Face]) -> list[str]:
        """Name the compound of each face in the model's own words, or `freeform.UNPARSED`."""
        asked = [self.question(prompts.CLASSIFY)] * len(faces)
        return [freeform.parse(text) for text in self.reply([face.crop for face in faces], asked)]

    def view(self) -> View:
        """Open the network for Grad-CAM: pixels to log-probabilities of the compounds."""
        prompt = self.question(prompts.CLASSIFY)
        return open_view(self, PhraseScores(self, prompt, COMPOUNDS))

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

    def question(self, text: str) -> str:
        """Format a question for the family."""
        return prompts.formatted(self.style, text).strip()

    def answer(self, face: Face, questions: Sequence[str]) -> list[Answer]:
        """Answer each question, in order, batched inside.

        Raises:
            ValueError: a question is empty, too long or holds a model's control marks.
        """
        asked = [self.question(prompts.question(text)) for text in questions]
        replies = self.reply([face.crop], asked)
        return [Answer(q, a, self.name) for q, a in zip(questions, replies, strict=True)]

    def reply(
        self, crops: Sequence[Pixels], asked: Sequence[str], limit: int = ANSWER_TOKENS
    ) -> list[str]:
        """Generate the reply to each formatted prompt about the one crop, or about its own."""
        pairs = list(zip(crops if len(crops) > 1 else [*crops] * len(asked), asked, strict=True))

        def one(part: Sequence[tuple[Pixels, str]]) -> list[str]:
            pictures = crops if len(crops) == 1 else [crop for crop, _ in part]
            ids = self.generate(self.encode(pictures, [text for _, text in part]), limit)
            return list(self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True))

        with self.turn, torch.no_grad():
            texts = list(chain.from_iterable(memory.passes(one, pairs, self.settings.batch)))
        return [text.strip() for text in texts]

    def explain(self, face: Face, prediction: Prediction) -> Iterator[str]:
        """Explain the *predicted* label; the pieces come as they are generated."""
        template = self.settings.template
        prompt = self.question(prompts.explain(prediction, template, face.units))

        def produce(streamer: Any, stopping: Any) -> None:
            with self.turn, torch.no_grad():
                inputs = self.encode([face.crop], [prompt])
                extra = {"streamer": streamer, "stopping_criteria": stopping}
                self.generate(inputs, EXPLANATION_TOKENS, **extra)

        return stream(produce, self.processor.tokenizer)

    def unload_adapter(self) -> None:
        """Take the adapter out, which leaves the base as it came."""
        with self.turn:
            self.checkpoint = unload(self.checkpoint)
            self._priors.clear()


def _by_size(faces: Sequence[Face]) -> dict[int, list[int]]:
    """Group rows by the side of their crops: crops of one size take the same number of tokens."""
    groups: dict[int, list[int]] = {}
    for row, face in enumerate(faces):
        groups.setdefault(face.size, []).append(row)
    return groups
