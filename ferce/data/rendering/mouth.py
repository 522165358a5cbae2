"""The inside of the mouth and the teeth: depth, shading, and no two teeth quite alike."""

from __future__ import annotations

import numpy as np

from ferce.data.rendering.kit import Floats, Kit
from ferce.data.rendering.regions import FLESH, TEETH, Regions

FLESH_COLOUR = np.array([142.0, 62.0, 60.0])  # gums and tongue in plain light, RGB
ENAMEL = np.array([236.0, 227.0, 214.0])


def depth_shade(kit: Kit, vertices: Floats) -> Floats:
    """(V,) light that reaches into the mouth: 1 at the lips, near 0.1 three centimetres behind."""
    mouth = kit.vertices[kit.landmarks68[48:60]]
    moved = vertices[:, 2] - (vertices[kit.landmarks68[48:60], 2].mean() - 2.9)
    sides = np.abs(vertices[:, 0]) / (np.abs(mouth[:, 0]).max() + 1e-6)
    return np.asarray(
        np.clip(moved / 2.3, 0.1, 1) * np.clip(1.35 - 0.5 * sides, 0.35, 1), np.float32
    )


def mouth_colours(kit: Kit, regions: Regions, seed: int, exposure: float) -> Floats:
    """(V, 3) colour of flesh and teeth, 0 elsewhere; exposure = brightness of the picture, 0..1."""
    rng = np.random.default_rng([seed, 7])
    out = np.zeros((len(kit.vertices), 3), np.float32)
    out[regions.material == FLESH] = FLESH_COLOUR * exposure * rng.uniform(0.9, 1.1)
    teeth = regions.material == TEETH
    if not teeth.any():
        return out
    shade = ENAMEL * rng.uniform([0.96, 0.95, 0.9], [1.02, 1.02, 1.02])
    each = rng.normal(1, 0.035, int(regions.tooth.max()) + 1)
    warm = rng.normal(1, 0.02, len(each))
    number = regions.tooth[teeth]
    tint = np.stack([each, each, each * warm], axis=1)[number]
    out[teeth] = shade * tint * max(exposure, 0.72) * _gum_line(kit, regions)[teeth][:, None]
    return out


def _gum_line(kit: Kit, regions: Regions) -> Floats:
    """(V,) each tooth is darker towards its root, and towards the gaps to its neighbours."""
    out = np.ones(len(kit.vertices), np.float32)
    for name, root in (("teeth_upper", 1.0), ("teeth_lower", -1.0)):
        row = kit.part(name)
        for number in np.unique(regions.tooth[row]):
            one = np.flatnonzero(row & (regions.tooth == number))
            x, y, _ = (kit.vertices[one] - kit.vertices[one].mean(0)).T
            up = root * y / (np.ptp(y) + 1e-6)
            gap = np.abs(x) / (np.ptp(x) / 2 + 1e-6)
            out[one] = (1 - 0.3 * np.clip(up, 0, 0.5)) * (
                1 - 0.38 * np.clip(gap - 0.55, 0, 0.45) / 0.45
            )
    return out
