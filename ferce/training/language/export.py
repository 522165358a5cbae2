"""A fine-tuned model as a folder that plain PEFT loads, with what was measured beside it."""

import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ferce.models import hub
from ferce.models.calibration import Calibration, save_calibration
from ferce.models.vlm import packaged
from ferce.models.vlm.loading import ADAPTER_CONFIG, QUANTISED
from ferce.training import checkpoint
from ferce.training.language.learner import kind_of, load
from ferce.training.language.plan import LanguagePlan
from ferce.training.options import Json
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from accelerate import Accelerator
    from peft import PeftModel

    from ferce.models.vlm.base import VisionLanguage

OURS = "ferce.json"


@dataclass(frozen=True)
class Origin:
    """Where a base came from.

    `folder` holds its files; `name` is what an adapter calls it, a Hub id if it has one; `revision`
    is the commit on the Hub, None for a folder; `fingerprint` that of its weights.
    """

    folder: Path
    name: str
    revision: str | None
    fingerprint: str

    @property
    def kind(self) -> str:
        """Tell of which kind the base is, "blip2" or "chat"."""
        return kind_of(self.folder)


def origin(plan: LanguagePlan) -> Origin:
    """Find the plan's base, and fetch it if need be.

    Raises:
        CheckpointError: it cannot be had.
        TrainingError: `base_id` is no Hub id.
    """
    ours = plan.base == packaged.BLIP2
    folder = packaged.BLIP2_BASE if ours else hub.resolve(plan.base, plan.revision or None)
    if plan.base_id and Path(plan.base_id).exists():
        raise TrainingError(f"base_id must be a Hub id, owner/name; got the path {plan.base_id}.")
    own = packaged.BLIP2_NAME if ours else hub.repository_of(folder) or str(folder)
    name = plan.base_id or own
    commit = folder.name if hub.repository_of(folder) else plan.revision or None
    return Origin(folder, name, commit, hub.fingerprint(folder))


def export(
    folder: Path,
    wrapped: "PeftModel",
    backend: "VisionLanguage",
    base: Origin,
    facts: Json,
    calibration: Calibration | None = None,
) -> None:
    """Write the adapter, the processor, the settings of generation and `ferce.json`.

    Args:
        folder: of the run; `PeftModel.from_pretrained(base, FOLDER)` loads it.
        wrapped: the PeftModel.
        backend: the model around it, whose processor and end of an answer it was trained with.
        base: that it belongs to.
        facts: more for `ferce.json`, such as the data's fingerprint.
        calibration: of the labels, where there is one.
    """
    config = wrapped.peft_config["default"]
    config.base_model_name_or_path, config.revision = base.name, base.revision
    ours = {
        "kind": base.kind,
        "base": base.name,
        "base_revision": base.revision,
        "base_fingerprint": base.fingerprint,
    }
    with checkpoint.whole_folder(folder) as part:
        _write(part, wrapped, backend)
        checkpoint.write_json(part / OURS, {**ours, **facts})
        if calibration is not None:
            save_calibration(part, calibration)


def _write(folder: Path, wrapped: "PeftModel", backend: "VisionLanguage") -> None:
    wrapped.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    _drop_unset(folder / ADAPTER_CONFIG)
    (folder / "README.md").unlink(missing_ok=True)  # peft's: an empty card that names local paths
    backend.processor.save_pretrained(folder)
    checkpoint.share_weights(folder, folder / ADAPTER_CONFIG)
    settings = {"eos_token_id": backend.end, **backend.speaker.generation_config.to_diff_dict()}
    checkpoint.write_json(folder / "generation_config.json", settings)


def _drop_unset(config: Path) -> None:
    """Drop options that are null: an older peft warns of each that it does not know."""
    options = hub.read_json(config)
    checkpoint.write_json(config, {key: v for key, v in options.items() if v is not None})


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a run besides its figures; `data` is JSON."""

    plan: LanguagePlan
    base: Origin
    accelerator: "Accelerator"
    data: Json

    def machine(self) -> Json:
        """Describe the machine and its packages."""
        import bitsandbytes
        import peft
        import torch
        import transformers

        device = self.accelerator.device
        gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
        modules = (torch, transformers, peft, bitsandbytes)
        return {
            "device": gpu or f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
            "processes": self.accelerator.num_processes,
            **{module.__name__: module.__version__ for module in modules},
        }

    def training(self, wrapped: "PeftModel") -> Json:
        """Describe how it was trained, as the card says it."""
        plan, dtype = self.plan, str(wrapped.get_base_model().dtype).removeprefix("torch.")
        return {
            "precision": plan.load_in if plan.load_in in QUANTISED else dtype,
            "rank": plan.rank,
            "alpha": plan.alpha,
            "learning_rate": plan.rate,
        }


def finish(
    folder: Path,
    wrapped: "PeftModel",
    backend: "VisionLanguage",
    facts: Facts,
    figures: Json,
    calibration: Calibration | None = None,
) -> Json:
    """Export, and write `metrics.json` and `run.json`; gives what `metrics.json` holds."""
    training = facts.training(wrapped) | {"epochs": len(figures["history"])}
    known = {"kind": facts.base.kind, "data": facts.data, "training": training}
    export(folder, wrapped, backend, facts.base, known, calibration)
    metrics = {
        **figures,
        "kind": facts.base.kind,
        "training": training,
        "base": facts.base.name,
        "base_fingerprint": facts.base.fingerprint,
        "data": facts.data,
        "machine": facts.machine(),
    }
    checkpoint.write_json(folder / "metrics.json", metrics)
    checkpoint.write_json(folder / "run.json", asdict(facts.plan))
    return metrics


def merge(run: Path, folder: Path) -> str:
    """Write a run's base and adapter as one model, which needs no peft; gives its spec.

    The weights are merged in float32, also where the adapter was trained on a quantised base, and
    saved in the precision of the base.

    Raises:
        TrainingError: there is no finished run, or the folder is taken.
        CheckpointError: the base cannot be had, or is not the run's.
    """
    import torch

    if not (run / "run.json").is_file():
        raise TrainingError(f"{run} holds no finished run; fine-tune first with --output {run}.")
    if folder.exists():
        raise TrainingError(f"{folder} is there already; give a new folder to merge into.")
    plan = LanguagePlan(**hub.read_json(run / "run.json"))
    base = origin(plan)
    model = load(base.folder, "cpu", {"load": "fp32"}, run)
    config = hub.read_json(base.folder / "config.json")
    stored = config.get("dtype") or config.get("torch_dtype") or "float32"
    assert model.checkpoint.adapter is not None, "loaded with an adapter"
    whole = model.checkpoint.adapter.wrapped.merge_and_unload(safe_merge=True)
    with checkpoint.whole_folder(folder) as part:
        whole.to(getattr(torch, stored)).save_pretrained(part)
        model.processor.save_pretrained(part)
        save_calibration(part, model.checkpoint.calibration)
    return f"{base.kind}:{folder}"
