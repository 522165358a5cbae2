"""Lines of a face drawn from its landmarks: outline, brows, eyes, nose and lips.

Indices are those of MediaPipe's canonical face mesh (face_mesh_connections, Apache-2.0), in order.
"""

from types import MappingProxyType

from ferce.core.types import Face

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


def draw(face: Face, size: tuple[int, int]) -> list[dict[str, object]]:
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
