"""Scores of single emotions and neutral: rows that no compound label fits are judged here only."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, HOLDING, MEMBERSHIP, NEUTRAL, OUTCOMES, components
from ferce.evaluation import metrics
from ferce.evaluation.classification import finite
from ferce.evaluation.pictures import Rows, Scored
from ferce.facs.decision import set_mass


def figures(scored: Scored, draws: int, seed: int) -> dict[str, Any]:
    """Score how well the emotions of a label are recognised, over all labelled faces read.

    A compound holds two emotions, a basic label one and neutral none; "unclear" names none. The
    decision shown in the app is compared with that, and the probabilities by their AUC.
    """
    rows = np.flatnonzero(scored.read & (scored.labels != ""))
    wanted, named = _held(scored.labels[rows]), _held(scored.decided[rows])

    def macro(items: Rows) -> float:
        return float(np.nanmean(_f1(wanted[items], named[items])))

    interval = metrics.bootstrap(macro, scored.groups(rows), draws, seed)
    each = _f1(wanted, named)
    chance = scored.outcomes[rows] @ HOLDING
    aucs = {b: metrics.auc(chance[:, k], wanted[:, k]) for k, b in enumerate(BASICS)}
    return {
        "faces": len(rows),
        **interval.named("component_f1"),
        "component_f1_each": {b: finite(each[k]) for k, b in enumerate(BASICS)},
        "component_auc_each": {b: finite(v) for b, v in aucs.items()},
        "component_auc": finite(np.nanmean([*aucs.values()])) if len(rows) else None,
        **_basics(scored, chance, rows),
        **_neutral(scored, rows),
        **_outcomes(scored, rows),
        "pairs": _pairs(scored),
    }


def _held(labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Mark, (N, 6), which basic emotions each label holds; "" (unclear) holds none."""
    held = [components(str(label)) if label else () for label in labels]
    return np.array([[b in names for b in BASICS] for names in held], np.bool_).reshape(-1, 6)


def _f1(wanted: NDArray[np.bool_], named: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute the F1 of each emotion, (6,); NaN where it is neither there nor named."""
    total = (wanted.sum(0) + named.sum(0)).astype(float)
    hits = 2.0 * (wanted & named).sum(0)
    return np.asarray(np.where(total > 0, hits / np.maximum(total, 1), np.nan), np.float64)


def _basics(scored: Scored, chance: NDArray[np.float64], rows: Rows) -> dict[str, Any]:
    """Score faces of one emotion: is it the most probable component, is it named alone."""
    single = np.isin(scored.labels[rows], BASICS)
    if not single.any():
        return {"basic_faces": 0}
    labels = scored.labels[rows][single]
    leading = np.array(BASICS)[chance[single].argmax(1)]
    return {
        "basic_faces": int(single.sum()),
        "basic_leads": float((leading == labels).mean()),
        "basic_leads_balanced": float(
            np.mean([(leading[labels == name] == name).mean() for name in np.unique(labels)])
        ),
        "basic_named_alone": float((scored.decided[rows][single] == labels).mean()),
    }


def _neutral(scored: Scored, rows: Rows) -> dict[str, Any]:
    neutral = scored.labels[rows] == NEUTRAL
    if not neutral.any():
        return {"neutral_faces": 0}
    said = scored.decided[rows] == NEUTRAL
    figures: dict[str, Any] = {
        "neutral_faces": int(neutral.sum()),
        "neutral_recall": float(said[neutral].mean()),
        "neutral_said_elsewhere": finite(said[~neutral].mean()) if (~neutral).any() else None,
    }
    if np.isfinite(scored.neutral[rows]).all():
        figures["neutral_auc"] = finite(metrics.auc(scored.neutral[rows], neutral))
    return figures


def _outcomes(scored: Scored, rows: Rows) -> dict[str, Any]:
    """Score all 21 outcomes as one choice: hits, calibration, and the sets shown in the app."""
    if not len(rows):
        return {"outcome_faces": 0}
    truth = np.array([OUTCOMES.index(name) for name in scored.labels[rows]], np.intp)
    p, calibrated = scored.outcomes[rows], bool(np.isfinite(scored.outcome_mass))
    mass = set_mass(scored.outcome_mass if calibrated else None)
    return {
        "outcome_faces": len(rows),
        "outcome_accuracy": metrics.accuracy(truth, p.argmax(1)),
        "outcome_ece": metrics.calibration_error(truth, p),
        "outcome_set_coverage": metrics.set_coverage(truth, p, mass),
        "outcome_set_size": float(metrics.set_sizes(p, mass).mean()),
        "outcome_set_calibrated": calibrated,
    }


def _pairs(scored: Scored) -> dict[str, float | None]:
    """Compute shares of compound faces with both, or at least one, emotion right."""
    rows = scored.compounds
    if not len(rows):
        return {"both_right": None, "one_or_more_right": None}
    best = MEMBERSHIP[scored.probabilities[rows].argmax(1)]
    shared = (best * MEMBERSHIP[scored.truth(rows)]).sum(1)
    return {
        "both_right": float((shared == 2).mean()),
        "one_or_more_right": float((shared >= 1).mean()),
    }
