"""Explanations: composed from measured units, parsed into cues, checked and revised."""

from ferce.composition import PHRASINGS, compose, phrasing_of

__all__ = ["PHRASINGS", "compose", "phrasing_of"]
