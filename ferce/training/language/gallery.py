"""Faces in k fixed variations each, and what each of them shows of the coded action units."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeVar

import torch

from ferce.core.types import REGIONS, Pixels
from ferce.data.align import Aligned
from ferce.data.augment import NOTHING, augment
from ferce.data.record import UnitLabel, hidden_in
from ferce.training.classifier.batches import RECIPES

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, eq=False)
class _Work(torch.utils.data.Dataset):  # type: ignore[misc]
    """A function, as a DataLoader calls it with the keys of its sampler."""

    make: Callable[[Any], Any]

    def __getitem__(self, key: Any) -> Any:
        return self.make(key)


def loaded(make: Callable[[K], V], keys: Sequence[K], workers: int) -> Iterator[V]:
    """Make a value of each key in so many processes, 0 for this one; in order."""
    loader = torch.utils.data.DataLoader(
        _Work(make),
        sampler=keys,
        batch_size=None,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else each start would draw from the run's own generator
    )
    return iter(loader)


@dataclass(frozen=True)
class Shown:
    """How a variation differs from the face: mirrored or not, and the regions it covers."""

    flipped: bool = False
    hidden: frozenset[str] = frozenset()

    def row(self) -> list[int]:
        """Encode as (1 + regions,) 0 or 1, as a cache keeps it."""
        return [int(self.flipped), *(int(region in self.hidden) for region in REGIONS)]

    @classmethod
    def of(cls, row: Sequence[int]) -> "Shown":
        """Decode a `row`."""
        hidden = (region for region, on in zip(REGIONS, row[1:], strict=True) if on)
        return cls(bool(row[0]), frozenset(hidden))


@dataclass(frozen=True, eq=False)
class Gallery:
    """N faces in k variations; number `i * k + v` is variation `v` of face `i`.

    Variation 0 is the face as it is; the others follow from the seed, the face's place and `v`.
    """

    items: Sequence[Aligned]
    views: int = 1
    augment: str = "none"
    seed: int = 0

    def __len__(self) -> int:
        return len(self.items) * self.views

    def number(self, index: int, epoch: int) -> int:
        """Number the variation of a face in an epoch; epochs take them in turn."""
        return index * self.views + epoch % self.views

    def show(self, number: int) -> Shown:
        """Tell what a variation shows; the face as it is need not be read for it."""
        plain = self._plain(number % self.views)
        return Shown() if plain else self.picture(number)[1]

    def picture(self, number: int) -> tuple[Pixels, Shown]:
        """Draw a variation: (S, S, 3) uint8 RGB, and what it shows."""
        index, view = divmod(number, self.views)
        face = self.items[index].face()
        if self._plain(view):
            return face.crop, Shown()
        marks = None if face.landmarks is None else face.landmarks_in_crop
        made = augment(face.crop, None, (self.seed, index, view), RECIPES[self.augment], marks)
        return made.pixels, Shown("flip" in made.steps, made.hidden)

    def key(self, number: int) -> str:
        """Name a picture by text that changes with anything that changes it.

        The aligned face's file is named by the content of its photograph, its folder by how it was
        aligned.
        """
        index, view = divmod(number, self.views)
        path = self.items[index].path
        content = f"{path.parent.parent.name}/{path.stem}"
        if self._plain(view):
            return content
        return f"{content}/{self.seed}/{index}/{view}/{astuple(RECIPES[self.augment])}"

    def units(
        self, number: int, shown: Shown
    ) -> tuple[tuple[UnitLabel, ...] | None, frozenset[str]]:
        """List the action units as this variation shows them, and its covered regions.

        Units are None where they were not coded, or where something covers an unknown part.
        """
        sample = self.items[number // self.views].sample
        covered = hidden_in(sample)
        if covered is None or sample.units is None:
            return None, frozenset()
        units = tuple(u.mirrored() if shown.flipped else u for u in sample.units)
        return units, covered | shown.hidden

    def _plain(self, view: int) -> bool:
        return view == 0 or RECIPES[self.augment] == NOTHING


class ShownLater(Sequence[Shown]):
    """What each picture of a gallery shows, drawn when it is first asked for."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self._known: dict[int, Shown] = {}

    def __len__(self) -> int:
        return len(self.gallery)

    def __getitem__(self, number: Any) -> Any:
        if number not in self._known:
            self._known[number] = self.gallery.show(number)
        return self._known[number]

    def draw(self, numbers: Iterable[int], workers: int) -> None:
        """Draw the pictures with these numbers in so many processes."""
        new = [number for number in numbers if number not in self._known]
        made = loaded(self.gallery.show, new, workers)
        self._known |= dict(zip(new, made, strict=True))
