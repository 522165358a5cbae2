"""Outlines of the face's regions, lines drawn along them, and the similarity to the crop."""

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ferce.core.types import Box, Face, Mask, Points

# Crop side over the larger side of the mesh: leaves forehead, chin and some cheek around it.
MARGIN = 1.5

RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)  # outer and inner corners; right is the person's

# Outlines as convex hulls of landmarks; a region is the union of its parts. Earlier regions win
# where hulls overlap, so that every pixel has one region at most.
_HULLS: MappingProxyType[str, tuple[tuple[int, ...], ...]] = MappingProxyType(
    {
        "eyes": (
            (226, 247, 30, 29, 27, 28, 56, 190, 243, 112, 26, 22, 23, 24, 110, 25),
            (446, 467, 260, 259, 257, 258, 286, 414, 463, 341, 256, 252, 253, 254, 339, 255),
        ),
        "mouth": (
            (57, 186, 92, 165, 167, 164, 393, 391, 322, 410, 287, 273, 335, 406, 313, 18, 83, 43),
        ),
        "nose": ((168, 193, 417, 122, 351, 198, 420, 48, 278, 64, 294, 98, 327, 2, 1, 4),),
        "brows": (
            (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 68, 104, 69, 108),
            (300, 293, 334, 296, 336, 285, 295, 282, 283, 276, 298, 333, 299, 337),
            (107, 336, 285, 55, 8, 108, 337, 151),
        ),
        "chin": ((43, 106, 182, 83, 18, 313, 406, 335, 273, 378, 400, 377, 152, 148, 176, 149),),
        "cheeks": (
            (111, 117, 118, 119, 100, 142, 203, 206, 216, 207, 192, 213, 147, 123, 116),
            (340, 346, 347, 348, 329, 371, 423, 426, 436, 427, 416, 433, 376, 352, 345),
        ),
    }
)

# name -> (region of `types.REGIONS` or "" for the outline, whether the line closes, landmarks)
CONTOURS: MappingProxyType[str, tuple[str, bool, tuple[int, ...]]] = MappingProxyType(
    {
        "outline": (
            "",
            True,
            (
                *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378),
                *(400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21),
                *(54, 103, 67, 109),
            ),
        ),
        "left brow": ("brows", True, (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)),
        "right brow": ("brows", True, (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)),
        "left eye": (
            "eyes",
            True,
            (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
        ),
        "right eye": (
            "eyes",
            True,
            (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
        ),
        "nose": ("nose", False, (98, 97, 2, 326, 327)),
        "bridge": ("nose", False, (168, 6, 197, 195, 5, 4)),
        "outer lips": (
            "mouth",
            True,
            (
                *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0),
                *(37, 39, 40, 185),
            ),
        ),
        "inner lips": (
            "mouth",
            True,
            (
                *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13),
                *(82, 81, 80, 191),
            ),
        ),
    }
)


def region_masks(points: Points, size: int) -> dict[str, Mask]:
    """Draw masks of the six regions, which do not overlap.

    Args:
        points: (478, 2) landmarks in crop pixels.
        size: side S of the crop.

    Returns:
        Region name -> (S, S) bool, in the order of `types.REGIONS`.
    """
    import cv2

    taken = np.zeros((size, size), np.uint8)
    masks = {}
    for name, hulls in _HULLS.items():
        drawn = np.zeros((size, size), np.uint8)
        for hull in hulls:
            outline = cv2.convexHull(np.round(points[list(hull)]).astype(np.int32))
            cv2.fillConvexPoly(drawn, outline, 1)
        masks[name] = (drawn > 0) & (taken == 0)
        taken |= drawn
    return {name: masks[name] for name in ("brows", "eyes", "nose", "cheeks", "mouth", "chin")}


def roll_of(points: Points) -> float:
    """Return the roll of the line between the eye centres in radians; positive is clockwise."""
    right, left = points[list(RIGHT_EYE), :2].mean(0), points[list(LEFT_EYE), :2].mean(0)
    return float(np.arctan2(left[1] - right[1], left[0] - right[0]))


def alignment(points: Points, size: int, margin: float = MARGIN) -> NDArray[np.float64]:
    """Compute the similarity that levels the eyes and centres the mesh in a square crop.

    Args:
        points: (478, 2 or 3) landmarks in photo pixels; (0, 0) is the corner of the first pixel.
        size: side S of the crop.
        margin: crop side over the larger side of the levelled mesh.

    Returns:
        (2, 3): crop = matrix[:, :2] @ photo + matrix[:, 2].
    """
    angle = -roll_of(points)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    level = points[:, :2].astype(np.float64) @ turn.T
    low, high = level.min(0), level.max(0)
    scale = size / (margin * float((high - low).max()))
    matrix = np.empty((2, 3))
    matrix[:, :2] = turn * scale
    matrix[:, 2] = size / 2 - scale * (low + high) / 2
    return matrix


