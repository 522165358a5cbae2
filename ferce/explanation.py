"""Explanations: composed from measured units, parsed into claims, checked, and repaired."""

from ferce.composition import PHRASINGS, compose, phrasing_of
from ferce.parsing import parse
from ferce.revision import revise
from ferce.verdicts import check

__all__ = ["PHRASINGS", "check", "compose", "parse", "phrasing_of", "revise"]
