"""Fine-tune a BLIP-2 from a plan, and leave a folder that plain PEFT loads."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.data.record import DataSet
from ferce.evaluation import plots
from ferce.models.calibration import Calibration, save_calibration
from ferce.training import checkpoint, examples, progress
from ferce.training.classifier import validation
from ferce.training.classifier.loop import Position
from ferce.training.classifier.validation import Outputs
from ferce.training.examples import Examples
from ferce.training.language import adapters, export, features
from ferce.training.language.export import Facts, Origin
from ferce.training.language.features import Optics, Sight
from ferce.training.language.loop import LanguageLoop, Stage, load_learned
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.rows import Tokeniser
from ferce.training.language.speaker import Recall, Speaker
from ferce.training.language.trackers import accelerator_for
from ferce.training.language.turns import Script
from ferce.training.language.validation import Judge, shuffled

PASS = 32  # pictures in one pass without gradients


@dataclass(frozen=True, eq=False)
class Bench:
    """What the stages of one run share.

    `wrapped` is the PeftModel, `found` the checkpoint to go on from.
    """

    plan: LanguagePlan
    folder: Path
    accelerator: Any
    base: Origin
    wrapped: Any
    recall: Recall
    optics: Optics
    found: tuple[Path, checkpoint.Snapshot] | None
    report: progress.Report


def tune(
    plan: LanguagePlan,
    output: Path,
    resume: bool = False,
    data: DataSet | None = None,
    report: progress.Report = progress.silent,
) -> dict[str, Any]:
    """Fine-tune, choose by the val split, export; gives what `metrics.json` holds.

    Args:
        plan: what to do.
        output: folder of the run; `checkpoint/` within it is for resuming.
        resume: go on from the checkpoint, exactly as if the run had not been stopped.
        data: in place of `load_data(plan.data)`.
        report: takes a line an epoch.

    Raises:
        TrainingError: the plan does not fit the data, the base, or the checkpoint.
        CheckpointError: the base cannot be had.
    """
    begun = time.monotonic()
    accelerator = accelerator_for(plan, output)
    found = checkpoint.to_resume(output / checkpoint.FOLDER, plan, resume)
    with accelerator.main_process_first():
        faces = examples.read(plan.data, plan, data)
    base = export.origin(plan)
    bench = open_bench(plan, output, accelerator, base, found, report)
    stages = _stages(bench, faces)
    counts = adapters.counts(bench.recall.network)
    report(adapters.told(counts))
    if bench.optics.settings is not None:
        bench.recall.speaker.blind(bench.optics.settings["projected"])
    at = _run(bench, stages)
    outputs = stages[-1].judge.outputs()
    accelerator.end_training()
    if not accelerator.is_main_process:
        return {}
    block, calibration = figures(outputs, faces)
    best = at.history[at.stopping.epoch]
    if "val_rouge_l" in best:
        block["rouge_l"] = best["val_rouge_l"]  # where a card looks for it
    told = {
        "val": best | block,
        "history": at.history,
        "best_epoch": at.stopping.epoch,
        "seconds": round(time.monotonic() - begun, 1),
        "trainable": {part: pair[0] for part, pair in counts.items()},
        "parameters": {part: pair[1] for part, pair in counts.items()},
        "remembered": bench.optics.settings is not None,
    }
    facts = Facts(plan, base, accelerator, faces.told())
    finished = export.finish(output, bench.wrapped, bench.recall.processor, facts, told)
    if calibration is not None:
        save_calibration(output, calibration)
        plots.draw_confusion(block["confusion"], output / "confusion.png")
    return finished


def figures(outputs: Outputs, faces: Examples) -> tuple[dict[str, Any], Calibration | None]:
    """What a card needs of the val split, and the calibration behind it.

    Nothing where none of the faces that were scored shows a compound.
    """
    if not len(outputs.among(COMPOUNDS)[0]):
        return {}, None
    calibration = validation.calibrate(outputs)
    people = faces.people()[: len(outputs.logits)]
    return validation.measure(outputs, calibration, people), calibration


def open_bench(
    plan: LanguagePlan,
    output: Path,
    accelerator: Any,
    base: Origin,
    found: tuple[Path, checkpoint.Snapshot] | None,
    report: progress.Report,
) -> Bench:
    """The base with the adapter's layers in place, and what sees for it."""
    from accelerate.utils import set_seed

    from ferce.models.spec import Spec
    from ferce.models.vlm import blip2

    set_seed(plan.seed)  # the same adapter on every process
    options = {"load": plan.load_in, "batch": str(PASS)}
    backend = blip2.load(Spec("blip2", base.spec, options=options), str(accelerator.device))
    wrapped = adapters.attach(backend.network, plan)
    set_seed(plan.seed, device_specific=True)
    speaker, tokeniser = Speaker(backend), Tokeniser(backend)
    settings = None
    if plan.cached and speaker.frozen_sight:
        settings = features.settings(backend, plan, base.fingerprint, speaker.frozen_projection)
    optics = Optics(plan, backend, accelerator, settings, report)
    recall = Recall(backend, speaker, tokeniser)
    return Bench(plan, output, accelerator, base, wrapped, recall, optics, found, report)


