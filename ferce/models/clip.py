"""CLIP and SigLIP as classifiers: by sentences, or by a head fitted on their frozen features."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import View
from ferce.core.types import Face, Scores
from ferce.explanation.heatmaps import layers
from ferce.models import kinds, memory, prompts
from ferce.models.calibration import Calibration, Columns, load_calibration, save_calibration
from ferce.models.clip_heads import Cache, Linear, ZeroShot, load_head, save_head
from ferce.models.hub import CheckpointError, fingerprint, read_json, resolve
from ferce.models.spec import Spec
from ferce.models.vlm.loading import Checkpoint, Settings, load_checkpoint

FAMILIES = ("clip", "siglip")  # model_type in config.json; SigLIP 2 of a fixed size is "siglip"


class Scorer(torch.nn.Module):  # type: ignore[misc]
    """The vision tower and a head on its features: (N, 3, H, W) pixels to (N, K) scores."""

    def __init__(self, network: Any, head: Any) -> None:
        super().__init__()
        self.network, self.head = network, head

    def features(self, pixels: Tensor) -> Tensor:
        """Embed pixels as (N, D) fp32, rows of length 1."""
        output = self.network.get_image_features(pixel_values=pixels.to(self.network.dtype))
        return torch.nn.functional.normalize(output.pooler_output.float(), dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Score pixels, (N, K)."""
        return self.head(self.features(pixels))


