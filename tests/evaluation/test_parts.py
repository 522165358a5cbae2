"""The packaged classifier beside its parts, on faces whose outcome is known."""

import numpy as np
import pytest

from ferce.core.labels import OUTCOMES
from ferce.evaluation import parts
from ferce.evaluation.plan import EvaluationError, Plan

PLAN = Plan("embedded", parts=True, draws=200)


def rows(*labels):
    return np.stack([np.eye(21)[OUTCOMES.index(name)] for name in labels])


def test_the_whole_is_compared_with_a_part_face_by_face():
    truth = ("happy", "happy", "sad", "neutral") * 10
    known = parts.Known(rows(*truth), np.array([f"person {i}" for i in range(40)]))
    read = {parts.WHOLE: rows(*truth), "prior": rows(*("happy", "happy", "happy", "neutral") * 10)}
    figures = parts.figures(read, known, PLAN)
    assert figures["fused"]["label"] == 1
    assert figures["prior"]["label"] == 0.75
    assert figures["prior"]["six_balanced"] == 0.5
    assert figures["prior"]["neutral"] == 1
    assert figures["prior"]["each"] == {"happy": "20/20", "sad": "0/10", "neutral": "10/10"}
    gain = figures["prior"]["whole_better"]
    assert gain["difference"] == 0.25
    assert 0 < gain["interval"][0] < 0.25 < gain["interval"][1]


def test_a_compound_is_right_where_annotators_saw_both_its_parts():
    known = parts.Known(
        np.stack([rows("sadly angry")[0], rows("sad", "angry").mean(0), rows("sad")[0]]),
        np.array(["a", "b", "c"]),
    )
    figures = parts.figures({parts.WHOLE: rows(*["sadly angry"] * 3)}, known, PLAN)["fused"]
    assert (figures["compounds"], figures["hit_1"], figures["hit_3_if_compound"]) == (1, 1, 1)
    assert (figures["said"], figures["both_parts_seen"]) == (3, 2)
    assert figures["faces"] == 1


def test_only_the_packaged_kind_has_parts():
    with pytest.raises(EvaluationError, match="parts are those of the kind embedded"):
        Plan("prototypes", parts=True)
