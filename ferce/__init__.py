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
    "Answer": "ferce.core.types",
    "Cue": "ferce.core.types",
    "Explanation": "ferce.core.types",
    "Face": "ferce.core.types",
    "Faithfulness": "ferce.core.types",
    "Heatmap": "ferce.core.types",
    "Prediction": "ferce.core.types",
    "Reading": "ferce.core.types",
    "Report": "ferce.core.types",
    "Scores": "ferce.core.types",
    "UnitEvidence": "ferce.core.types",
}

if TYPE_CHECKING:
    from ferce.core.types import (
        Answer,
        Cue,
        Explanation,
        Face,
        Faithfulness,
        Heatmap,
        Prediction,
        Reading,
        Report,
        Scores,
        UnitEvidence,
    )
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
