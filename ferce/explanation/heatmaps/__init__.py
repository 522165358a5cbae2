"""Heat maps: which parts of a face a classifier uses for a label, by a method named in METHODS."""

from ferce.explanation.heatmaps.methods import (
    METHODS,
    central,
    counterpart,
    explain,
    region_shares,
    view_of,
)

__all__ = ["METHODS", "central", "counterpart", "explain", "region_shares", "view_of"]
