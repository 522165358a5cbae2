"""Variants of a face are scored once, and come back in order."""

import numpy as np

from ferce.core.labels import OUTCOMES
from ferce.core.types import Face, Scores
from ferce.explanation.variants import Variants


class Counting:
    """Its first outcome is the mean of the pixels; notes how many faces it was given."""

    name = "counting"

    def __init__(self):
        self.given = []

    def scores(self, faces):
        self.given.append(len(faces))
        outcomes = np.zeros((len(faces), len(OUTCOMES)))
        outcomes[:, 0] = [face.crop.mean() / 255 for face in faces]
        outcomes[:, -1] = 1 - outcomes[:, 0]
        return Scores.of_outcomes(outcomes, units=[{}] * len(faces), mass=0.7)


def grey(value, **more):
    return Face(crop=np.full((8, 8, 3), value, np.uint8), **more)


def test_each_variant_is_scored_once():
    model = Counting()
    variants = Variants(model)
    a, b, c = grey(0), grey(51), grey(255)
    assert variants.scores([a, b]).outcomes[:, 0].tolist() == [0, 0.2]
    scores = variants.scores([c, grey(51), a, c])
    assert scores.outcomes[:, 0].tolist() == [1, 0.2, 0, 1]
    assert scores.neutral.tolist() == [0, 0.8, 1, 0]
    assert model.given == [2, 1]
    variants.scores([b])
    assert model.given == [2, 1]
    assert (scores.units, scores.mass, variants.name) == (None, 0.7, "counting")
    assert len(variants.scores([])) == 0


def test_what_was_scored_before_is_not_scored_again():
    model = Counting()
    variants = Variants(model)
    variants.remember(grey(51), model.scores([grey(51)]))
    assert variants.scores([grey(51), grey(0)]).outcomes[:, 0].tolist() == [0.2, 0]
    assert model.given == [1, 1]


def test_what_is_covered_counts_as_well_as_the_pixels():
    model = Counting()
    Variants(model).scores([grey(0), grey(0, hidden={"mouth": 1.0}), grey(0, hidden={"mouth": 0})])
    assert model.given == [3]
