"""How large and how small a photo may be, checked before any of its pixels is decoded."""

from dataclasses import dataclass

from ferce.images.refusal import Refusal


@dataclass(frozen=True)
class Limits:
    """What is accepted; a photo beyond any of these is refused before its pixels are decoded."""

    max_bytes: int = 40 * 2**20
    max_pixels: int = 60_000_000  # 180 MB as RGB; phones of 2024 write 12 to 50 million by default
    max_side: int = 32_768  # pixels; also bounds what one row may cost a decoder
    min_side: int = 16  # pixels; no face can be read below

    def __post_init__(self) -> None:
        if min(self.max_bytes, self.max_pixels, self.max_side, self.min_side) < 1:
            raise ValueError(f"every limit must be at least 1; got {self}")


DEFAULT_LIMITS = Limits()


def check_size(size: tuple[int, int], limits: Limits) -> None:
    """Refuse a photo of this (width, height) when it lies beyond a limit."""
    width, height = size
    given = f"is {width} by {height} pixels"
    if min(size) < limits.min_side:
        raise Refusal(f"{given}, and each side needs at least {limits.min_side}; give a larger one")
    if max(size) > limits.max_side or width * height > limits.max_pixels:
        most = f"{limits.max_pixels / 1e6:.3g} million pixels and {limits.max_side} a side"
        raise Refusal(f"{given}, more than the {most} accepted; save it smaller")
