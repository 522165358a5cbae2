"""The recipe's comparison: the cut to RAF-CE's class counts, its data apart, its table."""

from collections import Counter

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from training_fixtures import tile

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.data.record import Blob, DataSet, Sample
from ferce.training.classifier import recipe
from ferce.training.classifier.recipe import Recipe, Score


@pytest.fixture(autouse=True)
def as_in_a_new_process():
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def faces(split, count):
    """So many tiles of each compound and basic emotion."""
    return [
        Sample(f"{split}-{label}-{i}", Blob(tile(number % 16, 100 * len(split) + i)), label, (),
               f"{split}{label}{i}", split)
        for number, label in enumerate((*COMPOUNDS, *BASICS))
        for i in range(count)
    ]  # fmt: skip


def test_the_counts_are_those_of_raf_ce():
    assert sum(recipe.TRAIN) == 2709
    assert sum(recipe.TEST) == 909
    rare = {label for label, n in zip(COMPOUNDS, recipe.TRAIN, strict=True) if n <= 24}
    assert rare == set(recipe.RARE)


def test_a_cut_has_the_proportions_of_raf_ce():
    kept = Counter(row.label for row in recipe.cut(faces("train", 58), np.random.default_rng(0)))
    assert set(kept) == set(COMPOUNDS)
    assert kept["angrily disgusted"] == 58  # 582 there: the largest keeps all
    assert kept["happily surprised"] == 39  # 394
    assert kept["happily fearful"] == 1  # 6
    assert len(
        {row.name for row in recipe.cut(faces("train", 9), np.random.default_rng(0))}
    ) == sum(max(1, round(9 / 582 * count)) for count in recipe.TRAIN)


def test_what_joins_is_not_in_the_cut_and_no_test_face_trains():
    rows = [*faces("train", 8), *faces("val", 3), *faces("test", 2)]
    sets = {name: list(data.rows()) for name, data in recipe.datasets(rows, 0).items()}
    few = {row.name for row in sets[""] if row.split == "train"}
    more = {row.name for row in sets[recipe.MORE]}
    assert not few & more
    assert few | more == {
        row.name for row in rows if row.split == "train" and row.label in COMPOUNDS
    }
    assert {row.label for row in sets[recipe.BASIC]} == set(BASICS)
    assert {row.split for name in (recipe.MORE, recipe.BASIC) for row in sets[name]} <= {
        "train",
        "val",
    }


def test_steps_are_trained_once_and_tabled(tmp_path, monkeypatch):
    rows = [*faces("train", 4), *faces("val", 2), *faces("test", 2)]
    monkeypatch.setattr(recipe, "load_data", lambda spec: DataSet(spec, lambda: iter(rows)))
    steps = {name: recipe.STEPS[name] for name in ("plain", "few-shot head", "all")}
    monkeypatch.setattr(recipe, "STEPS", steps)
    small = Recipe("tiles", "test_resnet", 32, steps=2, seeds=2, cache=str(tmp_path / "cache"))
    said = []
    made = recipe.compare(small, tmp_path / "runs", said.append)
    assert {name: len(scores) for name, scores in made.items()} == dict.fromkeys(steps, 2)
    assert len(said) == 6
    assert all(0 <= s.macro_f1 <= 1 for scores in made.values() for s in scores)
    monkeypatch.setattr(recipe.run, "train", None)  # nothing is trained again
    monkeypatch.setattr(recipe.fewshot, "fit", None)
    assert recipe.compare(small, tmp_path / "runs") == made


def test_the_table_tells_gains_by_seed():
    scores = {"plain": [Score(0.5, 0.6, 0.1), Score(0.3, 0.4, 0.1)],
              "all": [Score(0.6, 0.6, 0.3), Score(0.2, 0.5, 0.1)]}  # fmt: skip
    lines = recipe.table(scores).splitlines()
    assert lines[2].startswith("| plain | 0.400 ± 0.141 |  | 0.500 ± 0.141 |")
    assert lines[3].startswith("| all | 0.400 ± 0.283 | +0.000, 1 of 2 |")
