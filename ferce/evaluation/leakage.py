"""The leakage audit: could the figures of a split be too good because of how they came about?

It asks whether test pictures look like training pictures (perceptual hash), those of the data set
and those that a model says it learnt from; whether people are on both sides; whether a classifier
trained on shuffled labels is at chance; and whether a prompt gives the true label away.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from ferce.core.protocols import Classifier, Prompted
from ferce.data import DataError, audit, load_data
from ferce.data.align import Aligned
from ferce.data.record import Row, Sample
from ferce.evaluation import probe
from ferce.evaluation.leaderboard import FAILED, PASSED, UNKNOWN, Check
from ferce.evaluation.plan import Plan, Tools, predicted, rows_of, watched, write_json
from ferce.models import prompts

FILE = "audit.json"
NAMED = 5  # examples that a check names; the file has all
ASKED = 14  # faces of different labels whose prompts are read


@dataclass(frozen=True)
class Census:
    """Facts of the rows: a hash that changes with them, pictures by split, known people."""

    key: str
    pictures: dict[str, int]
    subjects: int


def census(plan: Plan, shown: bool) -> Census:
    """Count the rows in one pass, without opening a picture."""
    digest, pictures, subjects = hashlib.sha256(), dict[str, int](), 0
    for row in watched(load_data(plan.data).rows(), "rows", shown):
        split = row.split or audit.NO_SPLIT
        pictures[split] = pictures.get(split, 0) + 1
        known = (row.label, row.subject) if isinstance(row, Sample) else row.reason
        subjects += isinstance(row, Sample) and row.subject is not None
        digest.update(repr((row.name, split, known)).encode())
    digest.update(repr((plan.data, plan.split)).encode())
    return Census(digest.hexdigest()[:16], pictures, subjects)


def of_data(plan: Plan, counted: Census, folder: Path, tools: Tools) -> list[Check]:
    """Check pictures, people and shuffled labels; results on the same data are kept.

    Everything that was seen goes to `audit.json`.
    """
    path = folder / FILE
    if kept := _kept(path, counted.key):
        return kept
    if set(counted.pictures) <= {plan.split}:
        why = f"{plan.data} has no other split than {plan.split} to compare with"
        names = ("pictures", "people", "shuffled labels")
        return _keep(path, counted.key, [Check(name, UNKNOWN, why) for name in names])
    rows = watched(
        load_data(plan.data).rows(), "audit", tools.shown, sum(counted.pictures.values())
    )
    seen = audit.audit(plan.data, rows, audit.Options(jobs=tools.jobs))
    outcome = _probe(plan)
    checks = [
        pictures(seen, plan.split),
        people(seen, plan.split, counted.subjects),
        shuffled(outcome),
    ]
    more = {"shuffled_labels": asdict(outcome), "data": audit.as_dict(seen)}
    return _keep(path, counted.key, checks, more)


def of_training(
    plan: Plan, counted: Census, learnt: str, folder: Path, tools: Tools
) -> list[Check]:
    """Check whether pictures of a model's training data look like those of the split.

    Its own test split is left out. Nothing where the model learnt from the data at hand, which
    `of_data` has looked at.
    """
    if learnt == plan.data:
        return []
    name, path = f"pictures of {learnt}", folder / f"audit-{named(learnt)}.json"
    if kept := _kept(path, counted.key):
        return kept
    try:
        theirs = (r for r in load_data(learnt).rows() if r.split != "test")
        rows = chain(_as(theirs, "train"), _as(rows_of(plan.data, plan.split), "test"))
        seen = audit.audit(learnt, watched(rows, name, tools.shown), audit.Options(jobs=tools.jobs))
    except (DataError, OSError) as error:
        return [Check(name, UNKNOWN, f"a model learnt from them, and they are not here: {error}")]
    check = replace(pictures(seen, "test"), name=name)
    return _keep(path, counted.key, [check], {"data": audit.as_dict(seen)})


def named(text: str) -> str:
    """Write a spec in letters that every file system takes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")


def _as(rows: Iterable[Row], split: str) -> Iterator[Row]:
    return (replace(row, split=split) for row in rows)


