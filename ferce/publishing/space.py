"""Stage a Space that serves the page with a published model."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from ferce.models import KINDS, spec
from ferce.publishing import staging

# What a Space runs and shows; tests, training and checks stay at home.
PARTS = ("app.py", "requirements.txt", "packages.txt", "LICENSE", ".assets", "ferce")


def prepare_space(root: Path, folder: Path, name: str, models: list[str]) -> None:
    """Copy page and package into a new folder; the README's front matter names the models.

    Args:
        root: folder of this repository.
        folder: new.
        name: `owner/name` of the Space.
        models: ids of the Hub.
    """
    folder.mkdir(parents=True)
    for part in PARTS:
        if (root / part).is_dir():
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / part, folder / part, ignore=skipped)
        else:
            shutil.copyfile(root / part, folder / part)
    _, front, text = (root / staging.CARD).read_text("utf-8").split("---\n", 2)
    front = front.replace("title: ferce\n", f"title: {name.rpartition('/')[2]}\n")
    front += "models:\n" + "".join(f"  - {model}\n" for model in models)
    (folder / staging.CARD).write_text(f"---\n{front}---\n{text}", "utf-8")


def variables(model: str) -> Mapping[str, str]:
    """Choose the variables of a Space that reads with a model, given by its spec."""
    chosen = {"FERCE_CLASSIFIER": model}
    return chosen | ({"FERCE_VOICE": model} if KINDS[spec.parse(model).kind].voice else {})
