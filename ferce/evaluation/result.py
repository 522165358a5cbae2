"""`metrics.json`: the figures of a split beside what made them, also as a table to print."""

import json
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ferce.core.protocols import Classifier, OnDevice
from ferce.evaluation.pictures import Scored
from ferce.evaluation.plan import EvaluationError, Plan, write_json
from ferce.models.hub import folder_of

FILE = "metrics.json"
# Of a trained model's own metrics.json: copied, so that a card can be filled from this one.
OF_TRAINING = ("data", "origin", "machine", "seconds", "plan", "network", "parameters")
LIBRARIES = (
    *("numpy", "scipy", "torch", "transformers", "peft", "timm", "mediapipe"),
    *("opencv-contrib-python", "grad-cam", "sacrebleu", "rouge-score", "nltk"),
)
LISTED = 1000  # pictures without a figure that are named one by one; all stand in images.csv


def counts(scored: Scored) -> dict[str, Any]:
    """Count the pictures, what became of them, and which got no figure and why."""
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
    """Collect facts of the training, where the model's folder has them, and this machine."""
    known = _training(plan)
    known.setdefault("data", {"spec": "not told by the model"})
    known.setdefault("machine", {"device": device})
    known.setdefault("seconds", None)
    return known


def _training(plan: Plan) -> dict[str, Any]:
    folder = folder_of(plan.model)
    if folder is None or not (folder / FILE).is_file():
        return {}
    document = json.loads((folder / FILE).read_text("utf-8"))
    return {key: document[key] for key in OF_TRAINING if key in document}


