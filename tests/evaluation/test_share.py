"""Passes of the networks are recorded and can be done again."""

from pathlib import Path

import pytest

from ferce.evaluation import share

EXAMPLES = Path(share.__file__).parents[1] / "data" / "demo" / "examples"


def test_the_passes_are_a_part_of_the_whole():
    measured = share.measure(sorted(EXAMPLES.glob("*.jpg"))[:2], turns=1)
    assert measured.photos == 2
    assert 0 < measured.passes < measured.prediction
    assert f"share {measured.value:.2f}" in measured.row()


def test_nothing_is_recorded_after_the_block():
    with share.recorded() as passes:
        pass
    share.measure(sorted(EXAMPLES.glob("*.jpg"))[:1], turns=1)
    assert not passes


def test_a_folder_without_photos_is_refused():
    with pytest.raises(ValueError, match="no photos"):
        share.measure([])
