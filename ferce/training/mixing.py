"""Mixup and cutmix: two faces in one picture, with both labels in their shares."""

from typing import Any

import numpy as np
import torch

from ferce.training.batches import Batch


def mix(batch: Batch, seed: tuple[int, ...], mixup: float, cutmix: float) -> Batch:
    """The batch with each face mixed with another of the same batch.

    Mixup (Zhang et al. 2018, arXiv:1710.09412) blends whole pictures; cutmix (Yun et al. 2019,
    arXiv:1905.04899) pastes a box. With both on, each batch takes one of them by chance. Action
    units that are unknown in either face are unknown in the mix.

    Args:
        batch: never changed in place.
        seed: decides the partners, the kind and the share.
        mixup: alpha of the Beta distribution of the share; 0 is off.
        cutmix: likewise.
    """
    if not (mixup or cutmix) or len(batch.images) < 2:
        return batch
    rng = np.random.default_rng(seed)
    paste = bool(cutmix) and (not mixup or rng.random() < 0.5)
    partner = torch.from_numpy(rng.permutation(len(batch.images)))
    kept = float(rng.beta(cutmix, cutmix) if paste else rng.beta(mixup, mixup))
    if paste:
        images, kept = _pasted(batch.images, partner, kept, rng)
    else:
        images = kept * batch.images + (1 - kept) * batch.images[partner]
    targets = kept * batch.targets + (1 - kept) * batch.targets[partner]
    units = kept * batch.units + (1 - kept) * batch.units[partner]
    return batch._replace(images=images, targets=targets, units=units)


def _pasted(images: Any, partner: Any, kept: float, rng: np.random.Generator) -> tuple[Any, float]:
    """The partner's box on each picture, and the share of the picture that was kept."""
    height, width = images.shape[2:]
    part = np.sqrt(1 - kept)
    h, w = round(height * part), round(width * part)
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    out = images.clone()
    box = (slice(None), slice(None), slice(top, top + h), slice(left, left + w))
    out[box] = images[partner][box]
    return out, 1 - h * w / (height * width)
