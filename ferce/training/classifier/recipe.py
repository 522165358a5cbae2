"""What each step of the recipe gives on faces cut to the class counts of RAF-CE.

Every step is one change of the plain training, with as many optimiser steps, over several seeds; a
seed decides which faces are cut, how the network starts and in which order it sees them. The steps
are options of `train/train_classifier.py` of the same names.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.data import load_data
from ferce.data.record import DataSet, Sample
from ferce.evaluation import metrics
from ferce.models.hub import read_json
from ferce.training import examples, progress
from ferce.training.checkpoint import write_json
from ferce.training.classifier import fewshot, run
from ferce.training.classifier.plan import Plan

# Faces of each compound in RAF-CE: of the train and the test split, in the order of COMPOUNDS.
TRAIN = (394, 171, 109, 136, 71, 495, 120, 352, 24, 124, 582, 108, 6, 17)
TEST = (126, 54, 36, 44, 25, 178, 43, 113, 6, 44, 194, 37, 1, 8)
RARE = ("fearfully disgusted", "happily fearful", "happily sad")  # at most 24 faces to train on
MORE, BASIC = "more", "basic"  # names of the other data
STEPS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "action units": {"units": 1.0},
    "balanced sampling": {"sampler": "weighted"},
    "class weights": {"loss": "class-balanced"},
    "logit adjustment": {"loss": "logit-adjusted"},
    "two stages": {"basic_epochs": 1, "basic_data": BASIC},
    "few-shot head": {"few_shot": "prototypes"},
    "renders mixed in": {"more": MORE},
    "all": {
        "units": 1.0,
        "loss": "logit-adjusted",
        "basic_epochs": 1,
        "basic_data": BASIC,
        "more": MORE,
    },
}


@dataclass(frozen=True)
class Recipe:
    """How large a comparison is.

    Attributes:
        data: spec of rendered faces, aligned, with compounds and basic emotions.
        network: that is trained, for `Plan.network`.
        size: side of its input in pixels.
        steps: optimiser steps of each training, of 16 faces.
        seeds: repetitions.
        cache: folder of aligned faces, "" for the default.
    """

    data: str = "demo"
    network: str = "auto"
    size: int = 64
    steps: int = 200
    seeds: int = 5
    cache: str = ""

    def plan(self, seed: int, changes: Mapping[str, Any]) -> Plan:
        """Make the plan of one training."""
        # The epochs of the first stage are not known in steps, so both stages end by max_steps.
        changes = {**changes, "basic_epochs": 1000} if "basic_epochs" in changes else changes
        base = Plan(
            data=self.data,
            detect="no",
            cache=self.cache,
            network=self.network,
            size=self.size,
            labels="compounds",
            epochs=1000,
            max_steps=self.steps,
            patience=0,
            units=0.0,
            device="cpu",
            seed=seed,
        )
        return replace(base, **changes)


@dataclass(frozen=True)
class Score:
    """What one training says of the test split, 0..1.

    Attributes:
        macro_f1: over the compounds that occur there.
        accuracy: were they as frequent as in RAF-CE's test split.
        rare: mean recall of `RARE`.
    """

    macro_f1: float
    accuracy: float
    rare: float


def compare(
    recipe: Recipe, folder: Path, report: progress.Report = progress.silent
) -> dict[str, list[Score]]:
    """Train every step with every seed; gives the scores of each step, one a seed.

    Args:
        recipe: how large.
        folder: a training that is finished there is not made again.
        report: takes a line a training.
    """
    rows = [row for row in load_data(recipe.data).rows() if isinstance(row, Sample)]
    made: dict[str, list[Score]] = defaultdict(list)
    for seed in range(recipe.seeds):
        sets = datasets(rows, seed)
        for name, changes in STEPS.items():
            place = folder / f"{name.replace(' ', '-')}-{seed}"
            score = _train(recipe.plan(seed, changes), place, sets, folder / f"plain-{seed}")
            report(f"seed {seed}, {name}: macro-F1 {score.macro_f1:.3f}, rare {score.rare:.3f}")
            made[name].append(score)
    return made


def datasets(rows: Sequence[Sample], seed: int) -> dict[str, DataSet]:
    """Cut the data: "" for the compounds as in RAF-CE, the others for the names of `STEPS`.

    `MORE` holds the training faces of compounds that were cut off, `BASIC` basic emotions.
    """
    rng = np.random.default_rng(seed)
    train, val, test = ([row for row in rows if row.split == s] for s in ("train", "val", "test"))
    kept = cut(train, rng)
    names = {row.name for row in kept}
    rest = [row for row in train if row.label in COMPOUNDS and row.name not in names]
    basic = [row for row in (*train, *val) if row.label in BASICS]
    few = [*kept, *cut(val, rng), *test]
    return {name: _set(name, rows) for name, rows in (("", few), (MORE, rest), (BASIC, basic))}


def cut(rows: Iterable[Sample], rng: np.random.Generator) -> list[Sample]:
    """Draw faces of the compounds in the proportions of RAF-CE, as many as there are enough for."""
    of: dict[str | None, list[Sample]] = defaultdict(list)
    for row in rows:
        of[row.label].append(row)
    part = min(len(of[label]) / count for label, count in zip(COMPOUNDS, TRAIN, strict=True))
    kept = []
    for label, count in zip(COMPOUNDS, TRAIN, strict=True):
        order = rng.permutation(len(of[label]))[: max(1, round(part * count))]
        kept += [of[label][i] for i in order]
    return kept


def _set(name: str, rows: Sequence[Sample]) -> DataSet:
    return DataSet(name or "cut", lambda: iter(rows))


def _train(plan: Plan, folder: Path, sets: Mapping[str, DataSet], plain: Path) -> Score:
    """Train and score, unless it is done; a few-shot head stands on the plain network."""
    done = folder / "score.json"
    if done.is_file():
        return Score(**read_json(done))
    if plan.few_shot != "none":
        plan = replace(plan, network=str(plain))
        fewshot.fit(plan, folder, sets[""])
    else:
        run.train(plan, folder, resume=True, data=sets[""], also=sets)
    score = measure(folder, plan, sets[""])
    write_json(done, asdict(score))
    return score


def measure(folder: Path, plan: Plan, data: DataSet) -> Score:
    """Score the network in a folder on the test split of the data."""
    from ferce.models import timm_net
    from ferce.models.spec import Spec

    items = examples.test(plan, data)
    model = timm_net.load(Spec("timm", str(folder)), "cpu")
    best = model.scores([item.face() for item in items]).classes.argmax(1)
    truth = np.array([COMPOUNDS.index(str(item.sample.label)) for item in items])
    recall = metrics.per_class(truth, best, len(COMPOUNDS))["recall"]
    frequency = np.array(TEST) / sum(TEST)
    return Score(
        metrics.macro_f1(truth, best, len(COMPOUNDS)),
        float((recall * frequency).sum()),
        float(np.mean([recall[COMPOUNDS.index(label)] for label in RARE])),
    )


def table(scores: Mapping[str, Sequence[Score]]) -> str:
    """Write means and standard deviations over the seeds as Markdown."""
    lines = [
        "| step | macro-F1 | gain, seeds better | accuracy by RAF-CE shares | rare recall |",
        "|---|--:|--:|--:|--:|",
    ]
    plain = [score.macro_f1 for score in scores["plain"]]
    for name, every in scores.items():
        gains = [s.macro_f1 - p for s, p in zip(every, plain, strict=True)]
        better = f"{sum(g > 0 for g in gains)} of {len(gains)}"
        gain = f"{mean(gains):+.3f}, {better}" if name != "plain" else ""
        figures = [
            _spread([getattr(s, f) for s in every]) for f in ("macro_f1", "accuracy", "rare")
        ]
        lines.append(f"| {name} | {figures[0]} | {gain} | {figures[1]} | {figures[2]} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"
