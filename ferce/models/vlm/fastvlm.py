"""FastVLM as it is packaged, on ONNX Runtime: answers, texts and label scores without torch.

The folder of a model is one of transformers, which plain transformers loads as well. The graphs
belong to the layout and hold no weights, so a model trained anew in this layout needs no others.
Greedy texts equal those of transformers, and scores do to 1e-3 (`tests/models/test_fastvlm.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.compute import log_softmax, spread
from ferce.core.protocols import Explainable, View
from ferce.core.types import Pixels
from ferce.models import graph_net, prompts
from ferce.models.calibration import Calibration, load_calibration
from ferce.models.hub import CheckpointError, read_json
from ferce.models.preprocessing import resized
from ferce.models.vlm.decoder import Cache, Decoder, Floats, Ids, padded
from ferce.models.vlm.loading import Settings
from ferce.models.vlm.phrases import Tokens, joint_continuations
from ferce.models.vlm.prompted import ANSWER_TOKENS, PromptedModel, pieces

if TYPE_CHECKING:
    from ferce.models.spec import Spec

HOME = Path(__file__).parents[2] / "weights" / "fastvlm-mini"  # the graphs, and whose they are
TOWER, DECODER = "tower.onnx", "decoder.onnx"  # graphs
PIXELS, TOKENS = "pixels", "tokens"  # what the tower takes and gives
TEMPLATE = "{}Question: {} Answer:"  # of `chat_template.jinja`: the picture, then the question
LANGUAGE = "model.language_model."
WORDS = f"{LANGUAGE}embed_tokens.weight"
SIGHT = ("model.vision_tower.", "model.multi_modal_projector.")
COUNTER = "num_batches_tracked"  # of batch normalisation; no pass reads it
MARK = "<image>"  # a place of the picture, in prompts
LATEST = 8  # pictures that stay read, 250 kB each: a face is explained and asked about by turns
# What may differ between models of one layout: ids of marks, and who wrote the file.
_OWN = {"transformers_version", "dtype", "image_token_index"}
_OWN |= {"bos_token_id", "eos_token_id", "pad_token_id"}
_STORED = ("float16", "float32")  # NumPy has no bfloat16


def fits(folder: Path) -> bool:
    """Tell whether a folder holds a model of the packaged layout, for which there are graphs."""
    names = ("config.json", "processor_config.json", "generation_config.json")
    template = "chat_template.jinja"
    if not all((folder / name).is_file() for name in (*names, template, "tokenizer.json")):
        return False
    same = [_plain(read_json(folder / name)) == _plain(read_json(HOME / name)) for name in names]
    same.append((folder / template).read_text() == (HOME / template).read_text())
    return all(same) and read_json(folder / names[0]).get("dtype") in _STORED


def _plain(config: Any) -> Any:
    """Leave out of a configuration what a model of the layout has of its own."""
    if not isinstance(config, dict):
        return config
    return {name: _plain(value) for name, value in config.items() if name not in _OWN}


class FastVlm(PromptedModel):
    """A Classifier, a Voice and an Explainable; threads share it without taking turns."""

    style = "chat"
    device = "cpu"

    def __init__(self, spec: "Spec", folder: Path, open_twin: Callable[[], Explainable]) -> None:
        """Open a model.

        Args:
            spec: names it.
            folder: of which `fits` holds.
            open_twin: opens the same model with torch, for gradients.

        Raises:
            CheckpointError: its weights are not of the layout, or it has no mark for a picture.
        """
        from tokenizers import Tokenizer

        super().__init__(str(spec), Settings.parse(spec.options))
        self._open_twin, self._fitted = open_twin, load_calibration(folder)
        weights = _weights(folder)
        words = weights[WORDS].astype(np.float32)
        end = int(read_json(folder / "generation_config.json")["eos_token_id"])
        self._decoder = Decoder(HOME / DECODER, _under(weights, LANGUAGE), words, end)
        self._tower = graph_net.session(HOME / TOWER, _under(weights, *SIGHT), threads=1)
        self._places = int(self._tower.get_outputs()[0].shape[1])
        self._pictures = read_json(folder / "processor_config.json")["image_processor"]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        image = self._tokenizer.token_to_id(MARK)
        if image is None:
            raise CheckpointError(f"The tokenizer of {folder} knows no {MARK}.")
        self._image = int(image)
        ids = self._ids("")
        self._opening = ids[: len(ids) - ids[::-1].index(self._image)]  # up to the picture's end
        self._open_one = lru_cache(maxsize=LATEST)(self._open_bytes)

    @property
    def fitted(self) -> Calibration:
        """The calibration that held-out faces gave the checkpoint."""
        return self._fitted

    # The classifier.

    def log_likelihoods(
        self, crops: Sequence[Pixels], phrases: Sequence[str], prompt: str | None = None
    ) -> NDArray[np.float64]:
        """Score phrases as the answer to `prompt`, (N, K) mean log-probability per token.

        Args:
            crops: N pictures; they may differ in size.
            phrases: K answers.
            prompt: already in the family's format; None is the question for the expression.
        """
        prompt = self.question(prompts.CLASSIFY) if prompt is None else prompt
        tokens, asked = self._continuations(prompt, phrases), prompt
        self._log.note([asked] * len(crops))

        def one(part: Sequence[Pixels]) -> NDArray[np.float64]:
            last, cache = self._read(self._open(part), [asked] * len(part))
            return self._decoder.score(last, cache, tokens)

        return np.concatenate(spread(one, crops, self.settings.batch))

    def whole_passes(self, crops: Sequence[Pixels], phrases: Sequence[str]) -> NDArray[np.float64]:
        """Score phrases (N, K) by one plain pass each; for checks and benchmarks."""
        prompt = self.question(prompts.CLASSIFY)
        head, columns = self._ids(prompt), []
        for phrase in self._continuations(prompt, phrases):
            ids = np.array([[*head, *phrase]] * len(crops))
            empty = self._decoder.empty(len(crops))
            logits, _ = self._decoder.read(self._vectors(ids, self._see(crops)), empty)
            logs, after = log_softmax(logits[:, len(head) - 1 : -1]), ids[:, len(head) :, None]
            columns.append(np.take_along_axis(logs, after, 2)[..., 0].mean(-1))
        return np.stack(columns, 1).astype(np.float64)

    def view(self) -> View:
        """Open the network for Grad-CAM: pixels to log-probabilities of the compounds."""
        return self._twin.view()

    @cached_property
    def _twin(self) -> Explainable:
        return self._open_twin()

    # The voice.

    def reply(
        self, crops: Sequence[Pixels], asked: Sequence[str], limit: int = ANSWER_TOKENS
    ) -> list[str]:
        """Generate the reply to each formatted prompt about the one crop, or about its own."""
        if not asked:
            return []
        self._log.note(asked)
        shared = self._opened(crops) if len(crops) == 1 else None
        pairs = list(zip([*crops] * len(asked) if shared else crops, asked, strict=True))

        def one(part: Sequence[tuple[Pixels, str]]) -> list[str]:
            opened = shared or self._open([crop for crop, _ in part])
            last, cache = self._read(opened, [text for _, text in part])
            ids = np.stack([*self._decoder.write(last, cache, limit)], 1)
            return [self._text(row.tolist()).strip() for row in ids]

        return list(chain.from_iterable(spread(one, pairs, self.settings.batch)))

    def written(self, crop: Pixels, prompt: str, limit: int) -> Iterator[str]:
        """Generate the reply to a formatted prompt, at most `limit` tokens, piece by piece."""
        self._log.note([prompt])
        last, cache = self._read(self._opened([crop]), [prompt])
        ids = (int(row[0]) for row in self._decoder.write(last, cache, limit))
        yield from pieces(ids, self._text)

    # Pictures and words.

    def _see(self, crops: Sequence[Pixels]) -> Floats:
        """Compute (N, P, D) vectors of the P places of N pictures."""
        (tokens,) = self._tower.run([TOKENS], {PIXELS: self._pixels(crops)})
        return np.asarray(tokens)

    def _pixels(self, crops: Sequence[Pixels]) -> Floats:
        """Resize and normalise as transformers does, (N, 3, H, W)."""
        known = self._pictures
        height, width = known["size"]["height"], known["size"]["width"]
        pixels = np.stack([resized(crop, height, width) for crop in crops]).astype(np.float32)
        mean, std = (np.float32(known[name]) for name in ("image_mean", "image_std"))
        scaled = (pixels * np.float32(known["rescale_factor"]) - mean) / std
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))

    def _ids(self, prompt: str) -> list[int]:
        """Tokenise a formatted prompt behind a picture.

        Raises:
            ValueError: the prompt itself holds the mark of a picture.
        """
        ids = list(self._tokenizer.encode(TEMPLATE.format(MARK * self._places, prompt)).ids)
        if ids.count(self._image) != self._places:
            raise ValueError(f"The prompt must hold no {MARK}, which stands for a picture.")
        return ids

    def _continuations(self, prompt: str, phrases: Sequence[str]) -> Tokens:
        """Tokenise each phrase as the words after the prompt."""

        def ids_of(text: str) -> list[int]:
            return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

        return joint_continuations(ids_of, TEMPLATE.format(MARK, prompt), phrases)

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids)))  # without special tokens

    def _vectors(self, ids: Ids, seen: Floats) -> Floats:
        """Look up (N, T, D) vectors of ids, those of the N pictures in place of their marks."""
        vectors = self._decoder.words[ids]
        vectors[ids == self._image] = seen.reshape(-1, seen.shape[-1])
        return vectors

    def _opened(self, crops: Sequence[Pixels]) -> Cache:
        """Read the pictures, with which every prompt begins; the latest single ones are kept."""
        if len(crops) == 1:
            return self._open_one(crops[0].shape, crops[0].tobytes())
        return self._open(crops)

    def _open(self, crops: Sequence[Pixels]) -> Cache:
        ids = np.array([self._opening] * len(crops))
        vectors = self._vectors(ids, self._see(crops))
        return self._decoder.read(vectors, self._decoder.empty(len(crops)))[1]

    def _open_bytes(self, shape: tuple[int, ...], pixels: bytes) -> Cache:
        return self._open([np.frombuffer(pixels, np.uint8).reshape(shape)])

    def _read(self, opened: Cache, asked: Sequence[str]) -> tuple[Floats, Cache]:
        """Read formatted prompts, each about its own picture or all about one.

        Args:
            opened: cache of N pictures, or of one.
            asked: N prompts.

        Returns:
            (N, V) logits of the word after each, and the longer cache.
        """
        ids, real = padded([self._ids(prompt)[len(self._opening) :] for prompt in asked])
        if len(opened.real) < len(asked):
            opened = opened.rows(np.zeros(len(asked), int))
        logits, cache = self._decoder.read(self._decoder.words[ids], opened, real)
        return logits[np.arange(len(asked)), real.sum(1) - 1], cache


def _weights(folder: Path) -> dict[str, NDArray[Any]]:
    """Load every weight of a folder, by name."""
    from safetensors.numpy import load_file

    files = sorted(folder.glob("*.safetensors"))
    return {name: weight for file in files for name, weight in load_file(file).items()}


def _under(weights: Mapping[str, NDArray[Any]], *places: str) -> dict[str, NDArray[Any]]:
    """Select the weights whose names begin with one of `places` and that a pass reads."""
    named = weights.items()
    return {n: weight for n, weight in named if n.startswith(places) and not n.endswith(COUNTER)}
