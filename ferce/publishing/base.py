"""Publish the base of an adapter beside it, where it is a folder of this machine."""

from pathlib import Path
from string import Template

from ferce.core import notice
from ferce.models.hub import read_json
from ferce.models.vlm import packaged
from ferce.publishing import staging
from ferce.publishing.card_metadata import TAGS, TASKS
from ferce.publishing.publish import ADAPTER, kind_of
from ferce.publishing.staging import PublishError

PACKAGED_LICENCE = "apache-2.0"

CARD = Template(
    """$metadata
# $name

The base of the adapter [$adapter](https://huggingface.co/$adapter): a $architecture for
transformers. Nothing was measured of it alone; the figures of the adapter's card are those of both
together.

> $short

## How to load

With ferce:

```python
import ferce

classifier = ferce.load_classifier("$kind:$name+$adapter")
```

With transformers alone:

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

base = AutoModelForImageTextToText.from_pretrained("$name")
processor = AutoProcessor.from_pretrained("$name")
```
"""
)


def place_of(run: Path) -> Path | None:
    """Find the folder of the base that an adapter's config names; None where it is on the Hub."""
    named = str(read_json(run / ADAPTER).get("base_model_name_or_path") or "")
    place = packaged.BLIP2_BASE if named == packaged.BLIP2_NAME else Path(named)
    return place if named and place.is_dir() else None


def prepare_base(run: Path, folder: Path, name: str, adapter: str, licence: str | None) -> None:
    """Write the base of a run's adapter, with a card, into a new folder.

    Args:
        run: folder of the adapter.
        folder: new or empty.
        name: `owner/name` that the base gets.
        adapter: `owner/name` of the adapter.
        licence: of the base, as the Hub writes it; the packaged base has its own.

    Raises:
        PublishError: the run has no base in a folder, the licence is missing, or it must not go.
    """
    place = place_of(run) if (run / ADAPTER).is_file() else None
    if place is None:
        raise PublishError(f"{run} is no adapter on a base in a folder; leave --base-name out.")
    if licence is None and place != packaged.BLIP2_BASE:
        raise PublishError(f"Say the licence of the base in {place} with --base-licence.")
    staging.stage(place, folder)
    (folder / "metrics.json").unlink(missing_ok=True)
    config = read_json(folder / "config.json")
    architecture = str((config.get("architectures") or [config.get("model_type")])[0])
    kind = kind_of(read_json(run / ADAPTER), run)
    card = CARD.substitute(
        metadata=_metadata(name, licence or PACKAGED_LICENCE),
        name=name,
        adapter=adapter,
        architecture=architecture,
        short=notice.SHORT,
        kind=kind,
    )
    (folder / staging.CARD).write_text(card, "utf-8")
    staging.check(folder)


def _metadata(name: str, licence: str) -> str:
    from huggingface_hub import ModelCardData

    head = ModelCardData(
        language="en",
        license=licence,
        library_name="transformers",
        pipeline_tag=TASKS["transformers"],
        tags=list(TAGS),
        model_name=name.rpartition("/")[2],
    )
    return f"---\n{head.to_yaml().strip()}\n---"