def overlap(a: Box, b: Box) -> float:
    """Compute the intersection over union of two boxes, 0..1."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a, b
    inner = max(min(ax1, bx1) - max(ax0, bx0), 0.0) * max(min(ay1, by1) - max(ay0, by0), 0.0)
    union = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - inner
    return inner / union if union > 0 else 0.0


def shared(a: Box, b: Box) -> float:
    """Compute the share 0..1 of the smaller of two boxes that lies in the other."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a, b
    inner = max(min(ax1, bx1) - max(ax0, bx0), 0.0) * max(min(ay1, by1) - max(ay0, by0), 0.0)
    smaller = min((ax1 - ax0) * (ay1 - ay0), (bx1 - bx0) * (by1 - by0))
    return inner / smaller if smaller > 0 else 0.0


def turned(box: Box, quarter: int, size: int, margin: float) -> NDArray[np.float64]:
    """Compute the similarity that centres a box in a square, turned by quarters (90 degrees).

    Args:
        box: in photo pixels.
        quarter: how often the picture is turned by 90 degrees counter-clockwise.
        size: side S of the square.
        margin: the square's side over the larger side of the box.

    Returns:
        (2, 3): square = matrix[:, :2] @ photo + matrix[:, 2].
    """
    x0, y0, x1, y1 = box
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter % 4]
    scale = size / (margin * max(x1 - x0, y1 - y0, 1.0))
    matrix = np.empty((2, 3))
    matrix[:, :2] = np.array([[cos, sin], [-sin, cos]]) * scale
    matrix[:, 2] = size / 2 - matrix[:, :2] @ ((x0 + x1) / 2, (y0 + y1) / 2)
    return matrix


def warp(
    photo: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, *, quick: bool = False
) -> NDArray[np.uint8]:
    """Cut the (S, S, 3) crop under `matrix`; outside the photo the border pixels repeat.

    Sources much larger than the crop are shrunk by area first, so that nothing aliases; with
    `quick` by a whole number, which takes a tenth of the time and leaves the rest to the warp.
    """
    import cv2

    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.6:
        shrink = _divided if quick else _shrunk
        photo, matrix = shrink(*_part(photo, matrix, size), scale if quick else scale * 1.5)
    centred = matrix.copy()  # OpenCV counts from the centre of the first pixel
    centred[:, 2] += matrix[:, :2].sum(1) * 0.5 - 0.5
    crop = cv2.warpAffine(
        photo, centred, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8)


def _part(
    photo: NDArray[np.uint8], matrix: NDArray[np.float64], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cut the part of the photo that a crop shows, with some pixels around; move the matrix."""
    corners = np.array([(x, y) for x in (-4, size + 4) for y in (-4, size + 4)])
    shown = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    last = np.array(photo.shape[1::-1]) - 1
    left, top = np.clip(np.floor(shown.min(0)), 0, last).astype(int)
    right, bottom = np.clip(np.ceil(shown.max(0)), 0, last).astype(int) + 1
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (left, top)
    return photo[top:bottom, left:right], moved


def _shrunk(
    photo: NDArray[np.uint8], matrix: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Shrink a photo by area, to a side of 32 pixels at least; fit the matrix to it."""
    import cv2

    height, width = photo.shape[:2]
    scale = max(scale, 32 / min(height, width))
    if scale >= 1:
        return photo, matrix
    new = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = np.asarray(cv2.resize(photo, new, interpolation=cv2.INTER_AREA), np.uint8)
    return small, matrix @ np.diag([width / new[0], height / new[1], 1.0])


def contours(face: Face, size: tuple[int, int]) -> list[dict[str, object]]:
    """List the lines with region and points, [x, y] in thousandths of the picture.

    Args:
        face: with landmarks; else there are no lines.
        size: (width, height) of the picture.
    """
    if face.landmarks is None:
        return []
    scaled = (face.landmarks[:, :2] / size * 1000).round().astype(int)
    return [
        {"region": region, "closed": closed, "points": scaled[list(indices)].tolist()}
        for region, closed, indices in CONTOURS.values()
    ]


def _divided(
    photo: NDArray[np.uint8], matrix: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Shrink a photo by the whole number that is nearest to the scale; otherwise as `_shrunk`."""
    import cv2

    times = min(round(1 / scale), min(photo.shape[:2]) // 32)
    if times < 2:
        return photo, matrix
    height, width = (length // times for length in photo.shape[:2])
    whole = photo[: height * times, : width * times]
    small = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return small, matrix @ np.diag([times, times, 1.0])
