"""`metrics.json`: the figures of a split beside what made them, as cards and the app read it."""

import json
import platform
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ferce.evaluation.pictures import Scored
from ferce.evaluation.plan import EvaluationError, Plan, write_json
from ferce.models.hub import folder_of

FILE = "metrics.json"
# Of a trained model's own metrics.json: told again, so that a card can be filled from this one.
OF_TRAINING = ("data", "origin", "machine", "seconds", "plan", "network", "parameters")
LIBRARIES = (
    *("numpy", "scipy", "torch", "transformers", "peft", "timm", "mediapipe"),
    *("opencv-contrib-python", "grad-cam", "sacrebleu", "rouge-score", "nltk"),
)
LISTED = 1000  # pictures without a figure that are named one by one; all stand in images.csv


def counts(scored: Scored) -> dict[str, Any]:
    """How many pictures there are, what became of them, and which got no figure and why."""
    lost = [i for i in range(len(scored)) if not scored.read[i]]
    return {
        "pictures": len(scored),
        "read": int(scored.read.sum()),
        "lost": len(lost),
        "lost_without_label": sum(scored.labels[i] == "" for i in lost),
        "lost_reasons": dict(Counter(str(scored.reasons[i]) for i in lost).most_common(20)),
        "lost_names": [str(scored.names[i]) for i in lost[:LISTED]],
        "app_would_refuse": int((scored.problems != "").sum()),
        "labels": dict(sorted(Counter(map(str, scored.labels[scored.read])).items())),
    }


def facts(plan: Plan, device: str) -> dict[str, Any]:
    """Of the training where the model's folder tells it, and of this machine."""
    told = _training(plan)
    told.setdefault("data", {"spec": "not told by the model"})
    told.setdefault("machine", {"device": device})
    told.setdefault("seconds", None)
    return told


def _training(plan: Plan) -> dict[str, Any]:
    folder = folder_of(plan.model)
    if folder is None or not (folder / FILE).is_file():
        return {}
    told = json.loads((folder / FILE).read_text("utf-8"))
    return {key: told[key] for key in OF_TRAINING if key in told}


def made(plan: Plan, command: str, seconds: float, device: str) -> dict[str, Any]:
    """Command, date, versions and duration of this evaluation."""
    return {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": plan.model,
        "settings": {key: getattr(plan, key) for key in plan.__dataclass_fields__},
        "python": platform.python_version(),
        "versions": versions(),
        "device": device,
        "seconds": round(seconds, 2),
    }


def versions() -> dict[str, str]:
    """Versions of the libraries that can change a figure, of those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def device_of(classifier: Any) -> str:
    """Where the model computes, in words."""
    device = str(getattr(classifier, "device", "cpu"))
    return f"{platform.machine()} CPU" if device == "cpu" else device


def record(block: Mapping[str, Any], split: str, run: Path) -> None:
    """Put the figures of a split into a run folder's `metrics.json`, which `publish` reads.

    Raises:
        EvaluationError: the folder is no run.
    """
    require_run(run)
    path = run / FILE
    write_json(path, json.loads(path.read_text("utf-8")) | {split: dict(block)})


def require_run(run: Path) -> None:
    """Refuse a folder that is no run; raises EvaluationError."""
    if not (run / FILE).is_file():
        raise EvaluationError(f"{run} has no {FILE}, so it is no run; give --record a run folder.")


def clean(value: Any) -> Any:
    """The value with None for every NaN or infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): clean(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value.item() if hasattr(value, "item") else value
