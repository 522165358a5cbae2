"""What is wrong with a plan, as far as that shows before torch is loaded or a face is read."""

from pathlib import Path

from ferce import data
from ferce.models import forms, hub, spec
from ferce.models.vlm.packaged import BLIP2 as MINI
from ferce.training.classifier.plan import Plan
from ferce.training.language.adapters import pattern
from ferce.training.language.plan import LanguagePlan
from ferce.training.progress import TrainingError


def check(plan: Plan) -> None:
    """Refuse data or a network that cannot be.

    Raises:
        TrainingError: the network is a folder that is not there.
        DataError: a data set cannot be had.
        CheckpointError: the network is neither a folder with weights nor an id of the Hub.
    """
    for name in (plan.data, plan.more, plan.basic_data):
        if name:
            data.require(name)
    if plan.network.startswith("clip:"):
        forms.clip(spec.parse(plan.network))
    elif Path(plan.network).expanduser().is_dir():
        hub.local(plan.network)
    elif plan.network.startswith((".", "/", "~")):
        raise TrainingError(f"There is no folder {plan.network}; give a run or the name of timm.")


def check_language(plan: LanguagePlan) -> None:
    """Refuse data, a base or a scope that cannot be.

    Raises:
        TrainingError: the scope is unknown.
        DataError: a data set cannot be had.
        CheckpointError: the base is neither a folder with weights nor an id of the Hub.
    """
    pattern(plan.scope)
    for name in (plan.data, plan.more, plan.basic_data):
        if name:
            data.require(name)
    if plan.base != MINI:
        hub.local(plan.base, plan.revision or None)
