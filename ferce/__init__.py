"""ferce: compound facial expressions, read and explained.

The public names are loaded when they are first used, so that importing ferce stays light: no torch,
transformers, gradio or mediapipe until something is read.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "read": "ferce.reading.pipeline",
    "Reader": "ferce.reading.pipeline",
    "Options": "ferce.reading.pipeline",
    "load_classifier": "ferce.models",
    "load_voice": "ferce.models",
    "FaceDetector": "ferce.faces.detector",
    "Answer": "ferce.core.parts",
    "Cue": "ferce.core.parts",
    "Explanation": "ferce.core.parts",
    "Face": "ferce.core.types",
    "Faithfulness": "ferce.core.parts",
    "Heatmap": "ferce.core.parts",
    "Prediction": "ferce.core.parts",
    "Reading": "ferce.core.parts",
    "Report": "ferce.core.parts",
    "Scores": "ferce.core.types",
    "UnitEvidence": "ferce.core.types",
}

if TYPE_CHECKING:
    from ferce.core.parts import (
        Answer,
        Cue,
        Explanation,
        Faithfulness,
        Heatmap,
        Prediction,
        Reading,
        Report,
    )
    from ferce.core.types import Face, Scores, UnitEvidence
    from ferce.faces.detector import FaceDetector
    from ferce.models import load_classifier, load_voice
    from ferce.reading.pipeline import Options, Reader, read

__all__ = [
    "Answer",
    "Cue",
    "Explanation",
    "Face",
    "FaceDetector",
    "Faithfulness",
    "Heatmap",
    "Options",
    "Prediction",
    "Reader",
    "Reading",
    "Report",
    "Scores",
    "UnitEvidence",
    "load_classifier",
    "load_voice",
    "read",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ferce' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
