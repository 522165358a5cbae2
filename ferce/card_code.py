"""The code with which a card says how to load its model; a test runs it."""

from string import Template

from ferce.card_head import Subject

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
    """With timm alone, on an aligned crop:

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
TRANSFORMERS = Template(
    """With transformers alone, on an aligned crop:

```python
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("$name").eval()
processor = AutoProcessor.from_pretrained("$name")
picture = {"type": "image", "image": Image.open("photo.jpg").convert("RGB")}
question = {"type": "text", "text": "$question"}
inputs = processor.apply_chat_template(
    [{"role": "user", "content": [picture, question]}],
    tokenize=True,
    return_dict=True,
    return_tensors="pt",
)
answer = model.generate(**inputs, max_new_tokens=12)[0, inputs["input_ids"].shape[1] :]
print(processor.decode(answer, skip_special_tokens=True))
```"""
)
PEFT = Template(
    """With transformers and PEFT alone, on an aligned crop:

```python
from peft import PeftModel
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

base = AutoModelForImageTextToText.from_pretrained("$base"$revision)
model = PeftModel.from_pretrained(base, "$name").eval()
processor = AutoProcessor.from_pretrained("$name")
question = "$question"
picture = Image.open("photo.jpg").convert("RGB")
inputs = processor(images=picture, text=question, return_tensors="pt")
answer = model.generate(**inputs, max_new_tokens=12)
print(processor.batch_decode(answer, skip_special_tokens=True)[0])
```"""
)


def loading(subject: Subject) -> str:
    """The section's text: the library alone first, then ferce."""
    ours = FERCE.substitute(spec=subject.spec)
    if subject.library == "timm":
        return (
            TIMM.substitute(name=subject.name, place="local-dir" if subject.packaged else "hf-hub")
            + "\n\n"
            + ours
        )
    if subject.library == "transformers":
        plain = TRANSFORMERS.substitute(name=subject.name, question=subject.question)
        return plain + "\n\n" + ours
    revision = f', revision="{subject.base_revision}"' if subject.base_revision else ""
    plain = PEFT.substitute(
        name=subject.name, base=subject.base, revision=revision, question=subject.question
    )
    return plain + "\n\n" + ours
