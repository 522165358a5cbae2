"""Explanations: composed from measured units, and parsed into the claims they make."""

from ferce.composition import PHRASINGS, compose, phrasing_of
from ferce.parsing import parse

__all__ = ["PHRASINGS", "compose", "parse", "phrasing_of"]
