r"""Evaluate one model on one split, by default the default classifier on the demo set's test split.

python train/evaluate.py
python train/evaluate.py --model timm:runs/classifier --data rafce:/data/RAF-CE --end-to-end \
    rafce:/data/RAF-CE?images=original --heatmaps 200 --against runs/evaluation-prototypes
python -m train.evaluate --model blip2:Salesforce/blip2-opt-2.7b+runs/blip2 --voice \
    blip2:Salesforce/blip2-opt-2.7b+runs/blip2 --clip openai/clip-vit-base-patch32

The folder (--output) gets metrics.json, plots and a table of every picture; after a kill the same
command goes on where it was.
"""

import argparse
import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce import data, models
from ferce.core.types import ReadingError
from ferce.data.record import SPLITS
from ferce.evaluation import EvaluationError, Plan, classification, evaluate, result
from ferce.evaluation.plan import Tools, default_cache
from ferce.evaluation.run import fresh
from ferce.explanation.heatmaps import METHODS
from ferce.models import hub, spec
from ferce.training import options


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--model",
        default=models.DEFAULT_CLASSIFIER,
        help="spec of the classifier (default: %(default)s)",
    )
    made.add_argument("--voice", default="", help="spec of the voice whose explanations are scored")
    made.add_argument("--output", type=Path, help="folder of the results")
    made.add_argument("--against", type=Path, help="folder of an evaluation to compare with")
    made.add_argument("--record", type=Path, help="run folder that gets the figures, to publish it")
    add_shared(made)
    add_scores(made)
    return made


def add_shared(made: argparse.ArgumentParser) -> None:
    """Add the options that `train/benchmark.py accuracy` has, too."""
    made.add_argument("--data", default="demo", help="spec of the data set (default demo)")
    made.add_argument("--split", choices=SPLITS, default="test", help="to score (default test)")
    made.add_argument(
        "--detect",
        choices=("auto", "yes", "no"),
        default="auto",
        help="find the face, or take pictures as crops; auto (the default) takes rendered ones as "
        "crops",
    )
    made.add_argument(
        "--draws", type=int, default=1000, help="resamples behind each interval (default 1000)"
    )
    made.add_argument("--seed", type=int, default=0, help="seed of the resamples (default 0)")
    made.add_argument("--device", default="auto", help="torch device, such as cuda:0")
    made.add_argument("--cache", type=Path, help="folder of aligned faces")
    made.add_argument("--jobs", type=int, default=1, help="processes that align faces (default 1)")
    made.add_argument("--fresh", action="store_true", help="measure everything again")
    made.add_argument("--quiet", action="store_true", help="no progress bars")


def add_scores(made: argparse.ArgumentParser) -> None:
    """Add the options of scores beyond the label."""
    made.add_argument(
        "--free-text", action="store_true", help="also ask for the label in the model's own words"
    )
    made.add_argument("--clip", default="", help="CLIP for CLIPScore, a Hub id or folder")
    made.add_argument("--encoder", default="", help="sentence encoder, a Hub id or folder")
    made.add_argument(
        "--parts",
        action="store_true",
        help="also score prior, network and measures of the packaged classifier alone",
    )
    made.add_argument(
        "--heatmaps", type=int, default=0, help="faces whose heat maps are scored (default 0)"
    )
    made.add_argument(
        "--method", choices=("auto", *METHODS), default="auto", help="of heat maps (default auto)"
    )
    made.add_argument(
        "--end-to-end",
        nargs="?",
        const=True,
        default="",
        metavar="DATA",
        help="also read the pictures (or these originals of them) as the app does",
    )


def plan_of(arguments: argparse.Namespace) -> Plan:
    """Build the plan; raises EvaluationError when options contradict each other."""
    options = {item.name: getattr(arguments, item.name) for item in fields(Plan)}
    if options["end_to_end"] is True:
        options["end_to_end"] = arguments.data
    return Plan(**options)


def folder_name(plan: Plan) -> str:
    """Name the folder after model, data and split."""
    words = f"{plan.model} {plan.data} {plan.split}"
    return "evaluation-" + re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-")


def check(
    plan: Plan, device: str = "auto", against: Path | None = None, run: Path | None = None
) -> None:
    """Refuse models, data or a method that cannot be.

    Args:
        plan: what is to be measured.
        device: of the models.
        against: folder of an evaluation to compare with.
        run: folder that gets the figures at the end.

    Raises:
        EvaluationError: what was expected, what came.
        DataError: a data set cannot be had.
    """
    for name in (plan.data, plan.end_to_end):
        if name:
            data.require(name)
    try:
        _check_models(plan, device)
    except ValueError as error:
        raise EvaluationError(str(error)) from error
    _check_method(plan)
    if against is not None:
        classification.require(against)
    if run is not None:
        result.require_run(run)
        _require_own(plan.model, run)


def _require_own(model: str, run: Path) -> None:
    """Refuse to record the figures of another model than the run's, whose card would show them."""
    folder, packaged = hub.folder_of(model), Path(models.__file__).parents[1] / "weights"
    own = folder is not None and folder.resolve() == run.resolve()
    if not own and (folder is not None or packaged not in run.resolve().parents):
        raise EvaluationError(f"--record {run} takes the figures of the model in it; got {model}.")


def _check_models(plan: Plan, device: str) -> None:
    models.check_classifier(plan.model, device)
    if plan.voice:
        models.check_voice(plan.voice, device)
    for place in (plan.clip, plan.encoder):
        if place:
            hub.local(place)


def _check_method(plan: Plan) -> None:
    if plan.method == "auto" or not plan.heatmaps:
        return
    opens = models.KINDS[spec.parse(plan.model).kind].opens
    if METHODS[plan.method].need not in ("any classifier", *opens):
        raise EvaluationError(f"{plan.model} has no network for the method {plan.method!r}.")


def main() -> None:
    """Parse the arguments, measure, print a table."""
    arguments = parser().parse_args()
    tools = Tools(arguments.cache or default_cache(), arguments.jobs, not arguments.quiet)
    plan = plan_of(arguments)
    check(plan, arguments.device, arguments.against, arguments.record)
    output = arguments.output or Path("runs") / folder_name(plan)
    if arguments.fresh:
        fresh(output)
    command = shlex.join(["python", "train/evaluate.py", *sys.argv[1:]])
    metrics = evaluate(plan, output, tools, command, arguments.against, arguments.device)
    if arguments.record:
        result.record(metrics[plan.split], plan.split, arguments.record)
    print(result.summary(metrics, plan.split))
    print(f"\nwritten to {output}")


if __name__ == "__main__":
    errors = (EvaluationError, ReadingError)
    options.run("evaluate", main, *errors, again="the same command goes on where it was.")
