"""What the frozen vision tower and Q-Former give, computed once a picture and kept on disk.

A shard of some hundred pictures is one safetensors file, named by the content of its pictures and
every setting that matters, and read through a memory map. A run that was killed keeps the shards it
made, and a changed picture costs its own shard only.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ferce.data.align import Aligned
from ferce.models.vlm.blip2 import Blip2
from ferce.training import progress
from ferce.training.checkpoint import write_atomic
from ferce.training.language.conversation import Gallery, Shown, ShownLater, loaded
from ferce.training.language.loss_model import FeatureBlip2
from ferce.training.language.plan import LanguagePlan
from ferce.training.options import Json

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ferce.training.language.learner import Learner

FORMAT = 1
SHARD = 256  # pictures


class Features:
    """Rows of a gallery's features, memory-mapped."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """`paths` are shards of `SHARD` pictures, in order; the last may hold fewer."""
        from safetensors import safe_open

        self._files: list[Any] = [safe_open(path, framework="pt") for path in paths]
        self._slices = [file.get_slice("features") for file in self._files]
        self.shown = [
            Shown.of(row) for file in self._files for row in file.get_tensor("shown").tolist()
        ]

    def rows(self, numbers: Sequence[int]) -> Tensor:
        """Read (N, Q, D) features of the pictures with these numbers, on the CPU."""
        return torch.cat([self._slices[n // SHARD][n % SHARD : n % SHARD + 1] for n in numbers])


def remember(
    gallery: Gallery,
    backend: FeatureBlip2,
    settings: Json,
    root: Path,
    accelerator: "Accelerator",
    report: progress.Report = progress.silent,
) -> Features:
    """Compute the gallery's features, or open them from disk; every process must call it.

    Args:
        gallery: the pictures.
        backend: its vision tower, Q-Former and projection are in place.
        settings: what the features depend on besides the pictures, as JSON; "projected" says
            whether the language projection is done as well, "dtype" how they are kept.
        root: folder of shards.
        accelerator: the processes share the work.
        report: is given a line on how many shards are made.
    """
    paths = [root / f"{name}.safetensors" for name in _names(gallery, settings)]
    missing = [(place, path) for place, path in enumerate(paths) if not path.is_file()]
    # By place, not by turn: another process may write while this one still looks what is missing.
    turn, processes = accelerator.process_index, accelerator.num_processes
    mine = [(place, path) for place, path in missing if place % processes == turn]
    if missing:
        report(f"encoding {len(gallery)} pictures once: {len(missing)} of {len(paths)} shards")
    shown = accelerator.is_main_process and report is not progress.silent
    with progress.bar(shown and bool(mine), "pictures", total=len(mine) * SHARD) as bar:
        for place, path in mine:
            numbers = range(place * SHARD, min(len(gallery), (place + 1) * SHARD))
            _write(path, gallery, numbers, backend, settings)
            bar.update(SHARD)
    accelerator.wait_for_everyone()
    return Features(paths)


def default_root() -> Path:
    """Give the folder of shards when none is named."""
    return Path.home() / ".cache" / "ferce" / "features"


def encode(backend: Blip2, pixels: Tensor, projected: bool) -> Tensor:
    """Encode images as (N, Q, D) Q-Former outputs, in the language model's space if `projected`."""
    network = backend.network
    read = backend._query(pixels.to(backend.device)).last_hidden_state
    return network.language_projection(read.to(backend._dtype)) if projected else read


def _names(gallery: Gallery, settings: Json) -> list[str]:
    """Name shards by 32 hex digits that change with their pictures and the settings."""
    common = json.dumps({**settings, "format": FORMAT}, sort_keys=True)
    names = []
    for start in range(0, len(gallery), SHARD):
        digest = hashlib.sha256(common.encode())
        for number in range(start, min(len(gallery), start + SHARD)):
            digest.update(f"\n{gallery.key(number)}".encode())
        names.append(digest.hexdigest()[:32])
    return names


def _write(
    path: Path, gallery: Gallery, numbers: range, backend: FeatureBlip2, settings: Json
) -> None:
    from safetensors.torch import save_file

    dtype = getattr(torch, settings["dtype"])
    made, shown = [], []
    for start in range(numbers.start, numbers.stop, backend.settings.batch):
        stop = min(numbers.stop, start + backend.settings.batch)
        pictures = [gallery.picture(number) for number in range(start, stop)]
        pixels = backend.pictures([crop for crop, _ in pictures])["pixel_values"]
        with torch.no_grad():
            made.append(encode(backend, pixels, settings["projected"]).to(dtype).cpu())
        shown += [what.row() for _, what in pictures]
    tensors = {"features": torch.cat(made), "shown": torch.tensor(shown, dtype=torch.uint8)}
    write_atomic(path, lambda part: save_file(tensors, os.fspath(part)))


@dataclass(frozen=True, eq=False)
class FeatureSource:
    """A gallery as a loss reads it; `features` is None where pictures are encoded anew."""

    gallery: Gallery
    shown: Sequence[Shown]
    backend: "Learner"
    features: Features | None = None

    def __call__(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Give what the loss takes of pictures, on the device.

        That is `features` (N, Q, D), `pixel_values` (N, 3, H, W), or what a chat model takes.
        """
        return self.moved(self._read(numbers))

    def draw(self, numbers: Sequence[int], workers: int) -> None:
        """Learn what pictures show, in so many processes, where that is not known."""
        if isinstance(self.shown, ShownLater):
            self.shown.draw(numbers, workers)

    def load(self, passes: Sequence[Sequence[int]], workers: int) -> Iterator[dict[str, Tensor]]:
        """Give the same of each pass in order, on the CPU; so many processes make them ahead."""
        return loaded(self._read, passes, 0 if self.features else workers)

    def moved(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Move what `load` gives to the device."""
        device = self.backend.device
        return {name: value.to(device, non_blocking=True) for name, value in tensors.items()}

    def _read(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        if self.features is not None:
            return {"features": self.features.rows(numbers)}
        return self.backend.pictures([self.gallery.picture(number)[0] for number in numbers])


@dataclass(frozen=True, eq=False)
class FeatureSources:
    """Opens sights for one network; `settings` are None where nothing is remembered."""

    plan: LanguagePlan
    backend: "Learner"
    accelerator: "Accelerator"
    settings: Json | None
    report: progress.Report

    def open(self, items: Sequence[Aligned], epochs: int = 0) -> FeatureSource:
        """Open the features of some faces, as they are or in variations.

        Args:
            items: the faces.
            epochs: of a training that varies them: by the plan's views where they are remembered,
                else anew in each epoch; 0 leaves them as they are.
        """
        plan = self.plan
        gallery = Gallery(items)
        if epochs:
            views = epochs if self.settings is None else plan.views
            gallery = Gallery(items, views, plan.augment, plan.seed)
        if self.settings is None:
            return FeatureSource(gallery, ShownLater(gallery), self.backend)
        assert isinstance(self.backend, FeatureBlip2)
        root = Path(plan.feature_cache).expanduser() if plan.feature_cache else None
        made = remember(
            gallery,
            self.backend,
            self.settings,
            root or default_root(),
            self.accelerator,
            self.report,
        )
        return FeatureSource(gallery, made.shown, self.backend, made)


def settings(backend: FeatureBlip2, plan: LanguagePlan, fingerprint: str) -> Json:
    """List what kept features depend on besides the pictures.

    Args:
        backend: the network as it was loaded; a frozen language projection is remembered too.
        plan: gives precision.
        fingerprint: of the base's weights.
    """
    exact = "bfloat16" if str(backend._dtype) == "torch.bfloat16" else "float32"
    return {
        "base": fingerprint,
        "load": plan.load_in,
        "device": backend.device.type,
        "dtype": {"auto": exact, "fp32": "float32", "bf16": "bfloat16"}[plan.features],
        "projected": backend.loss_model.frozen_projection,
        "processor": backend.processor.image_processor.to_json_string(),
    }
