"""Variations of a whole batch at once: shift, scale, turn, mirror, light, colour, blur, noise."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

SHIFT, SCALE, TURN = 0.04, 0.08, math.radians(6)  # of the side; about 1; radians
GREY, BLUR, NOISE = 0.15, 0.25, 0.03  # shares of the pictures; standard deviation at most


def plain(pixels: Tensor, side: int) -> Tensor:
    """Convert (N, S, S, 3) uint8 to (N, 3, side, side) float32 in -1..1, as the processor does."""
    images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    if images.shape[-1] == side:
        return images
    return functional.interpolate(images, (side, side), mode="bilinear", antialias=True)


def varied(pixels: Tensor, side: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    """Vary pictures at random; gives (N,) bool which of them are mirrored, too.

    Args:
        pixels: (N, S, S, 3) uint8.
        side: of the result.
        dice: a `torch.Generator` on the device of the pixels.
    """
    images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    n, device = len(images), images.device

    def draw(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=dice, device=device) * (high - low) + low

    mirrored = draw(0, 1) < 0.5
    angle, scale = draw(-TURN, TURN), 1 + draw(-SCALE, SCALE)
    across, down = draw(-2 * SHIFT, 2 * SHIFT), draw(-2 * SHIFT, 2 * SHIFT)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
    turn = turn / scale[:, None, None]
    turn[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]
    matrix = torch.cat([turn, torch.stack([across, down], 1)[..., None]], 2)
    grid = functional.affine_grid(matrix, [n, 3, side, side], align_corners=False)
    made = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return _coloured(made, draw, dice), mirrored


def _coloured(
    images: Tensor, draw: Callable[[float, float], Tensor], dice: torch.Generator
) -> Tensor:
    """Vary light, contrast, tint, grey, blur and noise; still about -1..1."""
    n = len(images)
    low, high = 0.7, 1.35
    bent = ((images.clamp(-1, 1) + 1) / 2).pow(draw(low, high).view(n, 1, 1, 1))
    tint = torch.stack([draw(0.9, 1.1) for _ in range(3)], 1)[..., None, None]
    made = (bent * tint * draw(0.8, 1.2).view(n, 1, 1, 1)) * 2 - 1
    grey = (draw(0, 1) < GREY).view(n, 1, 1, 1)
    made = torch.where(grey, made.mean(1, keepdim=True).expand_as(made), made)
    soft = functional.avg_pool2d(functional.pad(made, (1, 1, 1, 1), mode="replicate"), 3, 1)
    made = torch.where((draw(0, 1) < BLUR).view(n, 1, 1, 1), soft, made)
    noise = torch.randn(made.shape, generator=dice, device=made.device)
    return (made + noise * draw(0, NOISE).view(n, 1, 1, 1)).clamp(-1, 1)
