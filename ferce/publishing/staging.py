"""Copy what of a run folder, or into a Space, may be published; refuse what must not be."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ferce.core import jsontext
from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.models import KINDS, prompts, spec
from ferce.models.hub import PICKLES, CheckpointError, read_json

# What goes along; everything else in a run folder (checkpoints, logs, records) stays at home.
PUBLISHED = (
    "config.json", "model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json",
    "units.safetensors", "fusion.safetensors", "prior.safetensors", "network.onnx", "prior.onnx",
    "adapter_config.json", "adapter_model.safetensors",
    "processor_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
    "spiece.model", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja", "generation_config.json", "ferce.json", "metrics.json", "*.png",
)  # fmt: skip
CARD = "README.md"
UNSAFE = (*PICKLES, ".joblib", ".npy", ".npz", ".py", ".so")
CHECKPOINTS = "checkpoint*"  # folders for resuming a training
FILE_LIMIT = 5 * 2**30  # bytes; what one plain PUT to the Hub's storage takes
FOLDER_LIMIT = 20 * 2**30
OURS = ("ferce.json", "metrics.json")
# Keys of our JSON that speak of single pictures, whose names and labels may not be passed on.
RECORDS = ("samples", "prompts", "records", "names", "lost_names")
TRUTH = ("truth", "true_label", "label")
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")
# "/home/a/data", "~/data", "C:\data", alone or behind the "kind:" of a spec, up to its options
_PATH = r"(?:~/|/(?!/)|[A-Za-z]:\\)[^\s?@+\"']+"
_LOCAL = re.compile(rf"(?:[a-z0-9-]+:)?{_PATH}(?:[?@+].*)?")
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*")
_WITHIN = re.compile(rf"(?<![\w./~\\-]){_PATH}")


# What a Space runs and shows; tests, training and checks stay at home.
PARTS = ("app.py", "requirements.txt", "packages.txt", "LICENSE", ".assets", "ferce")


class PublishError(ValueError):
    """A run that must not be published, or could not be; one sentence says why and what to do."""


def stage(run: Path, folder: Path) -> None:
    """Copy the files of `PUBLISHED` from a run into an empty folder; the run stays as it is.

    Paths of this machine are cut to their last part, and single faces left out, in our own two
    JSON files; everything else is checked and copied byte by byte.

    Raises:
        PublishError: the run holds pickles, code, secrets, broken or oversized files, or records of
            prompts that give the true label away.
    """
    if not run.is_dir():
        raise PublishError(f"There is no run folder {run}.")
    _refuse_unsafe(run)
    _refuse_leaks(run)
    if folder.exists() and any(folder.iterdir()):
        raise PublishError(f"{folder} is not empty; name a new folder for what is to be published.")
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(run.iterdir()):
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in PUBLISHED):
            shutil.copyfile(path, folder / path.name)
    for name in OURS:
        if (folder / name).is_file():
            write_json(folder / name, portable(read_json(folder / name)))


def remove(folder: Path) -> None:
    """Remove what an earlier dry run left in a folder.

    Raises:
        PublishError: it holds something else.
    """
    patterns = (*PUBLISHED, CARD)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.is_file() or not any(fnmatch(path.name, pattern) for pattern in patterns):
            raise PublishError(f"{folder} holds {path.name}, which no dry run left; name a folder.")
    shutil.rmtree(folder, ignore_errors=True)


def check(folder: Path) -> None:
    """Refuse a staged folder that a Hub, or a reader of it, must not get.

    Raises:
        PublishError: weights missing or broken, a file over the limits, local paths or secrets.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    _refuse_unsafe(folder)
    if not any(path.suffix == ".safetensors" for path in files):
        raise PublishError(f"{folder} holds no weights as .safetensors.")
    for path in files:
        if (size := path.stat().st_size) > FILE_LIMIT:
            raise PublishError(f"{path.name} has {size:,} bytes; the limit is {FILE_LIMIT:,}.")
        _check_content(path)
    if (size := sum(path.stat().st_size for path in files)) > FOLDER_LIMIT:
        raise PublishError(f"The folder has {size:,} bytes; the limit is {FOLDER_LIMIT:,}.")


