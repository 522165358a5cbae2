"""Train a classifier of the 14 compounds from a plan, and leave a folder that timm loads."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.data.record import DataSet
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.training import checkpoint, examples, progress
from ferce.training.classifier import export, validation
from ferce.training.classifier.batches import Faces
from ferce.training.classifier.network import Opened, carry_head, open_network, require_network
from ferce.training.classifier.plan import Plan
from ferce.training.classifier.task import ClassifierTask, Stage, class_loss
from ferce.training.classifier.validation import Outputs
from ferce.training.examples import Examples, Order, chances
from ferce.training.optimiser import Ema
from ferce.training.options import Json
from ferce.training.progress import open_accelerator
from ferce.training.task import Position
from ferce.training.trainer import Limits, Session, Trainer

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True, eq=False)
class Run:
    """What the stages of one run share.

    Attributes:
        plan: what to do.
        session: accelerator, checkpoint folder and report.
        saved: the checkpoint to go on from.
        also: spec -> data set in place of what it names.
    """

    plan: Plan
    session: Session
    saved: checkpoint.Checkpoint | None
    also: Mapping[str, DataSet]


def train(
    plan: Plan,
    output: Path,
    resume: bool = False,
    data: DataSet | None = None,
    report: progress.Report = progress.silent,
    also: Mapping[str, DataSet] = MappingProxyType({}),
) -> Json:
    """Train, choose by the val split, calibrate, export; gives what `metrics.json` holds.

    Args:
        plan: what to do.
        output: folder of the run; `checkpoint/` within it is for resuming.
        resume: go on from the checkpoint, exactly as if the run had not been stopped.
        data: in place of `load_data(plan.data)`.
        report: takes a line an epoch.
        also: likewise in place of `plan.more` and `plan.basic_data`, by their specs.

    Raises:
        TrainingError: the plan does not fit the data, the network, or the checkpoint.
    """
    from accelerate.utils import set_seed

    require_network(plan.network)
    accelerator, report = open_accelerator(
        plan.device == "cpu", report, mixed_precision=plan.precision
    )
    set_seed(plan.seed, device_specific=True)
    begun = time.monotonic()
    saved = checkpoint.to_resume(output / checkpoint.FOLDER, plan, resume)
    with accelerator.main_process_first():
        read = examples.read(plan.data, plan, data)
        faces = examples.joined(read, plan, also.get(plan.more))
    labels = examples.labels_of(faces, plan)
    _announce(faces, labels, report)
    set_seed(plan.seed)  # the same network on every process
    opened = open_network(plan, labels, len(UNIT_NUMBERS) if plan.units else 0)
    set_seed(plan.seed, device_specific=True)
    session = Session(accelerator, output / checkpoint.FOLDER, asdict(plan), report)
    run = Run(plan, session, saved, also)
    if plan.basic_epochs:
        _basic_stage(run, opened, faces, labels)
    at, stage = _fit(run, "compound", opened, faces, labels)
    outputs = validation.predict(opened.net, stage.val, plan.batch, accelerator, plan.workers)
    if not accelerator.is_main_process:
        return {}
    known = facts(plan, faces, opened, accelerator) | {
        "history": at.history,
        "best_epoch": at.stopping.epoch,
        "seconds": round(time.monotonic() - begun, 1),
    }
    return finish(output, opened, outputs, faces, known)


def finish(output: Path, opened: Opened, outputs: Outputs, faces: Examples, known: Json) -> Json:
    """Calibrate, measure, write the folder; gives what `metrics.json` holds.

    Args:
        output: folder of the run.
        opened: the network with the weights to keep.
        outputs: its scores of `faces.val`.
        faces: what it was trained and chosen on.
        known: facts of the run; `history` among them, one row an epoch.
    """
    calibration = validation.calibrate(outputs)
    val = validation.measure(outputs, calibration, faces.people())
    trained = export.Trained(
        opened.net.cpu(),
        outputs.labels,
        opened.preprocessing,
        calibration,
        opened.arguments,
        validation.reliability(val.get("unit_auc", {})),
    )
    kept = {k: known[k] for k in ("data", "origin", "plan")}
    export.export(output, trained, {**kept, "training": _training(known)})
    export.report(output, {"val": val, **known})
    return {"val": val, **known}


def _training(known: Json) -> Json:
    """Describe how the network was trained, as its card says it; {} where no gradient was taken."""
    plan, epochs = known["plan"], len(known["history"])
    precision = "fp32" if plan["precision"] == "no" else plan["precision"]
    made = {"precision": precision, "learning_rate": plan["lr"], "epochs": epochs}
    return made if epochs else {}


def _fit(
    run: Run, name: str, opened: Opened, faces: Examples, labels: tuple[str, ...]
) -> tuple[Position, Stage]:
    """Train one stage, from its checkpoint if there is one; the network has the best weights."""
    stage, plan = _stage(run, name, opened, faces, labels), run.plan
    task = ClassifierTask(opened.net, stage, plan, run.session.accelerator)
    limits = Limits(
        stage.epochs, plan.max_steps, plan.minutes, plan.patience, plan.clip, plan.save_every
    )
    ema = Ema(opened.net, plan.ema) if plan.ema else None
    trainer = Trainer(task, [task.optimiser()], limits, run.session, ema)
    trainer.resume(run.saved)
    return trainer.run(), stage


def _stage(run: Run, name: str, opened: Opened, faces: Examples, labels: tuple[str, ...]) -> Stage:
    plan = run.plan
    train = Faces(faces.train, labels, opened.preprocessing, plan.augment, plan.seed)
    shares = examples.targets(faces.train, labels)
    weights = chances(shares) if plan.sampler == "weighted" else None
    step = plan.batch * plan.accumulate * run.session.accelerator.num_processes
    return Stage(
        name,
        train,
        Faces(faces.val, labels, opened.preprocessing),
        class_loss(plan, shares.sum(0)),
        Order(len(train), step, plan.seed, weights),
        plan.basic_epochs if name == "basic" else plan.epochs,
    )


def _basic_stage(run: Run, opened: Opened, faces: Examples, labels: tuple[str, ...]) -> None:
    """Train the network on the basic emotions first; its compounds begin as their means."""
    plan, network = run.plan, opened.net.network
    if plan.basic_data:
        with run.session.accelerator.main_process_first():
            data = run.also.get(plan.basic_data)
            faces = examples.read(plan.basic_data, plan, data, BASICS + COMPOUNDS)
    basics = examples.basic_labels(faces)
    network.reset_classifier(len(basics))
    if run.saved is None or run.saved.state["stage"] == "basic":
        _fit(run, "basic", opened, faces, basics)
    head = network.get_classifier()
    weights = (head.weight.detach().clone(), head.bias.detach().clone())
    network.reset_classifier(len(labels))
    carry_head(network, basics, labels, weights)


def _announce(faces: Examples, labels: Sequence[str], report: progress.Report) -> None:
    report(
        f"{faces.spec}: {len(faces.train)} faces to train on, {len(faces.val)} to choose on, "
        f"{len(labels)} labels, {sum(faces.problems.values())} rows unusable"
    )


def facts(plan: Plan, faces: Examples, opened: Opened, accelerator: "Accelerator") -> Json:
    """Describe the plan, the data, the network and the machine."""
    device = accelerator.device
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    known = facts_of(plan, faces)
    known["machine"] |= {"processes": accelerator.num_processes} | ({"device": gpu} if gpu else {})
    return known | {
        "origin": opened.origin,
        "network": opened.net.network.pretrained_cfg.get("architecture"),
        "parameters": sum(p.numel() for p in opened.net.parameters()),
    }


def facts_of(plan: Plan, faces: Examples) -> Json:
    """Describe the plan, the data and this machine's CPU."""
    import timm

    return {
        "plan": asdict(plan),
        "data": faces.summary(),
        "machine": {
            "device": f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
            "timm": timm.__version__,
        },
    }
