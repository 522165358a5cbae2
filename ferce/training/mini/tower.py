"""The first stage: a vision tower that sees action units, and copies a teacher's features."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ferce.evaluation import units
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.training import progress
from ferce.training.classifier.network import LITE, lite_weights
from ferce.training.mini import design
from ferce.training.mini.album import Album, plain, targets, varied
from ferce.training.mini.stage import Schedule, StageTask, fit
from ferce.training.progress import TrainingError

UNITS = len(UNIT_NUMBERS)
CHECKED = 1200  # faces that are looked at for the limits of each cue
SETTLING = 384  # faces that give the teacher's channels their spread, and the first patches
REAL = 0.25  # share of real faces
COPIED = 0.5  # share of a batch that is copied, as the teacher takes longer than the tower

STRIDES = (3, 4)  # timm's feature levels of stride 16 and 32


class Teacher(torch.nn.Module):  # type: ignore[misc]
    """EfficientNet-Lite0 up to its last features; it reads the same pixels in -1..1."""

    def __init__(self, weights: str = "") -> None:
        """`weights`: a timm folder, a training's safetensors, or "" for the ImageNet ones."""
        import timm

        super().__init__()
        whole = timm.create_model(LITE)
        stored = _weights(weights) if weights else lite_weights(whole)
        self.body = timm.create_model(LITE, features_only=True, out_indices=STRIDES)
        own = self.body.state_dict()
        missing = [name for name in own if name not in stored]
        if missing:
            raise TrainingError(f"{weights or LITE} has no {missing[0]}; it must be a {LITE}.")
        self.body.load_state_dict({name: stored[name] for name in own})
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("spread", torch.ones(1))
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def raw(self, images: Tensor) -> Tensor:
        """Compute (N, P, D) features at the places of the stride-16 map, in raster order."""
        with torch.no_grad():
            fine, coarse = self.body(images.to(memory_format=torch.channels_last))
            coarse = functional.interpolate(coarse, fine.shape[-2:], mode="bilinear")
            return torch.cat([fine, coarse], 1).flatten(2).transpose(1, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Standardise `raw` features (N, P, D) by the mean and spread over some faces."""
        return (self.raw(images) - self.mean) / self.spread

    def settle(self, images: Tensor) -> None:
        """Take mean and spread of each channel from these (N, 3, S, S) faces."""
        seen = self.raw(images).flatten(0, 1)
        self.mean, self.spread = seen.mean(0), seen.std(0) + 1e-3

    @property
    def width(self) -> int:
        """Channels of the features."""
        return int(sum(self.body.feature_info.channels()))


def _weights(where: str) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    path = Path(where)
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise TrainingError(f"There is no {path}; give a timm folder or a safetensors file.")
    return {name.removeprefix("network."): value for name, value in load_file(path).items()}


class TowerModel(torch.nn.Module):  # type: ignore[misc]
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

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (N, 3, S, S) to (N, 2, A) scores of both sides, and (N, P, WIDTH) tokens."""
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
    wanted: Tensor
    odds: NDArray[np.float64]

    def pixels(self, some: NDArray[np.int64]) -> Tensor:
        """Read (n, S, S, 3) uint8 faces with these places in `chosen`."""
        rows, first = [], len(self.albums[0])
        for number in self.chosen[some]:
            book, at = (0, number) if number < first else (1, number - first)
            rows.append(self.albums[book].pixels[at])
        return torch.from_numpy(np.stack(rows))

    def draw(self, count: int, seed: tuple[int, int]) -> NDArray[np.int64]:
        """Draw the places of `count` faces."""
        return np.random.default_rng(seed).choice(len(self.chosen), count, p=self.odds)


def faces(renders: Album, real: Album, share: float) -> Faces:
    """Collect the training faces of both albums; faces with rare units are drawn more often."""
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
    """Weigh (N,) faces, sum 1, by their rarest unit: square root of its rarity, at most 4."""
    there = np.nan_to_num(wanted).max(1) > 0.5  # (N, A)
    rare = np.sqrt(there.sum(0).max(initial=1) / np.maximum(there.sum(0), 1))
    odds = np.where(there, np.minimum(rare, 4.0), 1.0).max(1, initial=1.0)
    return np.asarray(odds / max(odds.sum(), 1e-9))


class TowerTask(StageTask[tuple[Tensor, Tensor]]):
    """Learns the units that are known, and the teacher's features where there is one."""

    def __init__(
        self,
        model: TowerModel,
        teacher: Teacher | None,
        pool: Faces,
        albums: Mapping[str, Album],
        schedule: Schedule,
    ) -> None:
        super().__init__("tower", model, schedule)
        self.model, self.teacher, self.pool, self.albums = model, teacher, pool, albums
        self.device = model.units.weight.device

    def batches(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Make images (N, 3, S, S), and wanted (N, 2, A) with NaN where unknown."""
        step, seed = first, self.schedule.seed
        while True:
            some = self.pool.draw(self.schedule.batch, (seed + 1, step))
            dice = torch.Generator(self.device).manual_seed(seed * 1_000_003 + step)
            pixels = self.pool.pixels(some).to(self.device)
            images, flags = varied(pixels, design.SIDE, dice)
            yield images, mirrored(self.pool.wanted[some].to(self.device), flags)
            step += 1

    def loss(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Compute cross-entropy of the known units, and the distance from the teacher."""
        images, wanted = batch
        scores, tokens = self.model(images)
        known = ~wanted.isnan()
        units = functional.binary_cross_entropy_with_logits(scores[known], wanted[known])
        if self.teacher is None or self.model.copies is None:
            return {"units": units}
        some = slice(0, int(len(images) * COPIED))
        copies, features = self.model.copies(tokens[some]), self.teacher(images[some])
        return {"units": units, "teacher": functional.smooth_l1_loss(copies, features)}

    def describe_validation(self) -> str:
        """Measure the read-out on faces held out."""
        measured = scores(self.model, self.albums, "val")
        return "; ".join(f"{name} {score}" for name, score in measured.items())


def train(
    albums: Mapping[str, Album],
    teacher: Teacher | None,
    schedule: Schedule,
    folder: Path,
    device: str = "cpu",
    report: progress.Report = progress.silent,
) -> TowerModel:
    """Train the tower, from the checkpoint in `folder` if there is one.

    Args:
        albums: "renders", "faces" (real, with units of a teacher) and "annotated".
        teacher: to copy.
        schedule: how long and how fast.
        folder: of checkpoints.
        device: of the training.
        report: takes a line every few minutes.
    """
    torch.manual_seed(schedule.seed)
    pool = faces(albums["renders"], albums["faces"], REAL)
    some = pool.pixels(pool.draw(SETTLING, (schedule.seed, 0))).to(device)
    some = plain(some, design.SIDE)
    if teacher is not None:
        teacher.to(device)
        teacher.settle(some)
    model = TowerModel(teacher.width if teacher else 0)
    model.to(device)
    design.whiten(model.tower, some)
    fit(TowerTask(model, teacher, pool, albums, schedule), folder, device, report)
    return model


def scores(model: TowerModel, albums: Mapping[str, Album], split: str) -> dict[str, units.CueScore]:
    """Measure the read-out on the renders and the annotated photos of a split.

    The limits of yes come from training renders.
    """
    renders = albums["renders"]
    known = np.random.default_rng(0).permutation(renders.where("train"))[:CHECKED]
    seen = units.cue_scores(read(model, renders, known))
    at = units.cue_limits(seen, units.cue_truths(renders.strengths(known)))
    made = {}
    for name in ("renders", "annotated"):
        numbers = albums[name].where(split)
        answers = units.cue_scores(read(model, albums[name], numbers))
        wanted = units.cue_truths(albums[name].strengths(numbers))
        made[name] = units.score_cues(answers, wanted, at)
    return made


def mirrored(wanted: Tensor, flags: Tensor) -> Tensor:
    """Swap left and right of `wanted` (N, 2, A) where the picture is mirrored."""
    return torch.where(flags[:, None, None], wanted.flip(1), wanted)


@torch.no_grad()  # type: ignore[untyped-decorator]
def read(model: TowerModel, album: Album, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compute (n, A) the stronger side's score of each unit for the faces with these numbers."""
    model.eval()
    device = model.units.weight.device
    rows = []
    for start in range(0, len(numbers), 128):
        pixels = torch.from_numpy(album.crops(numbers[start : start + 128])).to(device)
        rows.append(model(plain(pixels, design.SIDE))[0].amax(1).float().cpu().numpy())
    model.train()
    return np.concatenate(rows)
