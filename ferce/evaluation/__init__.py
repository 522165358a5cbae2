"""Evaluation: one model on one split, into `metrics.json`, plots and a table of every picture."""

from ferce.evaluation.plan import EvaluationError, Plan
from ferce.evaluation.run import evaluate

__all__ = ["EvaluationError", "Plan", "evaluate"]
