"""Turning a head and its eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ferce.rendering.kit import Floats, Kit
from ferce.rendering.raster import rotation
from ferce.rendering.regions import ball_centre, eyeballs

PIVOT = np.array([0.0, 0.0, 5.0], np.float32)  # cm on the mean head: the face stays in the frame
GAZE_REACH = 22.0  # degrees of eyeball rotation for a gaze of 1


@dataclass(frozen=True)
class Pose:
    """Head angles in degrees, and gaze, -1..1 to the picture's right and up.

    yaw > 0 faces the picture's right, pitch > 0 looks up, roll > 0 tilts to the picture's left.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)


def turn_head(view: Floats, turn: Floats, pivot: Floats) -> Floats:
    """Rotate view-space vertices (V, 3) about a point."""
    return np.ascontiguousarray((view - pivot) @ turn.T + pivot, np.float32)


def turn_eyes(kit: Kit, vertices: Floats, gaze: tuple[float, float]) -> Floats:
    """Rotate each eyeball about its centre."""
    if gaze == (0.0, 0.0):
        return vertices
    turn = rotation(gaze[0] * GAZE_REACH, gaze[1] * GAZE_REACH, 0)
    out = vertices.copy()
    for ball in eyeballs(kit):
        if ball.any():
            out[ball] = turn_head(vertices[ball], turn, ball_centre(vertices[ball]))
    return out


def angles(turn: Floats) -> tuple[float, float, float]:
    """Yaw, pitch, roll in degrees of a rotation made by `rotation`."""
    yaw = np.degrees(np.arcsin(np.clip(-turn[2, 0], -1, 1)))
    pitch = -np.degrees(np.arctan2(turn[2, 1], turn[2, 2]))
    roll = np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))
    return float(yaw), float(pitch), float(roll)
