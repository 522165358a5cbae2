"""Several models on one split by the same evaluation: the audit first, then a leaderboard.

Everything goes on where it was: the audit is kept for the same rows, a model's shards are filled by
however many processes there are, and a model that was measured before is only read.
"""

import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce import models
from ferce.data.align import Aligned
from ferce.evaluation import classification, leakage, metrics, result, run, shards
from ferce.evaluation.classification import Choice, K
from ferce.evaluation.leaderboard import (
    FAILED,
    LANGUAGE,
    PASSED,
    VISION,
    Check,
    Entry,
    Leaderboard,
    Versus,
)
from ferce.evaluation.metrics_file import FIGURES, Figure
from ferce.evaluation.pictures import Scored
from ferce.evaluation.plan import EvaluationError, Plan, Tools, aligned, claim
from ferce.evaluation.shards import Distributed
from ferce.models import spec
from ferce.models.hub import folder_of, read_json

COMPARED = ("macro_f1", "accuracy", "uar")
DEALS = 1000  # random deals behind the range of chance


@dataclass(frozen=True, eq=False)
class Bench:
    """One benchmark: `plan` is that of every model but for its name."""

    plan: Plan
    output: Path
    tools: Tools
    distributed: Distributed
    device: str
    command: str


def accuracy(bench: Bench, specs: Sequence[str]) -> Leaderboard | None:
    """Audit the data, measure every model, compare; the first process gets the leaderboard.

    A model that cannot be loaded or measured is listed with the reason, and the others go on.

    Raises:
        EvaluationError: no model is named or one twice, or the split is empty.
        DataError: the data cannot be had.
    """
    if not specs or len(set(specs)) < len(specs):
        raise EvaluationError(f"Name models, each once; got {', '.join(specs) or 'none'}.")
    tools = bench.tools if bench.distributed.first else replace(bench.tools, shown=False)
    counted = leakage.census(bench.plan, tools.shown)
    if not (count := counted.pictures.get(bench.plan.split, 0)):
        raise EvaluationError(f"{bench.plan.data} has no pictures in its {bench.plan.split} split.")
    checks: list[Check] = []
    if bench.distributed.first:
        checks = leakage.of_data(bench.plan, counted, bench.output, tools)
    bench.distributed.gather(None)
    entries, failed = [], {}
    for name in specs:
        entry, seen = _model(bench, name, count)
        checks += seen
        if isinstance(entry, Entry):
            entries.append(entry)
        else:
            failed[name] = entry
    if not bench.distributed.first:
        return None
    for learnt in sorted({e.trained_on for e in entries if e.trained_on}):
        checks += leakage.of_training(bench.plan, counted, learnt, bench.output, tools)
    return _leaderboard(bench, entries, checks, failed)


