"""Predictions with known probabilities."""

import numpy as np

from ferce.core.labels import BASICS, COMPOUNDS, HOLDING, OUTCOMES
from ferce.core.parts import Prediction


def made(state, label, shares, chosen=None, **more):
    """`shares` of some outcomes, scaled to sum to 1; the others have none. The set is the label."""
    row = np.array([float(shares.get(name, 0.0)) for name in OUTCOMES])
    row /= row.sum()
    both = row[: len(COMPOUNDS)] + 1e-9
    return Prediction(
        state,
        label,
        outcomes=dict(zip(OUTCOMES, row.tolist(), strict=True)),
        compounds=dict(zip(COMPOUNDS, (both / both.sum()).tolist(), strict=True)),
        set=(label,) if chosen is None else chosen,
        components=dict(zip(BASICS, (row @ HOLDING).clip(0, 1).tolist(), strict=True)),
        **more,
    )
