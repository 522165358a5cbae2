"""Texts of explanations: composed from measured units, parsed, checked and repaired."""

from ferce.explanation.text.composition import PHRASINGS, compose, phrasing_of
from ferce.explanation.text.parsing import parse
from ferce.explanation.text.revision import revise
from ferce.explanation.text.verdicts import check, strange

__all__ = ["PHRASINGS", "check", "compose", "parse", "phrasing_of", "revise", "strange"]