def made(plan: Plan, command: str, seconds: float, device: str) -> dict[str, Any]:
    """Record command, date, versions and duration of this evaluation."""
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
    """List the versions of installed libraries that can change a figure."""
    installed = {}
    for name in LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def device_of(classifier: Classifier) -> str:
    """Name the device that the model computes on."""
    device = str(classifier.device) if isinstance(classifier, OnDevice) else "cpu"
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
    """Replace every NaN or infinity, which JSON does not have, by None."""
    if isinstance(value, Mapping):
        return {str(key): clean(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value.item() if hasattr(value, "item") else value


NAMES = {
    "macro_f1": "macro-F1, 14 compounds",
    "macro_f1_11": "macro-F1 of the 11 RAF-DB classes",
    "macro_f1_25": "macro-F1 of classes with 25 faces or more",
    "macro_f1_11_way": "macro-F1, choice among the 11 only",
    "accuracy": "accuracy",
    "uar": "mean recall (UAR)",
    "top2": "true class among the first two",
    "ece": "calibration error (ECE)",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
    "set_coverage": "coverage of the 90 % sets",
    "set_size": "mean size of these sets",
}


def summary(metrics: Mapping[str, Any], split: str) -> str:
    """Write Markdown: one row a figure with its 95 % interval, then the other parts."""
    return "\n".join(_lines(metrics, metrics[split]))


def _lines(metrics: Mapping[str, Any], block: Mapping[str, Any]) -> Iterator[str]:
    model = metrics["evaluation"]["model"]
    seen = block["pictures"]
    yield f"{model} on {block['data']}, {block['split']} split, fingerprint {block['fingerprint']}"
    shown = f"figures of {block['faces']} faces of {block.get('people')} people with a compound"
    if not block["faces"]:
        shown = "none shows a compound, so that only single emotions and neutral are judged"
    yield f"{seen['pictures']} pictures, {seen['read']} read, {seen['lost']} lost; {shown}"
    yield "| figure | value | 95 % interval | control |\n|---|--:|--:|--:|"
    for key, name in NAMES.items():
        if block.get(key) is not None:
            yield row(name, block[key], block.get(f"{key}_interval"))
    if "lost_are_wrong" in block:
        yield row("accuracy, lost pictures wrong", block["lost_are_wrong"]["accuracy"])
    yield from _components(block["components"])
    yield from _units(block.get("units"))
    yield from grouped(block.get("groups", {}))
    for part in ("parts", "free_text", "end_to_end", "text", "heat", "against"):
        yield from _part(part, block.get(part))
    for name, part in block.get("slices", {}).items():
        if part["gap"]:
            gap = part["gap"]
            words = f"accuracy gap by {name}: {gap['best']} over {gap['worst']}"
            yield row(words, gap["accuracy"], gap["accuracy_interval"])


# Of `components.figures`, where such faces are there.
SINGLE = {
    "basic_leads": "faces of one emotion: it leads",
    "basic_leads_balanced": "faces of one emotion: it leads, mean over emotions",
    "basic_named_alone": "faces of one emotion: named alone",
    "neutral_recall": "neutral faces called neutral",
    "neutral_said_elsewhere": "other faces called neutral",
    "neutral_auc": "AUC of neutral against the rest",
    "outcome_accuracy": "all labels: most probable of 21 outcomes",
    "outcome_ece": "all labels: calibration error of 21 outcomes",
    "outcome_set_coverage": "all labels: coverage of the 90 % sets of outcomes",
    "outcome_set_size": "all labels: mean size of these sets",
}


def _components(parts: Mapping[str, Any]) -> Iterator[str]:
    yield row(
        "F1 of single emotions, as decided", parts["component_f1"], parts["component_f1_interval"]
    )
    yield row("AUC of single emotions, mean", parts["component_auc"])
    yield row("both emotions right", parts["pairs"]["both_right"])
    for key, name in SINGLE.items():
        if parts.get(key) is not None:
            yield row(name, parts[key])


def _units(figures: Mapping[str, Any] | None) -> Iterator[str]:
    if not figures:
        return
    if "macro_f1" not in figures:
        yield "| action units: this model measures none | | | |"
        return
    if lacking := figures.get("not_measured"):
        yield f"| action units that this model does not measure: {', '.join(lacking)} | | | |"
    mean, count = figures["macro_f1"], len(figures["each"])
    yield row(f"F1 of action units, mean of {count}", mean["value"], mean["interval"])
    yield row("yes or no on cues, balanced", figures["yes_no"]["balanced"])
    for name, one in figures["each"].items():
        yield row(f"{name}: F1 ({one['faces']} faces show it)", one["f1"])
        yield row(f"{name}: AUC", one["auc"])
    if "AU4" in figures["false_alarms_on_neutral"]:
        yield row("AU4 seen in neutral faces", figures["false_alarms_on_neutral"]["AU4"])


# Of `slices.by_people`.
GROUPED = {
    "unit_f1": "F1 of action units",
    "neutral_recall": "neutral faces called neutral",
    "brow_alarms": "AU4 seen in neutral faces",
}


def grouped(groups: Mapping[str, Any]) -> Iterator[str]:
    """Write a row for each figure of each group of people."""
    for name, parts in groups.items():
        for part, figures in parts.items():
            for key in filter(figures.__contains__, GROUPED):
                yield row(f"{name} {part}, {figures['faces']} faces: {GROUPED[key]}", figures[key])


def row(name: str, value: Any, interval: Any = None, control: Any = None) -> str:
    """Write one line of the table; an unmeasured value is a dash, its interval empty."""
    ends = ""
    if interval and None not in interval:
        ends = f"{interval[0]:.3f} to {interval[1]:.3f}"
    beside = "" if control is None else _number(control)
    return f"| {name} | {_number(value)} | {ends} | {beside} |"


def _control(figure: Mapping[str, Any]) -> Any:
    """Find the value of the first control, whatever its name; None where there is none."""
    return next((v["value"] for key, v in figure.items() if key.startswith("control")), None)


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _part(name: str, figures: Any) -> Iterator[str]:
    """Write every number of a part by its name, with interval and control if it has them."""
    for key, value in (figures or {}).items():
        title = f"{name}: {key}".replace("_", " ")
        if isinstance(value, Mapping) and "value" in value:
            yield row(title, value["value"], value.get("interval"), _control(value))
        elif isinstance(value, Mapping) and "difference" in value:
            yield row(f"{title}, difference", value["difference"], value["interval"])
        elif isinstance(value, Mapping):
            yield from _part(title, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield row(title, value)
        elif key in ("notes", "note") and value:
            words = value if isinstance(value, str) else "; ".join(value)
            yield f"| {title}: {words} | | | |"
