"""Several models on the same faces: `leaderboard.json`, as the benchmark writes and others read it.

`train/benchmark.py accuracy` writes into one folder

    leaderboard.json  `Leaderboard.to_json`; read it with `Leaderboard.load(folder)`
    leaderboard.md    the same as tables; leaderboard.html with plots, one file without links
    audit.json        everything that the leakage audit saw
    NAME/             one folder a model, as `train/evaluate.py` leaves it: metrics.json with every
                      figure, images.csv with every picture, plots

The JSON has the fields of `Leaderboard` by their names; a value with its 95 % interval is
{"value": 0.4, "interval": [0.3, 0.5]}, the interval null where there is none. Fields are only ever
added; `schema` changes when one changes its meaning. Numbers that were not measured are absent.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args, get_origin

from ferce.core import jsontext
from ferce.evaluation.metrics_file import Figure, is_finite

SCHEMA = 1
FILE = "leaderboard.json"
PASSED, FAILED, UNKNOWN = "passed", "failed", "not checked"
VISION, LANGUAGE = "vision only", "vision-language"
FAMILIES = (VISION, LANGUAGE)


class LeaderboardError(ValueError):
    """An error for a file that is no leaderboard; one sentence says what is wrong."""


@dataclass(frozen=True)
class Check:
    """One question of the leakage audit: `verdict` is passed, failed or not checked, and why."""

    name: str
    verdict: str
    told: str

    def __post_init__(self) -> None:
        _one_of("the verdict of a check", self.verdict, (PASSED, FAILED, UNKNOWN))


@dataclass(frozen=True)
class Entry:
    """One model's results.

    Attributes:
        spec: names it; unique in a leaderboard.
        family: one of `FAMILIES`: labels as words, or one output a label.
        folder: of its evaluation, relative to the leaderboard's.
        faces: with a compound label that it could read, of which `figures` tell.
        lost: pictures that it could not read.
        figures: by the names of `metrics_file.FIGURES`, `macro_f1` and `accuracy` among them.
        chance: the same for its answers dealt out to the faces at random; the interval holds 95 %
            of the deals. What lies within it is no better than chance.
        trained_on: spec of its training data, None if unknown.
        control: whether it was trained on shuffled labels, to be at chance.
        device: that it ran on.
        speed: faces a second, None if it was measured in an earlier run only.
    """

    spec: str
    family: str
    folder: str
    faces: int
    lost: int
    figures: Mapping[str, Figure]
    chance: Mapping[str, Figure]
    trained_on: str | None
    control: bool
    device: str
    speed: float | None

    def __post_init__(self) -> None:
        _one_of(f"the family of {self.spec:.200}", self.family, FAMILIES)
        for name in ("macro_f1", "accuracy"):
            if name not in self.figures:
                raise LeaderboardError(f"{self.spec:.200} must have a figure {name}; it has none.")


@dataclass(frozen=True)
class Versus:
    """The comparison of model a with model b, a minus b, on faces that both could read.

    `figures` are differences with intervals and p-values by bootstrap over people, in pairs;
    `mcnemar` is the p-value that both err equally often on as many faces, and `mcnemar_holm` the
    same with Holm's correction for all pairs of the leaderboard.
    """

    a: str
    b: str
    faces: int
    figures: Mapping[str, Figure]
    p: Mapping[str, float]
    mcnemar: float
    mcnemar_holm: float

    @property
    def name(self) -> str:
        """Both, in words."""
        return f"{self.a} − {self.b}"


@dataclass(frozen=True)
class Leaderboard:
    """The results of one benchmark.

    Attributes:
        data: spec of the data set.
        split: of it.
        fingerprint: of its pictures and labels.
        pictures: in the split, with those that no model could read.
        faces: with a compound label.
        people: shown by these faces; intervals resample them.
        audit: whether the figures can be trusted.
        models: best macro-F1 first; control runs last.
        differences: every vision-only model against every vision-language one, and every model
            against the first.
        failed: spec -> why it could not be measured.
        made: command, date, processes, versions.
        schema: of this file.
    """

    data: str
    split: str
    fingerprint: str
    pictures: int
    faces: int
    people: int
    audit: tuple[Check, ...]
    models: tuple[Entry, ...]
    differences: tuple[Versus, ...]
    failed: Mapping[str, str]
    made: Mapping[str, Any]
    schema: int = SCHEMA

    @property
    def verdict(self) -> str:
        """Failed if a check did, not checked if one could not be made, else passed."""
        seen = {check.verdict for check in self.audit} or {UNKNOWN}
        return next(word for word in (FAILED, UNKNOWN, PASSED) if word in seen)

    def family(self, name: str) -> tuple[Entry, ...]:
        """List the models of a family, without controls."""
        return tuple(m for m in self.models if m.family == name and not m.control)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values, `verdict` among them."""
        return {**asdict(self), "verdict": self.verdict}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Parse what `to_json` gave; unknown fields are ignored.

        Raises:
            LeaderboardError: something is missing or has another form; the message names it.
        """
        if document.get("schema") != SCHEMA:
            raise LeaderboardError(
                f"A leaderboard of schema {SCHEMA} was expected; "
                f"got {document.get('schema')!r:.60}."
            )
        values = _known(cls, document)
        return cls(
            **{
                **values,
                "audit": tuple(Check(**_known(Check, row)) for row in _rows(values, "audit")),
                "models": tuple(_entry(row) for row in _rows(values, "models")),
                "differences": tuple(_versus(row) for row in _rows(values, "differences")),
            }
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load the leaderboard of a folder; raises LeaderboardError when it has none."""
        try:
            document = jsontext.parse((folder / FILE).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise LeaderboardError(f"{folder / FILE} cannot be read: {error}") from error
        if not isinstance(document, dict):
            raise LeaderboardError(f"{folder / FILE} must hold an object; got {document!r:.60}.")
        return cls.from_json(document)


def _entry(row: Mapping[str, Any]) -> Entry:
    values = _known(Entry, row)
    return Entry(
        **{**values, "figures": _figures(values["figures"]), "chance": _figures(values["chance"])}
    )


def _versus(row: Mapping[str, Any]) -> Versus:
    values = _known(Versus, row)
    return Versus(**{**values, "figures": _figures(values["figures"])})


def _figures(rows: Any) -> dict[str, Figure]:
    if not isinstance(rows, Mapping):
        raise LeaderboardError(f"Figures must be an object; got {rows!r:.60}.")
    return {name: _figure(name, value) for name, value in rows.items()}


def _figure(name: str, cell: Any) -> Figure:
    """Parse a value with its interval; both finite."""
    value = cell.get("value") if isinstance(cell, Mapping) else None
    ends = cell.get("interval") if isinstance(cell, Mapping) else None
    numbers = [value, *(ends or ())]
    if len(numbers) not in (1, 3) or not all(map(is_finite, numbers)):
        raise LeaderboardError(
            f"{name} must have a value and an interval of two numbers or null; got {cell!r:.80}."
        )
    return Figure(float(numbers[0]), (float(ends[0]), float(ends[1])) if ends else None)


def _known(kind: type, row: Any) -> dict[str, Any]:
    """Take the fields of a kind; raises LeaderboardError when one is missing."""
    if not isinstance(row, Mapping):
        raise LeaderboardError(f"{kind.__name__} must be an object; got {row!r:.60}.")
    names = [field.name for field in fields(kind)]
    if missing := [name for name in names if name not in row]:
        raise LeaderboardError(f"{kind.__name__} lacks {', '.join(missing)}.")
    for field in fields(kind):
        if not _fits(row[field.name], field.type):
            shown = f"{row[field.name]!r:.60}"
            raise LeaderboardError(f"{kind.__name__} has another form of {field.name}: {shown}.")
    return {name: row[name] for name in names}


def _fits(value: Any, form: Any) -> bool:
    """Tell whether a value of JSON has the form of a field; lists are looked at by `_rows`."""
    if isinstance(form, UnionType):
        return any(_fits(value, one) for one in get_args(form))
    if form in (int, float):
        return is_finite(value) and (form is float or isinstance(value, int))
    plain = get_origin(form) or form
    return plain is tuple or isinstance(value, plain)


def _rows(document: Mapping[str, Any], name: str) -> list[Any]:
    rows = document[name]
    if not isinstance(rows, list | tuple):
        raise LeaderboardError(f"{name} must be a list; got {rows!r:.60}.")
    return list(rows)


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise LeaderboardError(f"{what} must be one of {', '.join(known)}; got {value!r:.60}.")