class Clip:
    """A `Classifier` and `Explainable`; `features` is what heads are fitted on."""

    def __init__(
        self,
        name: str,
        checkpoint: Checkpoint,
        head: ZeroShot | Linear | Cache,
        columns: Columns,
        calibration: Calibration = Calibration(),  # noqa: B008 - frozen
        batch: int = 32,
    ) -> None:
        """`head` maps features (N, D) to the scores of `columns`; `batch` faces make one pass."""
        self.name, self.columns, self.calibration = name, columns, calibration
        self.device, self.batch, self.folder = checkpoint.network.device, batch, checkpoint.folder
        self.pictures = checkpoint.processor.image_processor
        self.module = Scorer(checkpoint.network, head.to(self.device)).eval()

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces, one row each."""
        logits = self._run(faces, self.module, len(self.columns.names))
        return self.columns.scores(logits, self.calibration)

    def features(self, faces: Sequence[Face]) -> NDArray[np.float32]:
        """Embed faces by the frozen tower, (N, D), rows of length 1."""
        return self._run(faces, self.module.features, self.module.head.width).astype(np.float32)

    def view(self) -> View:
        """Open the vision tower for heat maps."""
        layer = layers.of_tower(self.module.network.vision_model)
        index = self.columns.index
        part = _part(self.pictures)
        return View(self.module, layer.module, layer.name, self._inputs, index, layer.reshape, part)

    def _run(
        self, faces: Sequence[Face], apply: Callable[[Tensor], Tensor], width: int
    ) -> NDArray[np.float64]:
        def one(part: Sequence[Face]) -> NDArray[np.float64]:
            made: NDArray[np.float64] = apply(self._inputs(part)).double().cpu().numpy()
            return made

        with torch.inference_mode():
            rows = list(memory.passes(one, faces, self.batch))
        return np.concatenate(rows) if rows else np.zeros((0, width))

    def _inputs(self, faces: Sequence[Face]) -> Tensor:
        crops = [face.crop for face in faces]
        made = self.pictures(crops, return_tensors="pt", input_data_format="channels_last")
        return made["pixel_values"].to(self.device)


def load(spec: Spec, device: str) -> Clip:
    """Load the model of `clip:owner/name`, or of `clip:owner/name+HEAD` with a fitted head.

    Options are those of `Settings` and `prompts` (a key of `STYLES`).

    Raises:
        CheckpointError: not to be had, no CLIP or SigLIP, or a head of another model.
        ValueError: the spec is of another form.
    """
    kinds.accept_clip(spec)
    options = {key: value for key, value in spec.options.items() if key != kinds.PROMPTS}
    settings = Settings.parse(options)
    adapter = resolve(spec.adapter, spec.revision) if spec.adapter else None
    base = resolve(spec.where, None if adapter else spec.revision)
    _require_family(base, spec.where)
    plain = Spec("clip", str(base), options=options)
    checkpoint = replace(load_checkpoint(_network_class(), plain, device), folder=base)
    text = embed(checkpoint, spec.options.get(kinds.PROMPTS, "both"))
    if adapter is None:
        columns, calibration = Columns(COMPOUNDS), load_calibration(base)
        return Clip(str(spec), checkpoint, text, columns, calibration, settings.batch)
    if settings.base == "same":
        _require_base(adapter, base)
    head, columns = load_head(adapter, text)
    return Clip(str(spec), checkpoint, head, columns, load_calibration(adapter), settings.batch)


def save(model: Clip, folder: Path, base: str) -> None:
    """Write the model's fitted head, for `clip:BASE+FOLDER`; the tower is not written.

    Args:
        model: with a linear probe or a cache.
        folder: made if it is not there.
        base: Hub id of the tower.
    """
    head = model.module.head
    if not isinstance(head, (Linear, Cache)):
        raise ValueError("This model has no fitted head to save; its labels come from sentences.")
    save_head(folder, head, model.columns, base, fingerprint(model.folder))
    save_calibration(folder, model.calibration)


def embed(checkpoint: Checkpoint, style: str) -> ZeroShot:
    """Embed the sentences of each label as one text vector, with the model's scale and bias.

    A label's vector is the mean of its sentences' vectors, each of length 1 (prompt ensemble,
    Radford et al. 2021, arXiv:2103.00020, section 3.1.4).
    """
    network, by_label = checkpoint.network, prompts.label_sentences(style)
    sentences = [sentence for label in COMPOUNDS for sentence in by_label[label]]
    with torch.inference_mode():
        vectors = _text_features(checkpoint, sentences).split([len(by_label[n]) for n in COMPOUNDS])
        text = torch.stack([torch.nn.functional.normalize(v.mean(0), dim=0) for v in vectors])
    if float((text - text[0]).abs().max()) < 1e-5:  # such as a vocabulary that lacks every word
        raise CheckpointError(
            f"The text side of {checkpoint.folder} cannot tell the sentences of the labels apart; "
            "its tokenizer or its weights are not those of the model."
        )
    bias = getattr(network, "logit_bias", None)
    scale = float(network.logit_scale.detach().float().exp())
    return ZeroShot(text.clone(), scale, None if bias is None else float(bias.detach().float()))


def _text_features(checkpoint: Checkpoint, sentences: Sequence[str]) -> Tensor:
    """Embed texts as (N, D) rows of length 1; SigLIP saw each padded to its full length."""
    network = checkpoint.network
    longest = network.config.text_config.max_position_embeddings
    padding = "max_length" if network.config.model_type == "siglip" else True
    tokens = checkpoint.processor.tokenizer(
        list(sentences), padding=padding, truncation=True, max_length=longest, return_tensors="pt"
    ).to(network.device)
    output = network.get_text_features(**tokens).pooler_output
    return torch.nn.functional.normalize(output.float(), dim=1)


def _part(pictures: Any) -> float:
    """Compute the share of the crop's side that the image processor keeps."""
    if not getattr(pictures, "do_center_crop", False):
        return 1.0
    return min(float(pictures.crop_size["height"]) / float(pictures.size["shortest_edge"]), 1.0)


def _require_family(folder: Path, where: str) -> None:
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in FAMILIES:
        raise CheckpointError(
            f"{where} is of type {kind!r}; the kind 'clip' loads {' and '.join(FAMILIES)}."
        )


def _require_base(adapter: Path, base: Path) -> None:
    config = read_json(adapter / "config.json")
    if config.get("base_fingerprint") != fingerprint(base):
        raise CheckpointError(
            f"The head in {adapter} was fitted on {config.get('base')}, whose weights differ from "
            f"those in {base}; name that base, or add ?base=any to use it all the same."
        )


def _network_class() -> Any:
    from transformers import AutoModel

    return AutoModel
