"""Fine-tune BLIP-2 or a chat model from a plan, and leave a folder that plain PEFT loads."""

import importlib.util
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.data.record import DataSet
from ferce.evaluation import plots
from ferce.models.calibration import Calibration
from ferce.training import checkpoint, examples, progress
from ferce.training.classifier import validation
from ferce.training.classifier.validation import Outputs
from ferce.training.examples import Examples
from ferce.training.language import adapters, export, features, learner
from ferce.training.language.conversation import Conversation
from ferce.training.language.export import Facts, Origin
from ferce.training.language.features import FeatureSource, FeatureSources
from ferce.training.language.learner import Learner
from ferce.training.language.loss_model import FeatureBlip2
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.rows import balance_of
from ferce.training.language.task import LanguageTask, Stage
from ferce.training.language.validation import Validator, rouge_scorer, shuffled
from ferce.training.optimiser import adamw
from ferce.training.options import Json
from ferce.training.progress import TrainingError, open_accelerator
from ferce.training.task import Position
from ferce.training.trainer import Limits, Session, Trainer

if TYPE_CHECKING:
    from accelerate import Accelerator
    from peft import PeftModel

PASS = 32  # pictures in one pass without gradients


@dataclass(frozen=True, eq=False)
class Tuning:
    """What the stages of one run share.

    Attributes:
        plan: what to do.
        session: accelerator, checkpoint folder and report.
        base: where the base came from.
        wrapped: the network with its adapter.
        backend: the same network as it learns and is scored.
        sources: open the features of a data set.
        saved: the checkpoint to go on from.
    """

    plan: LanguagePlan
    session: Session
    base: Origin
    wrapped: "PeftModel"
    backend: Learner
    sources: FeatureSources
    saved: checkpoint.Checkpoint | None = None


def tune(
    plan: LanguagePlan,
    output: Path,
    resume: bool = False,
    data: DataSet | None = None,
    report: progress.Report = progress.silent,
) -> Json:
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
    if plan.rouge_faces:
        rouge_scorer()  # rather now than after the first epoch
    accelerator, report = open_run(plan, output, report)
    session = Session(accelerator, output / checkpoint.FOLDER, asdict(plan), report)
    saved = checkpoint.to_resume(session.folder, plan, resume)
    with accelerator.main_process_first():
        faces = examples.joined(examples.read(plan.data, plan, data), plan)
    base = export.origin(plan)
    tuning = open_tuning(plan, session, base, faces.train[0].face().size, saved)
    stages = _stages(tuning, faces)
    counts = adapters.counts(tuning.backend.network)
    report(adapters.summary(counts))
    if tuning.sources.settings is not None:
        assert isinstance(tuning.backend, FeatureBlip2)
        tuning.backend.loss_model.free_vision(tuning.sources.settings["projected"])
    at = _run(tuning, stages)
    outputs = stages[-1].validator.outputs()
    accelerator.end_training()
    if not accelerator.is_main_process:
        return {}
    known = {
        "history": at.history,
        "best_epoch": at.stopping.epoch,
        "seconds": round(time.monotonic() - begun, 1),
        "trainable": {part: pair[0] for part, pair in counts.items()},
        "parameters": {part: pair[1] for part, pair in counts.items()},
        "remembered": tuning.sources.settings is not None,
    }
    return _finish(tuning, output, faces, outputs, known)


def _finish(tuning: Tuning, output: Path, faces: Examples, outputs: Outputs, known: Json) -> Json:
    """Measure and export; gives what `metrics.json` holds."""
    block, calibration = figures(outputs, faces)
    best = known["history"][known["best_epoch"]]
    if "val_rouge_l" in best:
        block["rouge_l"] = best["val_rouge_l"]  # where a card looks for it
    facts = Facts(tuning.plan, tuning.base, tuning.session.accelerator, faces.summary())
    made = {"val": best | block, **known}
    finished = export.finish(output, tuning.wrapped, tuning.backend, facts, made, calibration)
    if calibration is not None:
        plots.draw_confusion(block["confusion"], output / "confusion.png")
    return finished


def figures(outputs: Outputs, faces: Examples) -> tuple[Json, Calibration | None]:
    """Measure what a card needs of the val split; gives the calibration, too.

    Nothing where none of the faces that were scored shows a compound.
    """
    if not len(outputs.among(COMPOUNDS)[0]):
        return {}, None
    calibration = validation.calibrate(outputs)
    people = faces.people()[: len(outputs.logits)]
    return validation.measure(outputs, calibration, people), calibration


