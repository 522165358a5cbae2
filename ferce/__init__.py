"""ferce: compound facial expressions, read and explained.

The public names are loaded when they are first used, so that importing ferce stays light: no torch,
transformers, gradio or mediapipe until something is read.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "read": "ferce.pipeline",
    "Reader": "ferce.pipeline",
    "Options": "ferce.pipeline",
    "load_classifier": "ferce.backends",
    "load_voice": "ferce.backends",
    "FaceDetector": "ferce.faces",
    "Answer": "ferce.types",
    "Cue": "ferce.types",
    "Explanation": "ferce.types",
    "Face": "ferce.types",
    "Faithfulness": "ferce.types",
    "Heatmap": "ferce.types",
    "Prediction": "ferce.types",
    "Reading": "ferce.types",
    "Report": "ferce.types",
    "Scores": "ferce.types",
    "UnitEvidence": "ferce.types",
}

if TYPE_CHECKING:
    from ferce.backends import load_classifier, load_voice
    from ferce.faces import FaceDetector
    from ferce.pipeline import Options, Reader, read
    from ferce.types import (
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
