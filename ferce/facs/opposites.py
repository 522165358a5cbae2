"""Action units that move one part of the face opposite ways, so that no text says both plainly."""

from types import MappingProxyType

# Pair -> what it does. Not in the table: AU1 and AU2 with AU4, which together draw the raised brows
# together (fear and sadness), and AU12 with AU24, a smile with pressed lips.
OPPOSITES: MappingProxyType[frozenset[int], str] = MappingProxyType(
    {
        frozenset({5, 7}): "the eyes are widened and narrowed",
        frozenset({5, 43}): "the eyes are widened and closed",
        frozenset({7, 43}): "the eyes are narrowed and closed",
        frozenset({12, 15}): "the lip corners go up and down",
        frozenset({18, 20}): "the lips are puckered and stretched",
        frozenset({20, 22}): "the lips are stretched and funnelled",
        frozenset({24, 25}): "the lips are pressed together and parted",
        frozenset({24, 26}): "the lips are pressed together over a dropped jaw",
        frozenset({24, 27}): "the lips are pressed together and the mouth is stretched open",
    }
)


def opposed(a: int, b: int) -> bool:
    """Tell whether two action units move one part of the face opposite ways."""
    return frozenset({a, b}) in OPPOSITES
