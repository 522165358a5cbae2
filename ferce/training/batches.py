"""From aligned faces to tensors: varied by a seed of their own, whatever worker makes them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.action_units import in_region
from ferce.backends.preprocessing import Preprocessing
from ferce.data.align import Aligned
from ferce.data.augment import NOTHING, Recipe, augment, only
from ferce.data.record import UnitLabel
from ferce.training.examples import UNIT_NUMBERS, target
from ferce.types import Face

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
    faces; `units` (N, A) presence 0..1 of `examples.UNIT_NUMBERS`, NaN where unknown; `indices`
    (N,) into the data set.
    """

    images: Any
    targets: Any
    units: Any
    indices: Any

    def to(self, device: Any) -> "Batch":
        """The same on another device, laid out as convolutions are fastest."""
        moved = Batch(*(tensor.to(device, non_blocking=True) for tensor in self))
        return moved._replace(images=moved.images.to(memory_format=torch.channels_last))


Base: Any = torch.utils.data.Dataset


class Faces(Base):  # type: ignore[misc]
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
        """One face as a batch of one."""
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
            torch.from_numpy(target(item.sample, self.labels))[None],
            torch.from_numpy(wanted)[None],
            torch.tensor([index]),
        )

    def _face(self, index: int) -> Face:
        """Crop and landmarks, kept in memory as far as there is room."""
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
    """(A,) 1 present, 0 absent, NaN where not coded or covered.

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
    """One batch of several."""
    return Batch(*(torch.cat(parts) for parts in zip(*items, strict=True)))


def loader(faces: Faces, passes: Sequence[Sequence[Key]], workers: int = 0) -> Any:
    """Iterates over the passes, each a list of keys, as batches."""
    return torch.utils.data.DataLoader(
        faces,
        batch_sampler=passes,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else each start would draw from the run's own generator
    )
