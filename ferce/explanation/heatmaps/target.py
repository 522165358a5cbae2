"""The outputs of a network that a label adds up, for the scalar that a map explains."""

from collections.abc import Callable, Collection

from ferce.core.labels import BASICS, COMPOUNDS, components


def columns(index: Callable[[str], int], label: str) -> list[int]:
    """List the outputs of a label.

    A basic emotion has the probability of all compounds that hold it, and of itself alone where the
    network has an output for that.

    Args:
        index: gives the output of a label, or raises ValueError.
        label: a compound, a basic emotion or "neutral".
    """
    if label not in BASICS:
        return [index(label)]
    held = [index(compound) for compound in COMPOUNDS if label in components(compound)]
    try:
        return [*held, index(label)]  # shown alone
    except ValueError:
        return held


def rest(own: Collection[int], count: int) -> list[int]:
    """List the other outputs of `count`."""
    return sorted(set(range(count)) - set(own))
