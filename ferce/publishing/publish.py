"""Turn a run folder into a folder with its card, ready for the Hub."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferce.data.sources import Licence, LicenceError, licence_for
from ferce.evaluation import metrics_file
from ferce.evaluation.metrics_file import MeasurementError, Measurements
from ferce.models import prompts
from ferce.models.calibration import KEY, Calibration, load_calibration
from ferce.models.fusion import FILE as FUSION
from ferce.models.hub import CheckpointError, read_json
from ferce.publishing import staging
from ferce.publishing.card import CONFUSION, model_card
from ferce.publishing.card_metadata import Footprint, Subject
from ferce.publishing.staging import PublishError

ADAPTER = "adapter_config.json"
OURS = "ferce.json"
CONFIG = "config.json"
NOTES = "notes.md"  # beside packaged weights: what its makers add to the card
# The class that an adapter was trained around -> kind of its spec.
KINDS = {"Blip2ForConditionalGeneration": "blip2", "BlipForQuestionAnswering": "blip-vqa"}


@dataclass(frozen=True)
class Publication:
    """What to publish under which name; nothing here is guessed.

    Attributes:
        name: `owner/name` on the Hub.
        split: whose measurements the card shows, "test" or "val".
        base: Hub id of the base, needed where the run names a local copy of it.
        licence: of the weights; needed unless the data settles it.
        learnt_from: specs of further data sets that the weights have learnt from.
        footprint: stated power of the training; None if unknown.
    """

    name: str
    split: str = "test"
    base: str | None = None
    licence: str | None = None
    learnt_from: tuple[str, ...] = ()
    footprint: Footprint | None = None

    def __post_init__(self) -> None:
        for name in filter(None, (self.name, self.base)):
            if not staging.is_hub_id(name):
                raise PublishError(f"A name on the Hub is owner/name; got {name!r}.")


def prepare(run: Path, folder: Path, publication: Publication) -> str:
    """Write everything that is to be published into an empty folder; gives the card.

    Args:
        run: folder of a training with its measurements; left as it is.
        folder: new or empty.
        publication: name, split, licence.

    Raises:
        PublishError: the run must not be published; the message says why.
    """
    try:
        staging.stage(run, folder)
        measured = Measurements.load(folder, publication.split)
        subject = describe(folder, publication, measured, run)
        card = model_card(subject, measured)
        (folder / staging.CARD).write_text(card, "utf-8")
        _name_licence(folder / CONFIG, subject.licence)
        staging.check(folder)
    except (MeasurementError, LicenceError, CheckpointError) as error:
        raise PublishError(str(error)) from error
    _draw(measured, folder)
    return card


def packaged_card(folder: Path, name: str, licence: str, picture: str) -> str:
    """Write the card of a model of the package, from its own measurements on the test split.

    Args:
        folder: timm or PEFT folder with `metrics.json`; nothing is written.
        name: the folder as a user writes it, such as "ferce/weights/classifier".
        licence: of the weights.
        picture: of the confusion matrix, as the card refers to it.

    Raises:
        PublishError: measurements are missing, or the data does not permit the licence.
    """
    try:
        measured = Measurements.load(folder)
        sources = _sources(measured, _plan(folder), Publication("ferce/packaged"))
        subject = Subject(
            name=name,
            sources=sources,
            licence=licence_for(sources, licence),
            calibration=_calibration(folder),
            training=_training(folder),
            packaged=True,
            notes=_notes(folder),
            **_packaged(folder),
        )
    except (MeasurementError, LicenceError, CheckpointError) as error:
        raise PublishError(f"{folder}: {error}") from error
    return model_card(subject, measured, picture)


def _notes(folder: Path) -> str:
    path = folder / NOTES
    return path.read_text("utf-8") if path.is_file() else ""


def _packaged(folder: Path) -> dict[str, Any]:
    if (folder / ADAPTER).is_file():
        config = read_json(folder / ADAPTER)
        return {**_adapter_facts(folder, config), "base": config.get("base_model_name_or_path")}
    config = read_json(folder / CONFIG)
    if config.get("model_type") == "fast_vlm":
        return {
            "kind": "fastvlm-mini",
            "library": "transformers",
            "architecture": "FastVLM",
            "base": None,
            "question": prompts.CLASSIFY,
        }
    return {**_network_facts(folder, config), "base": None}


def _network_facts(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": "embedded" if (folder / FUSION).is_file() else "timm",
        "library": "timm",
        "architecture": str(config.get("architecture", "timm")),
        "outputs": _count(config),
    }


def _count(config: Mapping[str, Any]) -> int:
    count = config.get("num_classes", 0)
    if not isinstance(count, int):
        raise PublishError(f"{CONFIG} must give num_classes as a number; got {count!r:.60}.")
    return count


def _adapter_facts(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": kind_of(config, folder),
        "library": "peft",
        "architecture": str(config.get("peft_type", "adapter")),
        "question": _question(folder / "adapter_model.safetensors"),
    }


def describe(folder: Path, publication: Publication, measured: Measurements, run: Path) -> Subject:
    """Describe the model in a staged folder of a run; an adapter's config gets its base's Hub id.

    Raises:
        PublishError: neither a timm nor a PEFT folder, a base without Hub id, a control run.
    """
    plan = _plan(run)
    if plan.get("shuffle_labels"):
        raise PublishError("This run learnt from shuffled labels as a control; it is no model.")
    sources = _sources(measured, plan, publication)
    licence = licence_for(sources, publication.licence)
    made = _adapter if (folder / ADAPTER).is_file() else _network
    facts = made(folder, publication, measured.origin)
    return Subject(
        name=publication.name,
        sources=sources,
        licence=licence,
        calibration=_calibration(folder),
        training=_training(folder),
        footprint=publication.footprint,
        notes=_notes(run),
        **facts,
    )


def _plan(run: Path) -> Mapping[str, Any]:
    """Read the settings of the training: in `metrics.json`, or beside it in `run.json`."""
    beside = run / "run.json"
    plan = read_json(run / metrics_file.FILE).get("plan")
    plan = plan or (read_json(beside) if beside.is_file() else {})
    if not isinstance(plan, Mapping):
        raise PublishError(
            f"{metrics_file.FILE} must hold an object as its plan; got {plan!r:.60}."
        )
    return plan


def _sources(
    measured: Measurements, plan: Mapping[str, Any], publication: Publication
) -> tuple[str, ...]:
    """List every data set that the weights have learnt from."""
    origin = measured.origin or ""
    if origin.startswith(("folder ", "/", "~", ".")) and not publication.learnt_from:
        raise PublishError(
            f"Training went on from {origin}; name the data sets which those weights had learnt "
            "from (learnt_from), so that the licence is known."
        )
    named = (measured.data, plan.get("basic_data"), *publication.learnt_from)
    return tuple(dict.fromkeys(str(name) for name in named if name))


def _network(folder: Path, publication: Publication, origin: str | None) -> dict[str, Any]:
    config = read_json(folder / CONFIG)
    if "architecture" not in config or not (folder / "model.safetensors").is_file():
        raise PublishError(
            "A run folder holds a timm network (config.json, model.safetensors) or a PEFT adapter "
            "(adapter_config.json, adapter_model.safetensors); this one holds neither."
        )
    kind, _, name = (origin or "").partition(" ")
    base = publication.base or (f"timm/{name}" if kind == "timm" else None)
    if base is not None and not staging.is_hub_id(base):
        raise PublishError(f"The weights came from {base!r:.60}, which is no id of the Hub.")
    return {**_network_facts(folder, config), "base": base}


def _adapter(folder: Path, publication: Publication, origin: str | None) -> dict[str, Any]:
    del origin  # an adapter names its base in its own config
    config = read_json(folder / ADAPTER)
    named = str(config.get("base_model_name_or_path") or "")
    base = publication.base or ("" if Path(named).exists() else named)
    if not staging.is_hub_id(base):
        raise PublishError(
            f"The adapter names {named or 'nothing'} as its base; say its Hub id with --base "
            "owner/name, or publish it with the adapter: --base-name owner/name."
        )
    revision = config.get("revision") if base == named else None
    if revision is not None and not re.fullmatch(r"[\w.\-/]+", str(revision)):
        raise PublishError(f"The adapter names the revision {revision!r:.60} of its base.")
    staging.write_json(
        folder / ADAPTER, {**config, "base_model_name_or_path": base, "revision": revision}
    )
    _name_base(folder / OURS, base, revision)
    return {**_adapter_facts(folder, config), "base": base, "base_revision": revision}


def _name_base(path: Path, base: str, revision: str | None) -> None:
    """Say the Hub id in `ferce.json` too; the fingerprint stays and is checked on loading."""
    staging.write_json(path, {**read_json(path), "base": base, "base_revision": revision})


def kind_of(config: Mapping[str, Any], folder: Path) -> str:
    """Find the kind of spec that loads the adapter, by the class that it was trained around."""
    mapping = config.get("auto_mapping")
    named = mapping.get("base_model_class") if isinstance(mapping, Mapping) else mapping
    kind = read_json(folder / OURS).get("kind", KINDS.get(str(named)))
    if kind is None:
        raise PublishError(
            f"The adapter must tell its base's class (auto_mapping), one of {', '.join(KINDS)}; "
            f"got {named!r:.60}."
        )
    return str(kind)


def _question(weights: Path) -> str:
    """Write the label question as the language model whose layers the adapter changes wants it."""
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as file:
        names = list(file.keys())
    if any("language_model.model.decoder." in name for name in names):
        return prompts.formatted("opt", prompts.CLASSIFY)
    if any(
        "language_model.encoder." in name or "language_model.decoder." in name for name in names
    ):
        return prompts.formatted("t5", prompts.CLASSIFY)
    return prompts.CLASSIFY


def _calibration(folder: Path) -> Calibration | None:
    path = folder / OURS
    return load_calibration(folder) if path.is_file() and KEY in read_json(path) else None


def _training(folder: Path) -> Mapping[str, Any]:
    path = folder / OURS
    told = read_json(path).get("training", {}) if path.is_file() else {}
    if not isinstance(told, Mapping):
        raise PublishError(f"{OURS} must hold an object under 'training'; got {told!r:.60}.")
    return told


def _name_licence(path: Path, licence: Licence) -> None:
    """Give a network's config the licence of its weights in place of its architecture's."""
    if path.is_file():
        config = read_json(path)
        given = config.get("pretrained_cfg", {})
        if not isinstance(given, Mapping):
            raise PublishError(f"{CONFIG} has no object as its pretrained_cfg.")
        details = {**given, "license": licence.name or licence.key}
        staging.write_json(path, {**config, "pretrained_cfg": details})


def _draw(measured: Measurements, folder: Path) -> None:
    from ferce.evaluation import plots

    plots.draw_confusion(measured.confusion.tolist(), folder / CONFUSION, measured.split)


__all__ = ["Publication", "PublishError", "packaged_card", "prepare"]
