"""What a batch gets of its pictures: remembered features, or pixels to be encoded at each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferce.data.align import Aligned
from ferce.training import features, progress
from ferce.training.features import Features
from ferce.training.gallery import Gallery, Shown
from ferce.training.language_plan import LanguagePlan


@dataclass(frozen=True, eq=False)
class Sight:
    """A gallery as a `Speaker` sees it; `features` is None where pictures are encoded each time."""

    gallery: Gallery
    shown: Sequence[Shown]
    backend: Any
    features: Features | None = None

    def __call__(self, numbers: Sequence[int]) -> dict[str, Any]:
        """`features` (N, Q, D) or `pixel_values` (N, 3, H, W) of these pictures, on the device."""
        device = self.backend.device
        if self.features is not None:
            return {"features": self.features.rows(numbers).to(device, non_blocking=True)}
        pictures = [self.gallery.picture(number)[0] for number in numbers]
        return {"pixel_values": features.pixel_values(self.backend, pictures).to(device)}


@dataclass(frozen=True, eq=False)
class Optics:
    """Opens sights for one network; `settings` are None where nothing is remembered."""

    plan: LanguagePlan
    backend: Any
    accelerator: Any
    settings: dict[str, Any] | None
    report: progress.Report

    def open(self, items: Sequence[Aligned], varied: bool) -> Sight:
        """The sight of some faces, in the plan's variations or as they are."""
        plan = self.plan
        gallery = Gallery(items)
        if varied:
            gallery = Gallery(items, plan.views, plan.augment, plan.seed)
        if self.settings is None:
            return Sight(gallery, features.look(gallery), self.backend)
        root = Path(plan.feature_cache).expanduser() if plan.feature_cache else None
        made = features.remember(
            gallery,
            self.backend,
            self.settings,
            root or features.default_root(),
            self.accelerator,
            self.report,
        )
        return Sight(gallery, made.shown, self.backend, made)


def settings(backend: Any, plan: LanguagePlan, fingerprint: str, projected: bool) -> dict[str, Any]:
    """What remembered features depend on besides the pictures.

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
