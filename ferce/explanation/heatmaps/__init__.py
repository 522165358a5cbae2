"""Heat maps: where a classifier looks for a label, by a method chosen by name."""

from ferce.explanation.heatmaps.methods import METHODS, central, explain, region_shares

__all__ = ["METHODS", "central", "explain", "region_shares"]
