"""What a model card says of its model to programs: the subject and the metadata of the card."""

from dataclasses import dataclass
from typing import Any

from ferce import licences
from ferce.calibration import Calibration
from ferce.licences import Licence
from ferce.measurements import FIGURES, Measurements

TASKS = {
    "timm": "image-classification",
    "peft": "image-text-to-text",
    "transformers": "image-text-to-text",
}
TAGS = ("facial-expression-recognition", "compound-expression", "ferce")
# Figures that become evaluation results of the metadata, under the Hub's names of metrics.
RESULTS = {"macro_f1": "f1", "accuracy": "accuracy", "uar": "recall", "ece": "ece"}


@dataclass(frozen=True)
class Footprint:
    """Power and carbon intensity that the publisher states: watts drawn, grams of CO2 per kWh."""

    watts: float
    grams_per_kwh: float

    def grams(self, seconds: float) -> float:
        """Grams of CO2 of a training of so many seconds."""
        return self.watts / 1000 * seconds / 3600 * self.grams_per_kwh


@dataclass(frozen=True)
class Subject:
    """The model that a card is about.

    Attributes:
        name: `owner/name` on the Hub.
        kind: its kind in a spec, a key of `backends.KINDS`.
        library: a key of `TASKS`.
        architecture: what it is in words, such as "resnet18".
        base: Hub id of the model it was trained from, None if none on the Hub.
        base_revision: its commit, tag or branch, None where not pinned.
        question: what a model that speaks is asked for the label, in its own format.
        sources: specs of every data set it has learnt from.
        licence: of the weights.
        calibration: kept with the weights; None where it has none.
        footprint: stated power, None where unknown.
        packaged: it lies in the package, and `name` is its folder there.
        notes: Markdown that its makers wrote: parts, sources, what else was measured.
    """

    name: str
    kind: str
    library: str
    architecture: str
    base: str | None
    sources: tuple[str, ...]
    licence: Licence
    base_revision: str | None = None
    question: str = ""
    calibration: Calibration | None = None
    footprint: Footprint | None = None
    packaged: bool = False
    notes: str = ""

    @property
    def spec(self) -> str:
        """Under which ferce loads it."""
        where = f"{self.base}+{self.name}" if self.library == "peft" else self.name
        return f"{self.kind}:{where}"


def metadata(subject: Subject, measured: Measurements) -> Any:
    """The `ModelCardData` at the head of the card."""
    from huggingface_hub import ModelCardData

    ids = sorted({i for spec in subject.sources if (i := licences.dataset_id(spec))})
    more: dict[str, Any] = (
        {} if (grams := emissions(subject, measured)) is None else {"co2_eq_emissions": grams}
    )
    if subject.licence.name:
        more |= {"license_name": subject.licence.name}
    return ModelCardData(
        language="en",
        license=subject.licence.key,
        library_name=subject.library,
        pipeline_tag=TASKS[subject.library],
        tags=list(TAGS),
        base_model=None if subject.packaged else subject.base,
        datasets=ids or None,
        model_name=subject.name.rpartition("/")[2],
        eval_results=_results(subject, measured),
        **more,
    )


def _results(subject: Subject, measured: Measurements) -> list[Any]:
    from huggingface_hub import EvalResult

    on = licences.source(measured.measured_on)
    kind = measured.measured_on.partition("?")[0].partition(":")[0]
    return [
        EvalResult(
            task_type=TASKS[subject.library],
            dataset_type=licences.dataset_id(measured.measured_on) or kind,
            dataset_name=on.name,
            dataset_split=measured.split,
            metric_type=metric,
            metric_name=FIGURES[name],
            metric_value=round(measured.figures[name].value, 4),
        )
        for name, metric in RESULTS.items()
    ]


def emissions(subject: Subject, measured: Measurements) -> dict[str, Any] | None:
    """Grams of CO2 from the stated power, None where it was not stated or nothing was trained."""
    if subject.footprint is None or measured.seconds is None:
        return None
    return {
        "emissions": round(subject.footprint.grams(measured.seconds), 3),  # grams of CO2
        "source": "power and grid intensity as stated by the publisher, times training time",
        "training_type": "fine-tuning" if subject.base else "training",
        "hardware_used": str(measured.machine["device"]),
    }
