"""Quality of a face: whether its size, its sharpness and the head's turn allow a reading."""

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Quality

MIN_FACE = 40.0  # photo pixels of the mesh below which nothing can be read
MIN_SHARPNESS = 0.010  # see `sharpness`
# 95th percentile of the grey values within a face, of 255. None of 2,557 portraits has less; of 57
# faces before a window that had, 27 kept the label of the lit face, of 20 with about 45, 15.
MIN_LIGHT = 30.0
MAX_YAW, MAX_PITCH = 60.0, 45.0  # degrees; beyond, the mesh is a guess


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Measure fine detail: variance of the Laplacian over that of the grey values, at 64 px.

    About 0.02-0.15 for photos, below 0.01 when blurred beyond reading; does not depend on contrast.
    After Pech-Pacheco et al. 2000 (variance of the Laplacian), normalised.
    """
    import cv2

    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    middle = len(grey) // 6
    inner = cv2.resize(grey[middle:-middle, middle:-middle], (64, 64), interpolation=cv2.INTER_AREA)
    spread = float(inner.var())
    return float(cv2.Laplacian(inner, cv2.CV_32F).var()) / spread if spread > 1 else 0.0


def problem(quality: Quality, verified: bool = True) -> str | None:
    """Say in one sentence why a face of this quality must not be read; None when it may.

    `verified` is whether the landmarks were confirmed to lie on the face as they should.
    """
    if quality.size < MIN_FACE:
        return (
            f"The face is too small to read: {quality.size:.0f} pixels across where at least "
            f"{MIN_FACE:.0f} are needed; use a larger picture."
        )
    if abs(quality.yaw) > MAX_YAW or abs(quality.pitch) > MAX_PITCH:
        return (
            f"The head is turned too far to read (yaw {quality.yaw:.0f}, pitch {quality.pitch:.0f} "
            f"degrees; up to {MAX_YAW:.0f} and {MAX_PITCH:.0f} can be read)."
        )
    if quality.sharpness < MIN_SHARPNESS:
        return "The face is too blurred to read; use a sharper picture."
    if not verified:
        return (
            "It cannot be verified that the landmarks lie on this face as they should; use a "
            "picture that shows it whole and upright."
        )
    return None


def darkness(crop: NDArray[np.uint8]) -> str | None:
    """Say in one sentence that a levelled crop is too dark to read; None when it is not."""
    import cv2

    edge = len(crop) // 4
    inner = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[edge:-edge, edge:-edge]
    darker = np.cumsum(np.bincount(inner.ravel(), minlength=256))
    if np.searchsorted(darker, 0.95 * inner.size) >= MIN_LIGHT:
        return None
    return "The face is too dark to read; brighten the picture, or use one with light on the face."
