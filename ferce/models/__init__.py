"""Models: what a spec names, and one file a model family."""

from ferce.models.kinds import (
    DEFAULT_CLASSIFIER,
    DEFAULT_VOICE,
    KINDS,
    MEASURED_VOICE,
    PACKAGED,
    Kind,
    check_classifier,
    check_voice,
    given_compound,
    load_classifier,
    load_voice,
)

__all__ = [
    "DEFAULT_CLASSIFIER",
    "DEFAULT_VOICE",
    "KINDS",
    "MEASURED_VOICE",
    "PACKAGED",
    "Kind",
    "check_classifier",
    "check_voice",
    "given_compound",
    "load_classifier",
    "load_voice",
]