def _stages(bench: Bench, faces: Examples) -> list[Stage]:
    """The stages to come; pictures are encoded here, before the network lets go of its sight."""
    plan, stages = bench.plan, []
    going = bench.found[1].state["stage"] if bench.found else "basic"
    if plan.basic_epochs and going == "basic":
        first = faces
        if plan.basic_data:
            with bench.accelerator.main_process_first():
                wanted = BASICS + COMPOUNDS
                first = examples.read(plan.basic_data, plan, wanted=wanted)
        stages.append(_stage(bench, "basic", first))
    return [*stages, _stage(bench, "compound", faces)]


def _stage(bench: Bench, name: str, faces: Examples) -> Stage:
    plan, recall = bench.plan, bench.recall
    held = faces.val[: plan.val_faces or None]
    bench.report(
        f"{name} stage, {faces.spec}: {len(faces.train)} faces to train on, {len(held)} to choose "
        f"on, {sum(faces.problems.values())} rows unusable"
    )
    train, val = bench.optics.open(faces.train, varied=True), bench.optics.open(held, varied=False)
    truths = [item.sample.label for item in faces.train]
    if plan.shuffle_labels:
        truths = shuffled(truths, plan.seed)
    script = script_of(plan, name, train, truths)
    judged = script_of(plan, name, val, [item.sample.label for item in held])
    judge = Judge(recall, recall.speaker, val, judged, bench.accelerator, PASS)
    return Stage(train, script, judge, plan.basic_epochs if name == "basic" else plan.epochs)


def script_of(plan: LanguagePlan, stage: str, seen: Sight, truths: Sequence[str | None]) -> Script:
    """The texts of a stage over some faces; `truths` are their labels."""
    return Script(
        seen.gallery,
        seen.shown,
        truths,
        stage,
        tuple(plan.weights),
        plan.questions,
        plan.house,
        plan.template,
        plan.seed,
    )


def _run(bench: Bench, stages: Sequence[Stage]) -> Position:
    """Train the stages, each from its checkpoint if there is one; the best adapter is in place."""
    from safetensors.torch import load_file

    runner = bench.accelerator.prepare_model(bench.recall.speaker)
    for stage in stages:
        folder = bench.folder / checkpoint.FOLDER
        loop = LanguageLoop(runner, bench.recall, stage, bench.plan, folder)
        if bench.found is not None and bench.found[1].state["stage"] == stage.name:
            loop.restore(*bench.found)
        loop.report = bench.report
        at = loop.run()
        bench.accelerator.wait_for_everyone()
        load_learned(loop.speaker, load_file(loop.best))
    return at
