"""What the frozen vision tower and Q-Former give, computed once a picture and kept on disk.

A shard of some hundred pictures is one safetensors file, named by the content of its pictures and
every setting that matters, and read through a memory map. A run that was killed keeps the shards it
made, and a changed picture costs its own shard only.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ferce.core.types import Pixels
from ferce.data.align import Aligned
from ferce.models.vlm.blip2 import Blip2
from ferce.training import progress
from ferce.training.checkpoint import write_atomic
from ferce.training.language.gallery import Gallery, Shown
from ferce.training.language.plan import LanguagePlan
from ferce.training.settings import Json

if TYPE_CHECKING:
    from accelerate import Accelerator

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
    backend: Blip2,
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


def list_shown(gallery: Gallery) -> list[Shown]:
    """List what every picture shows, for runs that encode at each step."""
    return [gallery.picture(number)[1] for number in range(len(gallery))]


def default_root() -> Path:
    """Give the folder of shards when none is named."""
    return Path.home() / ".cache" / "ferce" / "features"


def pixel_values(backend: Blip2, pictures: Iterable[Pixels]) -> Tensor:
    """Preprocess pictures to (N, 3, H, W) float32 on the CPU."""
    made = backend.processor.image_processor(images=list(pictures), return_tensors="pt")
    return made["pixel_values"]


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


def _write(path: Path, gallery: Gallery, numbers: range, backend: Blip2, settings: Json) -> None:
    from safetensors.torch import save_file

    dtype = getattr(torch, settings["dtype"])
    made, shown = [], []
    for start in range(numbers.start, numbers.stop, backend.settings.batch):
        stop = min(numbers.stop, start + backend.settings.batch)
        pictures = [gallery.picture(number) for number in range(start, stop)]
        pixels = pixel_values(backend, [crop for crop, _ in pictures])
        with torch.no_grad():
            made.append(encode(backend, pixels, settings["projected"]).to(dtype).cpu())
        shown += [what.row() for _, what in pictures]
    tensors = {"features": torch.cat(made), "shown": torch.tensor(shown, dtype=torch.uint8)}
    write_atomic(path, lambda part: save_file(tensors, os.fspath(part)))


@dataclass(frozen=True, eq=False)
class FeatureSource:
    """A gallery as a `LossModel` reads it; `features` is None where pictures are encoded anew."""

    gallery: Gallery
    shown: Sequence[Shown]
    backend: Blip2
    features: Features | None = None

    def __call__(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Give `features` (N, Q, D) or `pixel_values` (N, 3, H, W) of pictures, on the device."""
        device = self.backend.device
        if self.features is not None:
            return {"features": self.features.rows(numbers).to(device, non_blocking=True)}
        pictures = [self.gallery.picture(number)[0] for number in numbers]
        return {"pixel_values": pixel_values(self.backend, pictures).to(device)}


@dataclass(frozen=True, eq=False)
class FeatureSources:
    """Opens sights for one network; `settings` are None where nothing is remembered."""

    plan: LanguagePlan
    backend: Blip2
    accelerator: "Accelerator"
    settings: Json | None
    report: progress.Report

    def open(self, items: Sequence[Aligned], varied: bool) -> FeatureSource:
        """Open the features of some faces, in the plan's variations or as they are."""
        plan = self.plan
        gallery = Gallery(items)
        if varied:
            gallery = Gallery(items, plan.views, plan.augment, plan.seed)
        if self.settings is None:
            return FeatureSource(gallery, list_shown(gallery), self.backend)
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


def settings(backend: Blip2, plan: LanguagePlan, fingerprint: str, projected: bool) -> Json:
    """List what kept features depend on besides the pictures.

    Args:
        backend: the network as it was loaded.
        plan: gives precision.
        fingerprint: of the base's weights.
        projected: whether the language projection is frozen, and so remembered too.
    """
    exact = "bfloat16" if str(backend._dtype) == "torch.bfloat16" else "float32"
    return {
        "base": fingerprint,
        "load": plan.load_in,
        "device": backend.device.type,
        "dtype": {"auto": exact, "fp32": "float32", "bf16": "bfloat16"}[plan.features],
        "projected": projected,
        "processor": backend.processor.image_processor.to_json_string(),
    }
