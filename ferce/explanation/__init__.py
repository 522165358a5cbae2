"""Explanations: composed from measured units, parsed into claims, checked, and repaired."""

from ferce.explanation.composition import PHRASINGS, compose, phrasing_of
from ferce.explanation.parsing import parse
from ferce.explanation.revision import revise
from ferce.explanation.verdicts import check

__all__ = ["PHRASINGS", "check", "compose", "parse", "phrasing_of", "revise"]
