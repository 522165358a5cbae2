"""Explanations: heat maps, texts, and checks of both against the face and the model."""

from ferce.explanation.text import (
    PHRASINGS,
    check,
    compose,
    parse,
    phrasing_of,
    revise,
    strange,
)

__all__ = ["PHRASINGS", "check", "compose", "parse", "phrasing_of", "revise", "strange"]
