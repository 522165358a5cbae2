"""The whole evaluation in order: pictures, texts, heat maps, the app; then figures and plots."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ferce import models
from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import Classifier
from ferce.evaluation import (
    classification,
    components,
    end_to_end,
    heat,
    pictures,
    plots,
    result,
    similarity,
    slices,
    texts,
    units,
)
from ferce.evaluation.heat_scores import Network
from ferce.evaluation.pictures import Scored
from ferce.evaluation.plan import EvaluationError, Plan, Table, Tools, claim, write_json
from ferce.models.hub import weights
from ferce.reading.pipeline import Reader

Metrics = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Run:
    """An evaluation under way; `command` is noted in its result."""

    plan: Plan
    classifier: Classifier
    output: Path
    tools: Tools
    device: str
    command: str = ""
    started: float = field(default_factory=time.perf_counter)

    def claim(self, name: str, wanted: Metrics) -> None:
        """Note what a table depends on; see `plan.claim`."""
        claim(self.output, name, wanted)


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
    started = time.perf_counter()
    other = None if against is None else (against, classification.load(against))
    classifier = models.load_classifier(plan.model, device)
    run = Run(plan, classifier, output, tools, device, command, started)
    run.claim("images", plan.settles())
    return conclude(run, pictures.measure(plan, classifier, output, tools), other)


def conclude(run: Run, table: Table, other: tuple[Path, Scored] | None = None) -> Metrics:
    """Conclude from the table of pictures, with what else the plan asks for; see `evaluate`.

    Args:
        run: whose folder gets `metrics.json` and plots.
        table: of every picture.
        other: folder and pictures of another evaluation to compare with.
    """
    plan, scored = run.plan, Scored.of(table.rows())
    _require_faces(scored, plan)
    block = figures(scored, plan) | {"fingerprint": pictures.fingerprint(table)}
    if other is not None:
        compared = classification.compare(scored, other[1], plan.draws, plan.seed)
        block["against"] = compared | {"folder": str(other[0])}
    if coded := units.figures(table.rows(), plan.draws, plan.seed):
        block["units"] = coded
    if people := slices.by_people(table.rows()):
        block["groups"] = people
    block |= _extras(run, scored)
    if "rouge_l" in block.get("text", {}):  # where a card looks for it
        rouge = block["text"]["rouge_l"]
        block |= {"rouge_l": rouge["value"], "rouge_l_interval": rouge["interval"]}
    where, seconds = result.device_of(run.classifier), time.perf_counter() - run.started
    metrics = result.clean(
        {plan.split: block}
        | result.facts(plan, where)
        | {"evaluation": result.made(plan, run.command, seconds, where)}
    )
    write_json(run.output / result.FILE, metrics)
    draw(block, plan.split, run.output)
    return metrics  # type: ignore[no-any-return]


def _require_faces(scored: Scored, plan: Plan) -> None:
    if not len(scored):
        raise EvaluationError(f"{plan.data} has no pictures in its {plan.split} split.")
    if not (scored.read & (scored.labels != "")).any():
        lost = int((~scored.read).sum())
        first = f", the first as it {scored.reasons[~scored.read][0]}" if lost else ""
        raise EvaluationError(
            f"{plan.data} has no face with a label in its {plan.split} split: "
            f"{len(scored)} pictures, {lost} could not be read{first}."
        )


def figures(scored: Scored, plan: Plan) -> Metrics:
    """Compute all figures of the table of pictures; without compounds, the single emotions."""
    block = {
        "data": plan.data,
        "split": plan.split,
        "detected": plan.detects,
        "pictures": result.counts(scored),
        "components": components.figures(scored, plan.draws, plan.seed),
        "faces": len(scored.compounds),
    }
    if not len(scored.compounds):
        return block
    return {
        **block,
        **classification.figures(scored, plan.draws, plan.seed),
        "lost_are_wrong": _all(scored),
        **_free_text(scored, plan),
        "slices": slices.by_attribute(scored, plan.draws, plan.seed),
    }


def _all(scored: Scored) -> Metrics:
    """Count lost pictures as errors; of a file that is missing the label is not known."""
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


def _extras(run: Run, scored: Scored) -> Metrics:
    """Measure what was asked for beyond the classification."""
    plan, block, reader = run.plan, Metrics(), Reader(run.classifier)
    written: dict[str, str] = {}
    if plan.parts:
        from ferce.evaluation import parts  # with torch

        block |= {"parts": parts.measure(plan, run.classifier, run.tools)}
    if plan.voice:
        reader = Reader(run.classifier, models.load_voice(plan.voice, run.device))
        run.claim("texts", {"voice": plan.voice, "weights": weights(plan.voice)})
        table = texts.measure(plan, reader, run.output, run.tools)
        block |= {"text": _text_figures(run, table)}
        written = {row["name"]: row["text"] for row in table.rows()}
    if plan.heatmaps:
        block["heat"] = _heat(run, reader, scored, written)
    if plan.end_to_end:
        run.claim("end to end", {"originals": plan.end_to_end})
        table = end_to_end.measure(plan, run.classifier, run.output, run.tools)
        block["end_to_end"] = end_to_end.figures(table)
    return block


def _heat(run: Run, reader: Reader, scored: Scored, written: Mapping[str, str]) -> Metrics:
    """Measure heat maps, and the texts that were written about the same faces."""
    plan = run.plan
    run.claim("heat maps", {n: getattr(plan, n) for n in ("method", "seed", "heatmaps", "voice")})
    names = heat.chosen(scored, plan.heatmaps, plan.seed)
    network = Network.of(run.classifier, plan.seed)
    chosen = {name: written.get(name, "") for name in names}
    maps = heat.measure(plan, reader, network, chosen, run.output, run.tools)
    return heat.figures(maps, network, plan)


def _text_figures(run: Run, table: Table) -> Metrics:
    plan, block = run.plan, texts.figures(table, run.plan)
    if plan.clip:
        run.claim("clip", {"clip": plan.clip})
        pairs = similarity.measure_clip(plan, table, run.output, run.tools, run.device)
        block |= similarity.clip_figures(pairs, plan)
    if plan.encoder:
        block |= similarity.encoder_figures(table, plan, run.device)
    return block


def draw(block: Metrics, split: str, output: Path) -> None:
    """Draw the plots beside `metrics.json`, of data with compounds."""
    if not block["faces"]:
        return
    plots.draw_counts(block["confusion"], output / "confusion_counts.png", split)
    plots.draw_shares(block["confusion"], output / "confusion.png", split)
    plots.draw_reliability(block["reliability"], block["ece"], output / "reliability.png")


def fresh(output: Path) -> None:
    """Remove the tables and settings of an earlier evaluation from `output`."""
    for path in (*output.glob("*.csv"), output / "settings.json"):
        path.unlink(missing_ok=True)
