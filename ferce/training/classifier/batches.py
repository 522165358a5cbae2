"""From aligned faces to tensors: varied by a seed of their own, whatever worker makes them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferce.core.types import Face
from ferce.data.align import Aligned
from ferce.data.augment import NOTHING, Recipe, augment, only
from ferce.data.record import UnitLabel
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.facs.prototypes import in_region
from ferce.models.preprocessing import Preprocessing

# Of what happens to pictures: few pixels, no colour, poor light and compression, more often.
WILD = Recipe(blur=0.18, low_light=0.12, grey=0.22, low_resolution=0.3, jpeg=0.3)
RECIPES = {
    "full": Recipe(),
    "wild": WILD,
    "flip": Recipe(**{**vars(only("flip")), "flip": 0.5}),
    "none": NOTHING,
}
Key = tuple[int, int]  # epoch, index
HELD = 256 * 2**20  # bytes of crops kept decoded; what is beyond is read from the cache each time


class Batch(NamedTuple):
    """Faces as the network takes them.

    `images` (N, 3, H, W) float32; `targets` (N, K) shares of each output, zeros for unlabelled
    faces; `units` (N, A) presence 0..1 of `UNIT_NUMBERS`, NaN where unknown; `indices`
    (N,) into the data set.
    """

    images: Tensor
    targets: Tensor
    units: Tensor
    indices: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Move to a device, laid out as convolutions are fastest."""
        moved = Batch(*(tensor.to(device, non_blocking=True) for tensor in self))
        return moved._replace(images=moved.images.to(memory_format=torch.channels_last))


class Faces(torch.utils.data.Dataset):  # type: ignore[misc]
    """Aligned faces by (epoch, index), so that a variation depends on nothing else but the seed."""

    def __init__(
        self,
        items: Sequence[Aligned],
        labels: Sequence[str],
        preprocessing: Preprocessing,
        augment: str = "none",
        seed: int = 0,
    ) -> None:
        """`augment` is a key of `RECIPES`."""
        self.items, self.labels, self.preprocessing = items, tuple(labels), preprocessing
        self.recipe, self.seed = RECIPES[augment], seed
        self._held: dict[int, Face] = {}
        self._room = HELD

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: Key) -> Batch:
        """Load one face as a batch of one."""
        epoch, index = key
        item = self.items[index]
        face = self._face(index)
        units, hidden = item.sample.units, frozenset[str]()
        if self.recipe != NOTHING:
            marks = None if face.landmarks is None else face.landmarks_in_crop
            view = augment(face.crop, units, (self.seed, epoch, index), self.recipe, marks)
            face, units, hidden = Face(crop=view.pixels), view.units, view.hidden
        wanted = unit_targets(units, hidden, item.sample.coded)
        return Batch(
            self.preprocessing([face]),
            torch.from_numpy(item.sample.over(self.labels))[None].float(),
            torch.from_numpy(wanted)[None],
            torch.tensor([index]),
        )

    def _face(self, index: int) -> Face:
        """Read crop and landmarks, and keep them in memory as far as there is room."""
        if index in self._held:
            return self._held[index]
        face = self.items[index].face()
        face = Face(crop=face.crop, landmarks=face.landmarks, to_crop=face.to_crop)
        if self._room >= face.crop.nbytes:
            self._held[index] = face
            self._room -= face.crop.nbytes
        return face


def unit_targets(
    units: Sequence[UnitLabel] | None,
    hidden: frozenset[str] = frozenset(),
    coded: frozenset[int] | None = None,
) -> NDArray[np.float32]:
    """Code action units as (A,): 1 present, 0 absent, NaN where not coded or covered.

    Args:
        units: None when nobody coded them (RAF's `null`), which says nothing about the face.
        hidden: regions that the picture does not show.
        coded: units that were coded at all; None for all.
    """
    if units is None:
        return np.full(len(UNIT_NUMBERS), np.nan, np.float32)
    present = {u.unit for u in units if u.present}
    row = np.array([float(number in present) for number in UNIT_NUMBERS], np.float32)
    for place, number in enumerate(UNIT_NUMBERS):
        unasked = coded is not None and number not in coded
        if unasked or any(in_region(number, region) for region in hidden):
            row[place] = np.nan
    return row


def collate(items: Sequence[Batch]) -> Batch:
    """Join batches into one."""
    return Batch(*(torch.cat(parts) for parts in zip(*items, strict=True)))


def loader(
    faces: Faces, passes: Sequence[Sequence[Key]], workers: int = 0
) -> torch.utils.data.DataLoader:
    """Iterate over the passes, each a list of keys, as batches."""
    return torch.utils.data.DataLoader(
        faces,
        batch_sampler=passes,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else each start would draw from the run's own generator
    )


def mix(batch: Batch, seed: tuple[int, ...], mixup: float, cutmix: float) -> Batch:
    """Mix each face of a batch with another of the same batch.

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


def _pasted(
    images: Tensor, partner: Tensor, kept: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """Paste the partner's box on each picture; gives the share that was kept, too."""
    height, width = images.shape[2:]
    part = np.sqrt(1 - kept)
    h, w = round(height * part), round(width * part)
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    out = images.clone()
    box = (slice(None), slice(None), slice(top, top + h), slice(left, left + w))
    out[box] = images[partner][box]
    return out, 1 - h * w / (height * width)
