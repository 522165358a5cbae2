"""The first thing taught: a vision tower that sees action units, and a teacher's features."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ferce.facs.action_units import UNIT_NUMBERS
from ferce.training.mini import design, jitter
from ferce.training.mini.album import Album, strengths, targets
from ferce.training.mini.teacher import Teacher

UNITS = len(UNIT_NUMBERS)
Module: Any = torch.nn.Module


class Sight(Module):  # type: ignore[misc]
    """Tower, a place-wise read-out of each unit on each side, and a map to the teacher."""

    def __init__(self, taught: int) -> None:
        """`taught` is the width of the teacher's features, 0 for none."""
        super().__init__()
        self.tower = design.fresh_tower()
        places = design.PLACES**2
        self.units = torch.nn.Linear(places * design.WIDTH, 2 * UNITS)
        self.copies = torch.nn.Linear(design.WIDTH, taught) if taught else None
        with torch.no_grad():
            self.units.weight.mul_(0.1)
            self.units.bias.fill_(-2.0)  # most units are absent from most faces

    def forward(self, images: Any) -> tuple[Any, Any]:
        """(N, 3, S, S) to (N, 2, A) scores of left and right, and (N, P, WIDTH) tokens."""
        tokens = self.tower(pixel_values=images).last_hidden_state[:, 1:]
        return self.units(tokens.flatten(1)).view(-1, 2, UNITS), tokens


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces to learn from: renders and, as `share` of each batch, real ones.

    `pixels` are those of both, one album behind the other; `wanted` (N, 2, A), `odds` (N,) how
    often each is drawn.
    """

    albums: tuple[Album, ...]
    chosen: NDArray[np.int64]
    wanted: Any
    odds: NDArray[np.float64]

    def pixels(self, some: NDArray[np.int64]) -> Any:
        """(n, S, S, 3) uint8 of the faces with these places in `chosen`."""
        rows, first = [], len(self.albums[0])
        for number in self.chosen[some]:
            book, at = (0, number) if number < first else (1, number - first)
            rows.append(self.albums[book].pixels[at])
        return torch.from_numpy(np.stack(rows))

    def draw(self, count: int, seed: tuple[int, int]) -> NDArray[np.int64]:
        """Places of `count` faces."""
        return np.random.default_rng(seed).choice(len(self.chosen), count, p=self.odds)


def faces(renders: Album, real: Album, share: float) -> Faces:
    """The training faces of both albums; rare units are drawn more often than they occur."""
    first, second = renders.where("train"), real.where("train")
    wanted = [targets(renders.samples[i]) for i in first] + [
        targets(real.samples[i]) for i in second
    ]
    stacked = np.stack(wanted)
    odds = np.concatenate(
        [
            (1 - share) * _odds(stacked[: len(first)]),
            share * _odds(stacked[len(first) :]),
        ]
    )
    chosen = np.concatenate([first, second + len(renders)])
    return Faces((renders, real), chosen, torch.from_numpy(stacked), odds / odds.sum())


def _odds(wanted: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) sum 1: by the rarest unit of each face, the square root of how rare it is, at most 4."""
    there = np.nan_to_num(wanted).max(1) > 0.5  # (N, A)
    rare = np.sqrt(there.sum(0).max(initial=1) / np.maximum(there.sum(0), 1))
    odds = np.where(there, np.minimum(rare, 4.0), 1.0).max(1, initial=1.0)
    return np.asarray(odds / max(odds.sum(), 1e-9))


def loss(
    net: Sight, teacher: Teacher | None, batch: tuple[Any, Any], copied: float, weight: float
) -> tuple[Any, Any]:
    """Cross-entropy of the units that are known, and the distance from the teacher.

    Args:
        net: what learns.
        teacher: None for no copying.
        batch: images (N, 3, S, S) and wanted (N, 2, A), nan where unknown.
        copied: share of the batch that is copied, as the teacher takes longer than the tower.
        weight: of the copying.
    """
    images, wanted = batch
    scores, tokens = net(images)
    known = ~wanted.isnan()
    told = functional.binary_cross_entropy_with_logits(scores[known], wanted[known])
    if teacher is None or net.copies is None:
        return told, told.new_zeros(())
    some = slice(0, int(len(images) * copied))
    apart = functional.smooth_l1_loss(net.copies(tokens[some]), teacher(images[some]))
    return told, weight * apart


def mirrored(wanted: Any, flags: Any) -> Any:
    """`wanted` (N, 2, A) with left and right changed where the picture is mirrored."""
    return torch.where(flags[:, None, None], wanted.flip(1), wanted)


@torch.no_grad()  # type: ignore[untyped-decorator]
def read(net: Sight, album: Album, numbers: NDArray[np.int64], device: Any) -> NDArray[np.float32]:
    """(n, A) the stronger side's score of each unit for the faces with these numbers."""
    net.eval()
    rows = []
    for some in _slices(numbers, 128):
        pixels = torch.from_numpy(np.stack([album.pixels[i] for i in some])).to(device)
        rows.append(net(jitter.plain(pixels, design.SIDE))[0].amax(1).float().cpu().numpy())
    net.train()
    return np.concatenate(rows)


def told(album: Album, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, A) strengths of the faces with these numbers."""
    return strengths([album.samples[i] for i in numbers])


def _slices(numbers: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
