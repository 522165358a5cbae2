"""What a model card says of its model to programs: the subject and the metadata of the card."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any

from ferce.data import sources
from ferce.data.sources import Licence
from ferce.evaluation.metrics_file import FIGURES, Measurements
from ferce.models.calibration import Calibration

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
        """Compute grams of CO2 of a training of so many seconds."""
        return self.watts / 1000 * seconds / 3600 * self.grams_per_kwh


@dataclass(frozen=True)
class Subject:
    """The model that a card is about.

    Attributes:
        name: `owner/name` on the Hub.
        kind: its kind in a spec, a key of `models.KINDS`.
        library: a key of `TASKS`.
        architecture: what it is in words, such as "resnet18".
        base: Hub id of the model it was trained from, None if none on the Hub.
        base_revision: its commit, tag or branch, None where not pinned.
        question: what a model that speaks is asked for the label, in its own format.
        sources: specs of every data set it has learnt from.
        licence: of the weights.
        calibration: kept with the weights; None where it has none.
        footprint: stated power, None where unknown.
        outputs: of a timm network; 0 for others.
        training: settings of the training by name, as `ferce.json` has them; {} where unknown.
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
    outputs: int = 0
    training: Mapping[str, Any] = field(default_factory=dict)
    packaged: bool = False
    notes: str = ""

    @property
    def spec(self) -> str:
        """The spec under which ferce loads it."""
        where = f"{self.base}+{self.name}" if self.library == "peft" else self.name
        return f"{self.kind}:{where}"


def metadata(subject: Subject, measured: Measurements) -> Any:
    """Make the `ModelCardData` at the head of the card."""
    from huggingface_hub import ModelCardData

    ids = sorted({i for spec in subject.sources if (i := sources.dataset_id(spec))})
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

    on = sources.source_of(measured.measured_on)
    kind = measured.measured_on.partition("?")[0].partition(":")[0]
    return [
        EvalResult(
            task_type=TASKS[subject.library],
            dataset_type=sources.dataset_id(measured.measured_on) or kind,
            dataset_name=on.name,
            dataset_split=measured.split,
            metric_type=metric,
            metric_name=FIGURES[name],
            metric_value=round(measured.figures[name].value, 4),
        )
        for name, metric in RESULTS.items()
    ]


def emissions(subject: Subject, measured: Measurements) -> dict[str, Any] | None:
    """Compute grams of CO2 from the stated power; None where that or the duration is unknown."""
    if subject.footprint is None or measured.seconds is None:
        return None
    return {
        "emissions": round(subject.footprint.grams(measured.seconds), 3),  # grams of CO2
        "source": "power and grid intensity as stated by the publisher, times training time",
        "training_type": "fine-tuning" if subject.base else "training",
        "hardware_used": str(measured.machine["device"]),
    }


FERCE = Template(
    """With ferce, which finds and aligns the face, calibrates and explains:

```python
import ferce

classifier = ferce.load_classifier("$spec")
with ferce.Reader(classifier=classifier) as reader:
    report = reader.read("photo.jpg")
for reading in report.readings:
    print(reading.state, reading.prediction.label)
```"""
)
TIMM = Template(
    """With timm alone, on an aligned crop$part:

```python
import timm
import torch
from PIL import Image

model = timm.create_model("$place:$name", pretrained=True).eval()
config = timm.data.resolve_data_config({}, model=model)
picture = timm.data.create_transform(**config)(Image.open("photo.jpg").convert("RGB"))
with torch.inference_mode():
    scores = model(picture[None]).softmax(1)[0]
print(model.pretrained_cfg["label_names"][int(scores.argmax())])
```"""
)
NETWORK_ALONE = " (the network without prior and readers, so the figures above are not its own)"
WHOLE = Template(
    """With transformers alone, on an aligned crop:

```python
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("$name").eval()
"""
)
ADAPTED = Template(
    """With transformers and PEFT alone, on an aligned crop:

```python
from peft import PeftModel
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

base = AutoModelForImageTextToText.from_pretrained("$base"$revision)
model = PeftModel.from_pretrained(base, "$name").eval()
"""
)
ASKED_IN_A_CHAT = Template(
    """processor = AutoProcessor.from_pretrained("$name")
picture = {"type": "image", "image": Image.open("photo.jpg").convert("RGB")}
question = {"type": "text", "text": "$question"}
inputs = processor.apply_chat_template(
    [{"role": "user", "content": [picture, question]}],
    add_generation_prompt=True,
    tokenize=True,
    return_dict=True,
    return_tensors="pt",
)
answer = model.generate(**inputs, max_new_tokens=12)[0, inputs["input_ids"].shape[1] :]
print(processor.decode(answer, skip_special_tokens=True))
```"""
)
ASKED = Template(
    """processor = AutoProcessor.from_pretrained("$name")
question = "$question"
picture = Image.open("photo.jpg").convert("RGB")
inputs = processor(images=picture, text=question, return_tensors="pt")
answer = model.generate(**inputs, max_new_tokens=12)
print(processor.batch_decode(answer, skip_special_tokens=True)[0])
```"""
)


def loading(subject: Subject) -> str:
    """Write how to load the model: with its library alone first, then with ferce."""
    ours = FERCE.substitute(spec=subject.spec)
    if subject.library == "timm":
        plain = TIMM.substitute(
            name=subject.name,
            place="local-dir" if subject.packaged else "hf-hub",
            part=NETWORK_ALONE if subject.kind == "embedded" else "",
        )
        return plain + "\n\n" + ours
    opened = ADAPTED if subject.library == "peft" else WHOLE
    asked = ASKED_IN_A_CHAT if subject.kind in ("chat", "fastvlm-mini") else ASKED
    words = {
        "name": subject.name,
        "base": subject.base,
        "revision": f', revision="{subject.base_revision}"' if subject.base_revision else "",
        "question": subject.question,
    }
    return opened.substitute(words) + asked.substitute(words) + "\n\n" + ours
