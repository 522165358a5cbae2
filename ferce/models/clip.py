"""CLIP and SigLIP as classifiers: by sentences, or by a head fitted on their frozen features."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS, NOUNS, components
from ferce.core.protocols import View
from ferce.core.types import Face, Scores
from ferce.explanation.heatmaps import layers
from ferce.facs.prototypes import PROTOTYPES, UNITS
from ferce.models.calibration import Calibration, load_calibration, save_calibration
from ferce.models.clip_heads import Cache, Linear, ZeroShot, load_head, save_head
from ferce.models.columns import Columns
from ferce.models.hub import CheckpointError, fingerprint, read_json, resolve
from ferce.models.spec import Spec
from ferce.models.vlm.loading import Checkpoint, Settings, load_checkpoint

# {label} "happily surprised", {first} "happiness", {second} "surprise".
PLAIN: tuple[str, ...] = (
    "a photo of a person who looks {label}.",
    "a close-up photo of a {label} face.",
    "a portrait with a {label} facial expression.",
    "a facial expression that mixes {first} and {second}.",
    "a face that shows {first} and {second} at the same time.",
)
# {core}: what most people who show the label do; {usual}: what at least half of them do besides.
UNIT_WORDED: tuple[str, ...] = (
    "a photo of a face: {core}.",
    "a photo of a face: {usual}.",
    "a close-up of a {label} face in which {core}.",
)
USUAL = 0.5  # share of people from which a variant of the prototype belongs to {usual}
STYLES: tuple[str, ...] = ("plain", "units", "both")


def sentences(label: str, style: str = "both") -> tuple[str, ...]:
    """The sentences of a compound, each once.

    Args:
        label: a compound.
        style: "plain" names the emotions, "units" tells what the face does, "both" is all of them.
    """
    if style not in STYLES:
        raise ValueError(f"prompts must be one of {STYLES}; got {style!r}")
    templates = {"plain": PLAIN, "units": UNIT_WORDED, "both": PLAIN + UNIT_WORDED}[style]
    first, second = (NOUNS[basic] for basic in components(label))
    prototype = PROTOTYPES[label]
    usual = [*prototype.core, *(n for n, share in prototype.variants.items() if share >= USUAL)]
    words = {"label": label, "first": first, "second": second}
    words |= {"core": _clauses(prototype.core), "usual": _clauses(sorted(usual))}
    return tuple(dict.fromkeys(template.format(**words) for template in templates))


def table(style: str = "both") -> Mapping[str, tuple[str, ...]]:
    """Label -> sentences, for every compound."""
    return MappingProxyType({label: sentences(label, style) for label in COMPOUNDS})


def _clauses(units: tuple[int, ...] | list[int]) -> str:
    """As in: the inner brows are raised, the lips are parted and the jaw is dropped."""
    *most, last = (UNITS[number].clause() for number in units)
    return f"{', '.join(most)} and {last}" if most else last


FAMILIES = ("clip", "siglip")  # model_type in config.json; SigLIP 2 of a fixed size is "siglip"
PROMPTS = "prompts"  # the option of a spec that chooses the sentences


class Scorer(torch.nn.Module):  # type: ignore[misc]
    """(N, 3, H, W) pixels to (N, K) scores: the vision tower and a head on its features."""

    def __init__(self, network: Any, head: Any) -> None:
        super().__init__()
        self.network, self.head = network, head

    def features(self, pixels: Any) -> Any:
        """(N, D) fp32, rows of length 1."""
        found = self.network.get_image_features(pixel_values=pixels.to(self.network.dtype))
        return torch.nn.functional.normalize(found.pooler_output.float(), dim=1)

    def forward(self, pixels: Any) -> Any:
        """(N, K)."""
        return self.head(self.features(pixels))


class Clip:
    """A `Classifier` and `Explainable`; `features` is what heads are fitted on."""

    def __init__(
        self,
        name: str,
        checkpoint: Checkpoint,
        head: Any,
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
        """One row a face."""
        logits = self._run(faces, self.module, len(self.columns.names))
        return self.columns.scores(logits, self.calibration)

    def features(self, faces: Sequence[Face]) -> NDArray[np.float32]:
        """(N, D) of the frozen tower, rows of length 1."""
        return self._run(faces, self.module.features, self.module.head.width).astype(np.float32)

    def view(self) -> View:
        """The vision tower as heat maps need it."""
        layer = layers.of_tower(self.module.network.vision_model)
        index = self.columns.index
        part = _part(self.pictures)
        return View(self.module, layer.module, layer.name, self._inputs, index, layer.reshape, part)

    def _run(self, faces: Sequence[Face], apply: Any, width: int) -> NDArray[np.float64]:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(faces), self.batch):
                pixels = self._inputs(faces[start : start + self.batch])
                rows.append(apply(pixels).double().cpu().numpy())
        return np.concatenate(rows) if rows else np.zeros((0, width))

    def _inputs(self, faces: Sequence[Face]) -> Any:
        crops = [face.crop for face in faces]
        made = self.pictures(crops, return_tensors="pt", input_data_format="channels_last")
        return made["pixel_values"].to(self.device)


def load(spec: Spec, device: str) -> Clip:
    """The model of `clip:owner/name`, or of `clip:owner/name+HEAD` with a fitted head.

    Options are those of `Settings` and `prompts` (a key of `STYLES`).

    Raises:
        CheckpointError: not to be had, no CLIP or SigLIP, or a head of another model.
    """
    if not spec.where:
        raise ValueError("Expected clip:owner/name or clip:FOLDER; got 'clip' alone.")
    options = {key: value for key, value in spec.options.items() if key != PROMPTS}
    settings = Settings.parse(options)
    if settings.calibrate != "none":
        raise ValueError("The kind 'clip' has no prompt prior, so no option 'calibrate'.")
    adapter = resolve(spec.adapter, spec.revision) if spec.adapter else None
    base = resolve(spec.where, None if adapter else spec.revision)
    _require_family(base, spec.where)
    plain = Spec("clip", str(base), options=options)
    checkpoint = replace(load_checkpoint(_network_class(), plain, device), folder=base)
    text = embed(checkpoint, spec.options.get(PROMPTS, "both"))
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
    """The sentences of each label as one text vector, and the model's own scale and bias.

    A label's vector is the mean of its sentences' vectors, each of length 1 (prompt ensemble,
    Radford et al. 2021, arXiv:2103.00020, section 3.1.4).
    """
    network, by_label = checkpoint.network, table(style)
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


def _text_features(checkpoint: Checkpoint, sentences: Sequence[str]) -> Any:
    """(N, D) rows of length 1; SigLIP saw every text padded to its full length."""
    network = checkpoint.network
    longest = network.config.text_config.max_position_embeddings
    padding = "max_length" if network.config.model_type == "siglip" else True
    tokens = checkpoint.processor.tokenizer(
        list(sentences), padding=padding, truncation=True, max_length=longest, return_tensors="pt"
    ).to(network.device)
    found = network.get_text_features(**tokens).pooler_output
    return torch.nn.functional.normalize(found.float(), dim=1)


def _part(pictures: Any) -> float:
    """Share of the crop's side that the image processor keeps about the centre."""
    if not getattr(pictures, "do_center_crop", False):
        return 1.0
    return min(float(pictures.crop_size["height"]) / float(pictures.size["shortest_edge"]), 1.0)


def _require_family(folder: Path, where: str) -> None:
    found = read_json(folder / "config.json").get("model_type")
    if found not in FAMILIES:
        raise CheckpointError(
            f"{where} is of type {found!r}; the kind 'clip' loads {' and '.join(FAMILIES)}."
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
