"""Small networks whose evidence lies at a known place, opened as views."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import timm
import torch
from torch import nn

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import View
from ferce.core.types import Face, Scores
from ferce.explanation.heatmaps import layers

SIDE = 64


def as_tensor(faces: Sequence[Face]) -> torch.Tensor:
    crops = np.stack([f.crop for f in faces])
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    return (pixels - 0.35) / 0.15


def spot(colour: int, row: int, column: int, side: int = SIDE, seed: int = 0) -> Face:
    """Grey noise with a red (0), green (1), blue (2) or no (3) spot of 16 pixels at row, column."""
    rng = np.random.default_rng(seed)
    crop = np.repeat(rng.integers(60, 120, (side, side, 1)), 3, 2).astype(np.uint8)
    if colour < 3:
        crop[row : row + 16, column : column + 16, colour] = 255
    return Face(crop=crop)


class Spots(nn.Module):
    """Class 0 for red, class 1 for green, both at once possible; and nothing else counts."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU())
        self.head = nn.Linear(4, len(COMPOUNDS))
        self.scale = scale
        with torch.no_grad():
            for p in self.parameters():
                p.zero_()
            for channel in range(3):
                self.layer[0].weight[channel] = -0.5 / 64
                self.layer[0].weight[channel, channel] = 1 / 64
            self.head.weight[0, 0] = self.head.weight[1, 1] = 6.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.head(self.layer(x).mean((2, 3)))


class Network:
    """A torch module as an Explainable classifier."""

    name = "test:network"

    def __init__(self, module: nn.Module, layer: layers.Layer) -> None:
        self.module, self.layer = module.eval(), layer

    def scores(self, faces: Sequence[Face]) -> Scores:
        with torch.no_grad():
            p = self.module(as_tensor(faces)).double().softmax(1)
        return Scores(p.numpy())

    def view(self) -> View:
        layer = self.layer
        return View(
            self.module, layer.module, layer.name, as_tensor, COMPOUNDS.index, layer.reshape
        )


def spots(scale: float = 1.0) -> Network:
    module = Spots(scale)
    return Network(module, layers.Layer("layer", module.layer))


def _fit(module: nn.Module, steps: int) -> nn.Module:
    """Teach red, green, blue and no spots, at random places, as the classes 0, 1, 2 and 3."""
    rng = np.random.default_rng(1)
    optimiser = torch.optim.AdamW(module.parameters(), 3e-3)
    module.train()
    for step in range(steps):
        colours = rng.integers(0, 4, 16)
        places = rng.integers(0, SIDE // 16, (16, 2)) * 16
        faces = [
            spot(int(c), int(y), int(x), seed=step)
            for c, (y, x) in zip(colours, places, strict=True)
        ]
        loss = nn.functional.cross_entropy(module(as_tensor(faces)), torch.from_numpy(colours))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.3, f"the small network did not learn: {loss.item()}"
    return module.eval()


def _tiny_vit() -> nn.Module:
    return timm.create_model(
        "vit_tiny_patch16_224",
        img_size=SIDE,
        patch_size=8,
        embed_dim=48,
        depth=3,
        num_heads=3,
        num_classes=len(COMPOUNDS),
    )


@functools.cache
def taught(make: Callable[[], nn.Module] = _tiny_vit, steps: int = 100) -> Network:
    torch.manual_seed(0)
    module = _fit(make(), steps)
    return Network(module, layers.of_timm(module, torch.zeros(1, 3, SIDE, SIDE)))


tiny_vit = _tiny_vit
