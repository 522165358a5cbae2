"""What is known of a model before it is loaded, read from files: card, licence, data, figures."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ferce.data import sources
from ferce.data.sources import LicenceError
from ferce.evaluation import metrics_file
from ferce.evaluation.heat_scores import Places, load_places
from ferce.evaluation.leaderboard import FILE as LEADERBOARD
from ferce.evaluation.leaderboard import Leaderboard, LeaderboardError
from ferce.evaluation.metrics_file import SPLITS, MeasurementError, Measurements
from ferce.models import KINDS, hub, spec
from ferce.models.hub import CheckpointError
from ferce.publishing.card_metadata import FERCE

CARD = "README.md"
_OWN = "apache-2.0, as this repository"
_WEIGHTS = Path(__file__).parents[1] / "weights"
# kind -> folder in `_WEIGHTS`, where it has another name
_PACKAGED = {"embedded": "classifier", "blip2-mini": "blip2-mini-lora"}
_CARDS = Path(__file__).parents[2] / "model_cards"  # of packaged models
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_FENCED = re.compile(r"```python\n(.*?)\n```", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Dossier:
    """One model; what no file tells is None or empty.

    Attributes:
        name: its spec.
        roles: "classifier", "voice" or both.
        about: its kind in words.
        licence: as its card names it.
        card: the text of its card without the metadata.
        trained_on: the data that it learnt from, in words.
        counts: split -> number of faces with a compound label.
        measured: figures by split, test before val.
        problems: sentences on files that are there but cannot be used.
        code: Python that loads it.
    """

    name: str
    roles: tuple[str, ...]
    about: str
    licence: str | None
    card: str
    trained_on: str | None
    counts: Mapping[str, int]
    measured: tuple[Measurements, ...]
    problems: tuple[str, ...]
    code: str


def read(name: str, results: Path | None = None) -> Dossier:
    """Read the dossier of a spec; nothing is loaded and nothing fetched.

    Args:
        name: spec of the model.
        results: folder of evaluations, whose figures stand in where the model has none.

    Raises:
        ValueError: it is no spec, or of an unknown kind.
    """
    parsed = spec.parse(name)
    if parsed.kind not in KINDS:
        raise ValueError(f"Unknown kind {parsed.kind!r}; known kinds: {', '.join(KINDS)}.")
    kind, folder = KINDS[parsed.kind], folder_of(parsed)
    card, problems = _card(folder), list[str]()
    measured = tuple(_measured(folder, problems)) if folder else ()
    if not measured and results is not None:
        measured = tuple(_evaluated(name, results))
    return Dossier(
        name=name,
        roles=tuple(role for role in ("classifier", "voice") if getattr(kind, role)),
        about=kind.about,
        licence=_licence(card) or (None if parsed.where else _OWN),
        card=_FRONT.sub("", card).strip(),
        trained_on=_data(measured),
        counts=_counts(measured),
        measured=measured,
        problems=tuple(problems),
        code=code(name),
    )


def folder_of(model: spec.Spec) -> Path | None:
    """Find the folder that holds a model or its adapter: local, packaged or in the Hub's cache."""
    where = model.adapter or model.where
    if not where:
        place = _WEIGHTS / _PACKAGED.get(model.kind, model.kind)
        return place if place.is_dir() else None
    if model.kind == "remote":
        return None
    return spec.folder_at(where) or _cached(where, model.revision)


@cache
def places(name: str) -> Mapping[str, Places]:
    """Load where the heat of a model lay when it was measured, by method; mostly nothing.

    A file that is broken counts as none here; `read` names it.
    """
    folder = folder_of(spec.parse(name))
    try:
        return load_places(folder) if folder else {}
    except CheckpointError:
        return {}


def code(name: str) -> str:
    """Write Python that loads the model of a spec with ferce."""
    text = FERCE.substitute(spec=name)
    match = _FENCED.search(text)
    assert match is not None, f"the card's code must be fenced; got {text!r}"
    return match[1]


def leaderboards(results: Path) -> tuple[Leaderboard, ...]:
    """Load the leaderboards of a folder and of the folders in it, without those that are broken."""
    boards = []
    for path in sorted(results.glob(LEADERBOARD)) + sorted(results.glob(f"*/{LEADERBOARD}")):
        try:
            boards.append(Leaderboard.load(path.parent))
        except LeaderboardError:
            continue
    return tuple(boards)


def _cached(where: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for file in (CARD, "config.json", "adapter_config.json"):
        try:
            path = try_to_load_from_cache(where, file, revision=revision)
        except HFValidationError:
            return None
        if isinstance(path, str):
            return Path(path).parent
    return None


def _card(folder: Path | None) -> str:
    if folder is None:
        return ""
    packaged = _CARDS / f"{folder.name}.md"
    path = packaged if folder.parent == _WEIGHTS and packaged.is_file() else folder / CARD
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _licence(card: str) -> str | None:
    """Read `license_name` or `license` of the metadata."""
    front = _FRONT.match(card)
    rows = (
        re.findall(r"^(license|license_name):[ ]*(\S.*)$", front[1], re.MULTILINE) if front else []
    )
    names = {key: value.strip().strip("\"'") for key, value in rows}
    return names.get("license_name") or names.get("license")


def _measured(folder: Path, problems: list[str]) -> Iterator[Measurements]:
    """Load the figures of every split that the folder's `metrics.json` has."""
    path = folder / metrics_file.FILE
    if not path.is_file():
        return
    try:
        metrics = hub.read_json(path)
        for split in SPLITS:
            if split in metrics:
                yield Measurements.load(folder, split)
        load_places(folder)
    except (CheckpointError, MeasurementError) as error:
        problems.append(str(error).replace(f"{folder}/", ""))


def _evaluated(name: str, results: Path) -> Iterator[Measurements]:
    """Load figures of a model that was evaluated here, the newest of each data set."""
    newest: dict[tuple[str, str], tuple[str, Measurements]] = {}
    for path in sorted(results.glob(f"*/{metrics_file.FILE}")):
        for measured, date in _evaluation(name, path):
            key = (measured.measured_on, measured.split)
            if key not in newest or newest[key][0] < date:
                newest[key] = (date, measured)
    yield from (measured for _, measured in newest.values())


def _evaluation(name: str, path: Path) -> Iterator[tuple[Measurements, str]]:
    try:
        metrics: dict[str, Any] = hub.read_json(path)
        made = metrics.get("evaluation", {})
        if made.get("model") == name:
            for split in SPLITS:
                if split in metrics:
                    yield Measurements.load(path.parent, split), str(made.get("date", ""))
    except (CheckpointError, MeasurementError, AttributeError):
        return


def _counts(measured: tuple[Measurements, ...]) -> dict[str, int]:
    rows = measured[0].counts if measured else {}
    return {split: sum(labels.values()) for split, labels in rows.items()}


def _data(measured: tuple[Measurements, ...]) -> str | None:
    if not measured:
        return None
    try:
        source = sources.source_of(measured[0].data)
    except LicenceError:  # "not told by the model"
        return None
    return f"{source.name}. {source.about}"
