"""Which faces both sides of the comparison train on."""

from ferce.data import load_data
from ferce.training.classifier.throughput import Comparison, thinned


def test_faces_are_left_out_evenly_and_none_is_of_the_test_split():
    whole = [row.name for row in load_data("demo").rows() if row.split != "test"]
    few = [row.name for row in thinned("demo", 60).rows()]
    assert few == whole[:: len(whole) // 60]
    assert [row.name for row in thinned("demo", 10_000).rows()] == whole
    assert {row.split for row in thinned("demo", 60).rows()} == {"train", "val"}


def test_the_ratio_is_that_of_the_median_rounds():
    made = Comparison((30.0, 10.0, 31.0), (20.0, 19.0, 2.0), 128, "a", 128)
    assert made.faster == 30 / 19
    assert "| ratio | 1.58 |" in made.table()
