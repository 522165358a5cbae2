"""Where a model looks, what the text claims, and whether face and model bear it out."""

from ferce.explanation.text import PHRASINGS, check, compose, parse, phrasing_of, revise

__all__ = ["PHRASINGS", "check", "compose", "parse", "phrasing_of", "revise"]
