"""The base of vision-language models of transformers, with torch and open for gradients."""

import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferce.core.labels import COMPOUNDS, parse
from ferce.core.protocols import View
from ferce.core.types import Face, Pixels
from ferce.models import memory, prompts
from ferce.models.calibration import Calibration
from ferce.models.vlm import scoring
from ferce.models.vlm.loading import Checkpoint, Settings, unload
from ferce.models.vlm.phrases import Tokens
from ferce.models.vlm.prompted import ANSWER_TOKENS, PromptedModel, stream
from ferce.models.vlm.scoring import Prefix
from ferce.models.vlm.towers import Inputs, Tower


class PhraseScores(torch.nn.Module):  # type: ignore[misc]
    """Scores of phrases after a prompt, (N, K), as a function of (N, 3, H, W) pixels."""

    def __init__(self, model: "VisionLanguage", prompt: str, phrases: Sequence[str]) -> None:
        super().__init__()
        self.network = model.network
        self._model = [model]  # in a list, so that torch does not look for parameters in it
        self._prompt = prompt
        self._tokens = model.continuations(prompt, phrases)
        self.tower = model.tower()
        self.size = (0, 0)  # (H, W) of the last pixels seen

    def forward(self, pixels: Tensor) -> Tensor:
        """Score the phrases; differentiable with respect to the pixels."""
        model, self.size = self._model[0], tuple(pixels.shape[-2:])
        blank = np.zeros((*self.size, 3), np.uint8)
        inputs = dict(model.encode([blank], [self._prompt]))
        inputs = {key: torch.cat([value] * len(pixels)) for key, value in inputs.items()}
        inputs["pixel_values"] = self.tower.pack(pixels, inputs)
        with model.turn:
            return scoring.likelihoods(model.prefix(inputs), self._tokens, pixels.device)


def _label_column(label: str) -> int:
    """Find the column of a compound; raises ValueError for any other label."""
    name = parse(label)
    if name not in COMPOUNDS:
        raise ValueError(f"This model scores compounds only; got {name!r}.")
    return COMPOUNDS.index(name)


def open_view(model: "VisionLanguage", module: PhraseScores) -> View:
    """Open `module`, which scores the compounds, at the model's visual encoder."""
    tower = module.tower

    def inputs(faces: Sequence[Face]) -> Tensor:
        crops = [face.crop for face in faces]
        encoded = model.encode(crops, [model.question("")] * len(crops))
        return tower.unpack(encoded).float().detach()

    def reshape(activations: Tensor) -> Tensor:
        return tower.grid(activations, module.size)

    name = next(n for n, layer in module.network.named_modules() if layer is tower.layer)
    return View(module, tower.layer, name, inputs, _label_column, reshape)


class VisionLanguage(PromptedModel):
    """A Classifier, an Explainable's base and a Voice around one checkpoint.

    A family says how it encodes pictures and prompts, how it reads them as a prefix, how a phrase
    continues a prompt, and how it generates. Calls from several threads take turns.
    """

    def __init__(self, name: str, checkpoint: Checkpoint, settings: Settings) -> None:
        super().__init__(name, settings)
        self.checkpoint = checkpoint
        self.turn = threading.RLock()

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
    def fitted(self) -> Calibration:
        """The calibration that held-out faces gave the checkpoint."""
        return self.checkpoint.calibration

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

    def ids_of(self, text: str) -> list[int]:
        """Tokenise a text, without special tokens before or after it."""
        return list(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    def encode(self, crops: Sequence[Pixels], texts: Sequence[str]) -> Inputs:
        """Encode one row a formatted prompt, padded; one crop for all of them, or one each.

        Raises:
            ValueError: the prompt has no place for the picture, which the network would not see.
        """
        self._log.note(texts)
        return self._encode(crops, texts)

    # The classifier.

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

    def view(self) -> View:
        """Open the network for Grad-CAM: pixels to log-probabilities of the compounds."""
        prompt = self.question(prompts.CLASSIFY)
        return open_view(self, PhraseScores(self, prompt, COMPOUNDS))

    # The voice.

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

    def written(self, crop: Pixels, prompt: str, limit: int) -> Iterator[str]:
        """Generate the reply to a formatted prompt, at most `limit` tokens, piece by piece."""

        def produce(streamer: Any, stopping: Any) -> None:
            with self.turn, torch.no_grad():
                inputs = self.encode([crop], [prompt])
                extra = {"streamer": streamer, "stopping_criteria": stopping}
                self.generate(inputs, limit, **extra)

        return stream(produce, self.processor.tokenizer)

    def unload_adapter(self) -> None:
        """Take the adapter out, which leaves the base as it came."""
        with self.turn:
            self.checkpoint = unload(self.checkpoint)
            self._priors.clear()
