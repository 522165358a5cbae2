"""What is wrong with an evaluation, as far as that shows before a model is loaded."""

from pathlib import Path

from ferce import data, models
from ferce.evaluation import classification, result
from ferce.evaluation.plan import EvaluationError, Plan
from ferce.explanation.heatmaps import METHODS
from ferce.models import hub, spec


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