def _model(bench: Bench, name: str, count: int) -> tuple[Entry | str, list[Check]]:
    """Measure a model for its entry, or why it has none; all processes take part."""
    reason, timed = "", None
    try:
        timed = _shards(bench, name, count)
    except (EvaluationError, ValueError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
    outcomes = bench.distributed.gather(
        (reason, timed.faces if timed else 0, timed.seconds if timed else 0.0)
    )
    reasons = [why for why, _, _ in outcomes if why]
    try:
        if reasons or timed is None or not bench.distributed.first:
            return (reasons or ["measured by another process"])[0], []
        faces, seconds = sum(n for _, n, _ in outcomes), max(s for _, _, s in outcomes)
        return _conclude(bench, name, timed, count, faces / seconds if faces else None)
    except (ValueError, OSError) as error:
        return " ".join(str(error).split()), []
    finally:
        del timed
        _free_memory()


def _shards(bench: Bench, name: str, count: int) -> shards.TimedClassifier:
    plan, folder = replace(bench.plan, model=name), folder_for(bench.output, name)
    if bench.distributed.first:
        claim(folder, "images", plan.settles())
        claim(folder, "shards", {"size": shards.SIZE})
    classifier = models.load_classifier(name, bench.distributed.device(bench.device))
    timed = shards.TimedClassifier(classifier)
    shards.measure(plan, timed, folder, bench.tools, bench.distributed, count)
    return timed


def _conclude(
    bench: Bench, name: str, timed: shards.TimedClassifier, count: int, speed: float | None
) -> tuple[Entry, list[Check]]:
    plan, folder = replace(bench.plan, model=name), folder_for(bench.output, name)
    classifier = timed.classifier
    doing = run.Run(plan, classifier, folder, bench.tools, bench.device, bench.command)
    metrics_json = run.conclude(doing, shards.join(folder, count))
    items = [
        item
        for item in aligned(leakage.sample_rows(plan), plan.detects, bench.tools)
        if isinstance(item, Aligned)
    ]
    check = leakage.of_prompts(classifier, items, name)
    return entry(name, metrics_json, classification.load(folder), plan, speed), [check]


def entry(
    name: str, metrics_json: dict[str, Any], scored: Scored, plan: Plan, speed: float | None
) -> Entry:
    """Build a model's entry from its `metrics.json` and its table of pictures."""
    block, data = metrics_json[plan.split], metrics_json["data"]
    return Entry(
        spec=name,
        family=family(name),
        folder=folder_for(Path(), name).name,
        faces=block["faces"],
        lost=block["pictures"]["lost"],
        figures={k: _figure(block, k) for k in FIGURES if block.get(k) is not None},
        chance=chance(Choice.of(scored), plan.seed),
        trained_on=data["spec"] if "fingerprint" in data else None,
        control=is_control(name),
        device=metrics_json["evaluation"]["device"],
        speed=speed,
    )


def family(name: str) -> str:
    """Classify a model: vision-language if it speaks or is CLIP with sentences as labels."""
    named = spec.parse(name)
    reads = models.KINDS[named.kind].voice or (named.kind == "clip" and not named.adapter)
    return LANGUAGE if reads else VISION


def is_control(name: str) -> bool:
    """Tell whether the run that a spec names was trained on shuffled labels."""
    if (folder := folder_of(name)) is None:
        return False
    for file in ("run.json", result.FILE):
        stored = read_json(folder / file) if (folder / file).is_file() else {}
        if {**stored, **stored.get("plan", {})}.get("shuffle_labels"):
            return True
    return False


def chance(choice: Choice, seed: int) -> dict[str, Figure]:
    """Measure accuracy and macro-F1 of the same answers in random order."""
    rng, n = np.random.default_rng(seed), len(choice.truth)
    deals = [choice.best[rng.permutation(n)] for _ in range(DEALS)]
    values = {
        "accuracy": [metrics.accuracy(choice.truth, deal) for deal in deals],
        "macro_f1": [metrics.macro_f1(choice.truth, deal, K) for deal in deals],
    }
    return {name: _range(np.array(scores)) for name, scores in values.items()}


def _range(values: NDArray[np.float64]) -> Figure:
    low, high = np.quantile(values, [0.025, 0.975])
    return Figure(float(values.mean()), (float(low), float(high)))


def _leaderboard(
    bench: Bench, entries: list[Entry], checks: list[Check], failed: dict[str, str]
) -> Leaderboard:
    if not entries:
        reasons = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise EvaluationError(f"No model could be measured. {reasons}")
    entries.sort(key=lambda e: (e.control, -e.figures["macro_f1"].value, e.spec))
    block = read_json(bench.output / entries[0].folder / result.FILE)[bench.plan.split]
    return Leaderboard(
        data=bench.plan.data,
        split=bench.plan.split,
        fingerprint=block["fingerprint"],
        pictures=block["pictures"]["pictures"],
        faces=max(e.faces for e in entries),
        people=block["people"],
        audit=(*checks, *controls(entries)),
        models=tuple(entries),
        differences=tuple(differences(bench, entries)),
        failed=failed,
        made={
            "command": bench.command,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "processes": bench.distributed.world,
            "draws": bench.plan.draws,
            "seed": bench.plan.seed,
            "versions": result.versions(),
        },
    )


def controls(entries: Sequence[Entry]) -> list[Check]:
    """Check that models trained on shuffled labels are at chance on the true ones."""
    checks = []
    for one in entries:
        if one.control:
            value, band = one.figures["macro_f1"].value, one.chance["macro_f1"].interval
            assert band is not None, "chance has a range"
            words = (
                f"macro-F1 {value:.3f}; 95 % of random deals lie in {band[0]:.3f} to {band[1]:.3f}"
            )
            verdict = PASSED if value <= band[1] + 1e-9 else FAILED
            checks.append(Check(f"shuffled labels: {one.spec}", verdict, words))
    return checks


def differences(bench: Bench, entries: Sequence[Entry]) -> list[Versus]:
    """Compare every vision-only model with every vision-language one, and all with the first."""
    entries = [e for e in entries if not e.control]
    pairs = [(a, b) for a, b in combinations(entries, 2) if a is entries[0] or a.family != b.family]
    pairs_compared = []
    for a, b in pairs:
        one, two = (classification.load(bench.output / e.folder) for e in (a, b))
        compared = classification.compare(one, two, bench.plan.draws, bench.plan.seed, COMPARED)
        pairs_compared.append((a.spec, b.spec, compared))
    holm = metrics.holm([compared["mcnemar_p"] for _, _, compared in pairs_compared])
    return [
        Versus(
            a=a,
            b=b,
            faces=compared["faces"],
            figures={
                n: Figure(compared[n]["difference"], tuple(compared[n]["interval"]))
                for n in COMPARED
            },
            p={n: compared[n]["p"] for n in COMPARED},
            mcnemar=compared["mcnemar_p"],
            mcnemar_holm=corrected,
        )
        for (a, b, compared), corrected in zip(pairs_compared, holm, strict=True)
    ]


def folder_for(output: Path, name: str) -> Path:
    """Name the folder of a model's evaluation, in letters that every file system takes."""
    return output / leakage.named(name)


def fresh(output: Path, specs: Sequence[str]) -> None:
    """Remove what an earlier benchmark of these models measured."""
    for path in output.glob("audit*.json"):
        path.unlink()
    for name in specs:
        folder = folder_for(output, name)
        run.fresh(folder)
        for path in (folder / shards.FOLDER).glob("*.csv"):
            path.unlink()


def _figure(block: dict[str, Any], name: str) -> Figure:
    low, high = block.get(f"{name}_interval") or (None, None)
    return Figure(block[name], None if low is None or high is None else (low, high))


def _free_memory() -> None:
    """Free the memory of a model before the next one."""
    gc.collect()
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
