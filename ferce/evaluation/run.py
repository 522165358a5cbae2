"""The whole evaluation in order: pictures, texts, heat maps, the app; then figures and plots."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from ferce import backends
from ferce.data.align import release
from ferce.evaluation import (
    classification,
    comparison,
    components,
    end_to_end,
    pictures,
    plots,
    result,
    slices,
)
from ferce.evaluation.faces import Tools
from ferce.evaluation.plan import EvaluationError, Plan, claim, write_json
from ferce.evaluation.scored import Scored
from ferce.evaluation.table import Table
from ferce.labels import COMPOUNDS
from ferce.protocols import Classifier

Metrics = dict[str, Any]


def evaluate(
    plan: Plan,
    output: Path,
    tools: Tools,
    command: str = "",
    against: Path | None = None,
    device: str = "auto",
) -> Metrics:
    """Measure, and write `metrics.json`, plots and tables to `output`.

    What the tables in `output` hold already is not measured again, so a run that was killed goes
    on. Same plan, same figures.

    Args:
        plan: what to measure.
        output: folder, made if need be.
        tools: cache and progress bars.
        command: noted in the result.
        against: folder of another evaluation to compare with.
        device: of the models.

    Returns:
        What `metrics.json` holds.

    Raises:
        EvaluationError: there is nothing to measure, or the folder holds another evaluation.
    """
    start = time.perf_counter()
    other = None if against is None else comparison.load(against)
    claim(output, "images", plan.settles())
    classifier = backends.load_classifier(plan.model, device)
    table = pictures.measure(plan, classifier, output, tools)
    scored = Scored.of(table.rows())
    _require_faces(scored, plan)
    block = figures(scored, plan) | {"fingerprint": pictures.fingerprint(table)}
    if other is not None:
        told = comparison.compare(scored, other, plan.draws, plan.seed)
        block["against"] = told | {"folder": str(against)}
    block |= _extras(plan, classifier, output, tools, device)
    where = result.device_of(classifier)
    metrics = result.clean(
        {plan.split: block}
        | result.facts(plan, where)
        | {"evaluation": result.made(plan, command, time.perf_counter() - start, where)}
    )
    write_json(output / result.FILE, metrics)
    draw(block, plan.split, output)
    return metrics  # type: ignore[no-any-return]


def _require_faces(scored: Scored, plan: Plan) -> None:
    if not len(scored):
        raise EvaluationError(f"{plan.data} has no pictures in its {plan.split} split.")
    if not len(scored.compounds):
        lost = int((~scored.read).sum())
        first = f", the first as it {scored.reasons[~scored.read][0]}" if lost else ""
        raise EvaluationError(
            f"{plan.data} has no face with a compound label in its {plan.split} split: "
            f"{len(scored)} pictures, {lost} could not be read{first}."
        )


def figures(scored: Scored, plan: Plan) -> Metrics:
    """All that the table of pictures tells."""
    return {
        "data": plan.data,
        "split": plan.split,
        "detected": plan.detects,
        "pictures": result.counts(scored),
        **classification.figures(scored, plan.draws, plan.seed),
        "lost_are_wrong": _all(scored),
        **_free_text(scored, plan),
        "components": components.figures(scored, plan.draws, plan.seed),
        "slices": slices.figures(scored, plan.draws, plan.seed),
    }


def _all(scored: Scored) -> Metrics:
    """With lost pictures counted as errors, as far as their label is known."""
    rows = np.flatnonzero(np.isin(scored.labels, COMPOUNDS))
    best = np.full(len(rows), -1, np.intp)
    best[scored.read[rows]] = scored.probabilities[rows][scored.read[rows]].argmax(1)
    return classification.lost_are_wrong(scored.truth(rows), best)


def _free_text(scored: Scored, plan: Plan) -> Metrics:
    if not plan.free_text:
        return {}
    rows = scored.compounds
    named = classification.class_numbers(scored.free_text[rows])
    return {"free_text": classification.lost_are_wrong(scored.truth(rows), named)}


def _extras(plan: Plan, classifier: Classifier, output: Path, tools: Tools, device: str) -> Metrics:
    """What was asked for beyond the classification."""
    found: Metrics = {}
    if plan.end_to_end:
        claim(output, "end to end", plan.settles() | {"originals": plan.end_to_end})
        table = end_to_end.measure(plan, classifier, output, tools)
        found["end_to_end"] = end_to_end.figures(table)
    del device
    release()
    return found


def draw(block: Metrics, split: str, output: Path) -> None:
    """The plots beside `metrics.json`."""
    plots.draw_counts(block["confusion"], output / "confusion_counts.png", split)
    plots.draw_shares(block["confusion"], output / "confusion.png", split)
    plots.draw_reliability(block["reliability"], block["ece"], output / "reliability.png")


def fresh(output: Path) -> None:
    """Remove the tables and settings of an earlier evaluation from `output`."""
    for path in (*output.glob("*.csv"), output / "settings.json"):
        path.unlink(missing_ok=True)


__all__ = ["Table", "evaluate", "figures", "fresh"]
