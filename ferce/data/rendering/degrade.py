"""Degrade pictures as photos are: blur, compression, poor light, lost colour, few pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from ferce.core.types import Pixels

DARKEST = 0.14  # median brightness, 0..1: darker pictures show nobody a face
Degrade = Callable[[Pixels, float, np.random.Generator], Pixels]


def blur(image: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Blur by defocus or motion; strength 1 is 1.6 % of the width."""
    width = strength * 0.016 * image.shape[1]
    if rng.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(width, 0.3)), np.uint8)
    size = max(int(width * 4) | 1, 3)
    line = np.zeros((size, size), np.float32)
    line[size // 2] = 1 / size
    turn = cv2.getRotationMatrix2D((size // 2, size // 2), float(rng.uniform(0, 180)), 1)
    kernel = cv2.warpAffine(line, turn, (size, size))
    return np.asarray(cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1e-6)), np.uint8)


def jpeg(image: Pixels, strength: float, _rng: np.random.Generator) -> Pixels:
    """Compress by JPEG with quality from 60 down to 12."""
    quality = round(60 - 48 * strength)
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1].copy()


def low_light(image: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Darken, with sensor noise that grows as light falls."""
    scaled = (image / 255.0) ** (1 + 0.9 * strength) * (1 - 0.35 * strength)
    scaled *= max(DARKEST / max(float(np.median(scaled)), 0.02), 1.0)
    noise = rng.normal(0, 0.012 + 0.035 * strength, image.shape)
    return np.clip((scaled + noise) * 255, 0, 255).astype(np.uint8)


def grey(image: Pixels, _strength: float, _rng: np.random.Generator) -> Pixels:
    """Remove the colour."""
    flat = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.repeat(np.asarray(flat, np.uint8)[..., None], 3, axis=2)


def low_resolution(image: Pixels, strength: float, _rng: np.random.Generator) -> Pixels:
    """Shrink and enlarge again: down to a quarter of the width."""
    size = image.shape[1::-1]
    factor = 1 + 3 * strength
    small = (max(round(size[0] / factor), 8), max(round(size[1] / factor), 8))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, size, interpolation=cv2.INTER_LINEAR), np.uint8)


DEGRADATIONS: Mapping[str, Degrade] = {
    "blur": blur,
    "jpeg": jpeg,
    "low light": low_light,
    "grey": grey,
    "low resolution": low_resolution,
}


def grade(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Vary exposure, warmth, saturation and contrast slightly, as cameras differ."""
    picture = image.astype(np.float32) / 255
    picture = picture ** float(np.exp(rng.normal(0, 0.12)))
    picture = picture * np.exp(rng.normal(0, 0.035, 3)).astype(np.float32)
    level = picture.mean(axis=2, keepdims=True)
    picture = level + (picture - level) * float(rng.uniform(0.75, 1.15))
    middle = float(picture.mean())
    picture = middle + (picture - middle) * float(rng.uniform(0.9, 1.1))
    return np.asarray(np.clip(picture * 255, 0, 255), np.uint8)