def portable(value: Any) -> Any:
    """Cut paths of this machine to their last part in some JSON, and leave `RECORDS` out.

    "rafce:/home/a/RAF-CE?images=original" becomes "rafce:RAF-CE?images=original".
    """
    if isinstance(value, Mapping):
        return {key: portable(item) for key, item in value.items() if key not in RECORDS}
    if isinstance(value, list):
        return [portable(item) for item in value]
    return _WITHIN.sub(_last_part, value) if isinstance(value, str) else value


def is_hub_id(text: str) -> bool:
    """Tell whether a text has the form `owner/name`."""
    return bool(_HUB_ID.fullmatch(text))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object as readable JSON."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _last_part(path: re.Match[str]) -> str:
    return re.split(r"[/\\]", path[0].rstrip("/\\"))[-1]


def _local_values(value: Any) -> Iterator[str]:
    """Find every text in some JSON that is a path of this machine as a whole."""
    if isinstance(value, str) and _LOCAL.fullmatch(value):
        yield value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _local_values(item)


def _refuse_unsafe(folder: Path) -> None:
    """Refuse pickles and code in the folder, apart from checkpoints that stay at home."""
    for path in sorted(folder.rglob("*")):
        home = any(fnmatch(part, CHECKPOINTS) for part in path.relative_to(folder).parts[:-1])
        if path.is_file() and not home and path.suffix in UNSAFE:
            raise PublishError(
                f"{path} is a pickle or code; publish a folder that holds weights as .safetensors."
            )


def _refuse_leaks(run: Path) -> None:
    for path in sorted(run.iterdir()):
        for record in _records(path):
            prompt, truth = record["prompt"], _truth(record)
            if truth is None:
                continue
            try:
                prompts.guard(str(prompt), truth, record.get("predicted"))
            except ValueError as error:
                raise PublishError(
                    f"{path.name} records a leak, so no figure counts: {error}"
                ) from (error)


def _truth(record: Mapping[str, Any]) -> str | None:
    known = (*COMPOUNDS, *BASICS, NEUTRAL)
    return next((record[key] for key in TRUTH if record.get(key) in known), None)


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    """Find every object with a prompt, anywhere in a JSON or JSONL file of the run."""
    try:
        for text in filter(str.strip, _texts(path)):
            yield from _with_prompt(jsontext.parse(text))
    except (ValueError, RecursionError) as error:
        raise PublishError(f"{path.name} must hold JSON; {error}") from error


def _texts(path: Path) -> Sequence[str]:
    """Read each text of a file that should be JSON."""
    if path.suffix == ".jsonl":
        return path.read_text("utf-8").splitlines()
    known = path.suffix == ".json" and not path.name.startswith(("tokenizer", "vocab"))
    return [path.read_text("utf-8")] if known else []


def _with_prompt(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if "prompt" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _with_prompt(item)


def _check_content(path: Path) -> None:
    """Check that a file is what its name says, without secrets and paths."""
    if path.suffix == ".safetensors":
        _check_weights(path)
    elif path.suffix == ".png":
        if path.read_bytes()[:8] != b"\x89PNG\r\n\x1a\n":
            raise PublishError(f"{path.name} is not a PNG picture.")
    else:
        _check_text(path)


def _check_weights(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            count = len(list(file.keys()))
    except (SafetensorError, OSError) as error:
        raise PublishError(f"{path.name} is no sound safetensors file: {error}.") from error
    if not count:
        raise PublishError(f"{path.name} holds no tensor.")


def _check_text(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    if _TOKEN.search(text):
        raise PublishError(f"{path.name} holds what looks like a token of the Hub; remove it.")
    if path.suffix != ".json" or path.name in ("tokenizer.json", "vocab.json"):
        return
    try:
        content = read_json(path)
    except CheckpointError as error:
        raise PublishError(str(error)) from error
    if local := next(_local_values(content), None):
        raise PublishError(f"{path.name} holds the path {local} of this machine.")


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
    _, front, text = (root / CARD).read_text("utf-8").split("---\n", 2)
    front = front.replace("title: ferce\n", f"title: {name.rpartition('/')[2]}\n")
    front += "models:\n" + "".join(f"  - {model}\n" for model in models)
    (folder / CARD).write_text(f"---\n{front}---\n{text}", "utf-8")


def space_variables(model: str) -> Mapping[str, str]:
    """Choose the variables of a Space that reads with a model, given by its spec."""
    chosen = {"FERCE_CLASSIFIER": model}
    return chosen | ({"FERCE_VOICE": model} if KINDS[spec.parse(model).kind].voice else {})