def open_run(
    plan: LanguagePlan, output: Path, report: progress.Report = progress.silent
) -> tuple["Accelerator", progress.Report]:
    """Join the processes of a run and open its trackers, which write to `output/trackers`.

    Raises:
        TrainingError: a tracker is not installed; or as `progress.open_accelerator` raises it.
    """
    for name in plan.trackers:
        if importlib.util.find_spec(name) is None:
            raise TrainingError(f"The tracker {name} is not installed: pip install {name}.")
    accelerator, report = open_accelerator(
        plan.device == "cpu",
        report,
        gradient_accumulation_steps=1,  # the loop accumulates itself, by the weights of the rows
        log_with=list(plan.trackers) or None,
        project_dir=str(output / "trackers"),
    )
    if plan.trackers:
        accelerator.init_trackers("ferce-blip2", config=asdict(plan))
    return accelerator, report


def open_tuning(
    plan: LanguagePlan,
    session: Session,
    base: Origin,
    size: int,
    saved: checkpoint.Checkpoint | None = None,
) -> Tuning:
    """Load the base, attach LoRA, build the feature sources; `size` is the faces' in pixels."""
    from accelerate.utils import set_seed

    set_seed(plan.seed)  # the same adapter on every process
    options = {"load": plan.load_in, "batch": str(PASS)}
    device = str(session.accelerator.device)
    plain = learner.load(base.folder, device, options)
    wrapped = adapters.attach(plain.network, plan)
    set_seed(plan.seed, device_specific=True)
    backend, settings = learner.learner_of(plain, size), None
    if plan.cached and isinstance(backend, FeatureBlip2) and backend.loss_model.frozen_vision:
        settings = features.settings(backend, plan, base.fingerprint)
    sources = FeatureSources(plan, backend, session.accelerator, settings, session.report)
    return Tuning(plan, session, base, wrapped, backend, sources, saved)


def _stages(tuning: Tuning, faces: Examples) -> list[Stage]:
    """Open the stages to come; pictures are encoded here, before the vision tower is freed."""
    plan, stages = tuning.plan, []
    going = tuning.saved.state["stage"] if tuning.saved else "basic"
    if plan.basic_epochs and going == "basic":
        first = faces
        if plan.basic_data:
            with tuning.session.accelerator.main_process_first():
                wanted = BASICS + COMPOUNDS
                first = examples.read(plan.basic_data, plan, wanted=wanted)
        stages.append(_stage(tuning, "basic", first))
    return [*stages, _stage(tuning, "compound", faces)]


def _stage(tuning: Tuning, name: str, faces: Examples) -> Stage:
    plan, backend = tuning.plan, tuning.backend
    held = faces.val[: plan.val_faces or None]
    tuning.session.report(
        f"{name} stage, {faces.spec}: {len(faces.train)} faces to train on, {len(held)} to choose "
        f"on, {sum(faces.problems.values())} rows unusable"
    )
    epochs = plan.basic_epochs if name == "basic" else plan.epochs
    train = tuning.sources.open(faces.train, epochs)
    val = tuning.sources.open(held)
    truths = [item.sample.label for item in faces.train]
    if plan.shuffle_labels:
        truths = shuffled(truths, plan.seed)
    texts = conversation_of(plan, name, train, truths)
    asked = conversation_of(plan, name, val, [item.sample.label for item in held])
    validator = Validator(backend, val, asked, tuning.session.accelerator, PASS)
    balance = balance_of(plan, name, faces.train, backend.tokeniser)
    return Stage(train, texts, validator, epochs, balance)


def conversation_of(
    plan: LanguagePlan, stage: str, source: FeatureSource, truths: Sequence[str | None]
) -> Conversation:
    """Make the texts of a stage over some faces; `truths` are their labels."""
    return Conversation(
        source.gallery,
        source.shown,
        truths,
        stage,
        tuple(plan.weights),
        plan.questions,
        plan.house,
        plan.template,
        plan.seed,
    )


def _run(tuning: Tuning, stages: Sequence[Stage]) -> Position:
    """Train the stages, each from its checkpoint if there is one; the best adapter is in place."""
    plan, model = tuning.plan, tuning.backend.loss_model
    runner = tuning.session.accelerator.prepare_model(model)
    for stage in stages:
        task = LanguageTask(runner, tuning.backend, stage, plan)
        limits = Limits(
            stage.epochs,
            max_steps=plan.max_steps,
            patience=plan.patience,
            clip=plan.clip,
            save_every=plan.save_every,
        )
        optimiser = adamw(model.parameters(), plan.optimiser, plan.rate, plan.weight_decay)
        trainer = Trainer(task, [optimiser], limits, tuning.session)
        trainer.resume(tuning.saved)
        at = trainer.run()
    return at
