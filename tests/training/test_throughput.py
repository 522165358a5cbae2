"""Faces a second of a classifier that moves the clock itself."""

import numpy as np
import pytest
from evaluation_fixtures import Grey

from ferce.core.types import Face
from ferce.evaluation import latency


class Clock(Grey):
    """Takes 4 ms a batch and 1 ms a face; every third batch ten times as long."""

    now = 0.0

    def scores(self, faces):
        self.asked += 1
        self.now += (0.004 + 0.001 * len(faces)) * (10 if self.asked % 3 == 0 else 1)
        return super().scores(faces)


def test_larger_batches_share_what_a_batch_costs(monkeypatch):
    model, held = Clock(), []
    monkeypatch.setattr(latency.time, "perf_counter", lambda: model.now)

    def load():
        held.append(np.ones(2**23))  # 64 MiB that the model needs
        return model

    face = Face(crop=np.zeros((8, 8, 3), np.uint8))
    one, many = latency.measure(load, face, 5, (1, 16))
    assert (one.batch, one.ratio, many.batch) == (1, 1, 16)
    assert one.rate == pytest.approx(200)  # the median: outliers do not count
    assert many.rate == pytest.approx(16 / 0.020)
    assert many.ratio == pytest.approx(4)
    assert one.memory >= 0
    assert latency.table([one, many]).splitlines()[3].startswith("| 16 | 800.0 | 4.00 |")