def _kept(path: Path, key: str) -> list[Check]:
    stored = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return [Check(**row) for row in stored["checks"]] if stored.get("key") == key else []


def _keep(
    path: Path, key: str, checks: list[Check], more: Mapping[str, Any] | None = None
) -> list[Check]:
    write_json(path, {"key": key, "checks": [asdict(check) for check in checks], **(more or {})})
    return checks


def pictures(seen: audit.Audit, split: str) -> Check:
    """Check whether a picture of the split looks the same as one outside it."""
    pairs = [d for d in seen.duplicates or () if (d.splits[0] == split) != (d.splits[1] == split)]
    few = "; ".join(f"{d.first} and {d.second}" for d in pairs[:NAMED])
    words = f"{len(pairs)} pairs of pictures look the same across the border of {split}"
    return Check("pictures", FAILED if pairs else PASSED, f"{words}: {few}" if few else words)


def people(seen: audit.Audit, split: str, known: int) -> Check:
    """Check whether somebody is on both sides of the split."""
    if not known:
        return Check("people", UNKNOWN, "the data does not tell who is shown")
    both = [who for who, where in seen.shared_subjects.items() if split in where]
    words = f"{len(both)} people are shown in {split} and elsewhere"
    few = ", ".join(both[:NAMED])
    return Check("people", FAILED if both else PASSED, f"{words}: {few}" if few else words)


def _probe(plan: Plan) -> probe.Outcome:
    train = probe.read(s for s in _samples(plan) if s.split != plan.split)
    test = probe.read(s for s in _samples(plan) if s.split == plan.split)
    if not len(train.y) or not len(test.y):
        return probe.Outcome(0, 0.0, 0.0, 0.0, 0.0, 1.0)
    return probe.run(train, test, plan.seed)


def _samples(plan: Plan) -> Iterator[Sample]:
    return (row for row in load_data(plan.data).rows() if isinstance(row, Sample))


def shuffled(outcome: probe.Outcome) -> Check:
    """Check whether a probe trained on shuffled labels is at chance."""
    name = "shuffled labels"
    if not outcome.faces:
        return Check(name, UNKNOWN, "either side has no face with a compound label")
    words = (
        f"a linear probe trained on shuffled labels scores {outcome.shuffled:.3f}, chance is "
        f"{outcome.chance:.3f}; with true labels {outcome.true:.3f}"
    )
    return Check(name, PASSED if outcome.at_chance else FAILED, words)


def of_prompts(classifier: Classifier, items: Sequence[Aligned], spec: str) -> Check:
    """Check whether prompts about faces of different labels name the true one.

    Args:
        classifier: any; one that is asked in words is `Prompted`.
        items: aligned faces, see `plan.aligned`.
        spec: of the model.
    """
    name, texts = f"prompts of {spec}", set[str]()
    if not isinstance(classifier, Prompted):
        return Check(name, PASSED, "it is not asked about single faces in words")
    for item in items:
        asked = _asked(classifier, item)
        for text, predicted_label in asked:
            try:
                prompts.guard(text, str(item.sample.label), predicted_label)
            except ValueError as error:
                return Check(name, FAILED, f"{item.sample.name}: {error}")
        texts |= {text for text, _ in asked}
    return Check(name, PASSED, f"{len(texts)} prompts about {len(items)} faces name no true label")


def _asked(model: Prompted, item: Aligned) -> list[tuple[str, str | None]]:
    """Record each prompt about a face, with the predicted label where it may be named."""
    assert isinstance(model, Classifier), "a model is asked for scores"
    with model.recording() as sent:
        (read,) = predicted(model, [item])
    explained = prompts.explain(read.prediction, model.template, read.face.units or {})
    label = read.prediction.label
    return [(text, label if text == explained else None) for text in [*sent, explained]]


def sample_rows(plan: Plan) -> list[Row]:
    """Pick one row of the split for each label, the first of each."""
    firsts: dict[str, Row] = {}
    for row in load_data(plan.data).rows():
        if row.split == plan.split and isinstance(row, Sample) and row.label:
            firsts.setdefault(row.label, row)
        if len(firsts) >= ASKED:
            break
    return list(firsts.values())
