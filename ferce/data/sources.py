"""The kinds of data sets: who reads each by its spec, and what its terms permit for weights."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ferce.data import folder, manifest, raf
from ferce.data.record import DataError, DataSet, Row, Sample

DEMO = Path(__file__).parent / "demo"
_METADATA = "metadata.jsonl"
Reader = Callable[..., Iterator[Row]]
# Their terms allow research only, of weights that learnt from them, too.
RESTRICTED = frozenset({"rafce", "rafdb", "rafdb-basic", "rafml"})
_TRUTH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
RESEARCH = "research-only"


def read_rendered(where: str, without: str = "") -> Iterator[Row]:
    """Read samples in the order of `metadata.jsonl`; `without` is a file of people to leave out.

    Rows have file_name, label (a compound or null), perhaps expression (that, or a basic emotion or
    "neutral"; taken for the label where the table has it), kind, action_units (unit, intensity,
    left, right), person, split, and what the picture was made from: pose, light, licence, seed.

    Raises:
        DataError: there is no such table, a row is incomplete, or a person is in two splits.
    """
    table = Path(where) / _METADATA
    if not table.is_file():
        raise DataError(f"There is no {table}; make one with train/render_faces.py.")
    left_out = _people(without)
    homes: dict[str, str] = {}
    for row in manifest.read(str(table), label=_label_column(table)):
        if isinstance(row, Sample):
            _check(row, homes)
            if row.subject in left_out:
                continue
            row = _coded(row)
        yield row


def _people(path: str) -> frozenset[str]:
    if path and not Path(path).is_file():
        raise DataError(f"There is no list of people {path}; it names one a line.")
    return frozenset(Path(path).read_text("utf-8").split("\n") if path else ())


def _label_column(table: Path) -> str:
    """Choose `expression` where it exists: it names basic emotions and neutral, too."""
    first = next((row for _, row in manifest.rows(table)), {})
    return "expression" if "expression" in first else ""


def read_demo(where: str) -> Iterator[Row]:
    """Read samples of the demo set in this package; `where` must be empty."""
    if where:
        raise DataError(
            f"demo stands for the set in this package; for {where} write rendered:{where}."
        )
    yield from read_rendered(str(DEMO))


def _coded(sample: Sample) -> Sample:
    """Drop units named with strength 0: the renderer says that they are not there."""
    units = tuple(u for u in sample.units or () if u.intensity is None or u.intensity > 0)
    return replace(sample, units=units)


def _check(sample: Sample, homes: dict[str, str]) -> None:
    lacking = [n for n in ("units", "subject", "split") if getattr(sample, n) is None]
    if lacking or sample.split is None or sample.subject is None:
        raise DataError(
            f"{sample.name} should have action units, a person and a split; it lacks {lacking}."
        )
    if homes.setdefault(sample.subject, sample.split) != sample.split:
        raise DataError(
            f"{sample.subject} is in {homes[sample.subject]} and in {sample.split}; "
            "a person may be in one split only."
        )


READERS: Mapping[str, Reader] = {
    "demo": read_demo,
    "rendered": read_rendered,
    "rafce": raf.read_rafce,
    "rafdb": raf.read_rafdb,
    "rafdb-basic": raf.read_rafdb_basic,
    "rafml": raf.read_rafml,
    "folder": folder.read,
    "manifest": manifest.read,
    "hub": folder.read_hub,
}
_GRAMMAR = (
    "demo, rafce:/path, rafdb:/path, rafdb-basic:/path, rafml:/path, folder:/path, "
    "manifest:/table.csv, rendered:/path or hub:owner/name@revision, with ?option=value&... behind"
)


def load_data(spec: str) -> DataSet:
    """Open the data set that a spec names; nothing is read before its rows are.

    `rafce:/data/RAF-CE?images=original&subset=yes`: kind, place, then options of that reader.

    Raises:
        DataError: the kind or an option is unknown; the message lists the known ones.
    """
    place, _, query = spec.partition("?")
    kind, _, where = place.partition(":")
    reader = READERS.get(kind)
    if reader is None:
        raise DataError(f"Unknown data {spec!r}. Write {_GRAMMAR}.")
    if not where and kind != "demo":
        raise DataError(f"{kind}: needs a place behind the colon. Write {_GRAMMAR}.")
    return DataSet(spec, partial(reader, where, **_options(kind, reader, query)))


def restricted(spec: str) -> bool:
    """Tell whether weights that learnt from this data may be used in research only."""
    return spec.partition("?")[0].partition(":")[0] in RESTRICTED


def require(spec: str) -> None:
    """Refuse a data set that is not there, by opening its first row; the Hub is not asked.

    Raises:
        DataError: as `load_data` and the first of its rows raise it.
    """
    data = load_data(spec)
    if not spec.startswith("hub:"):
        next(iter(data.rows()), None)


def _options(kind: str, reader: Reader, query: str) -> dict[str, Any]:
    known = dict(list(inspect.signature(reader).parameters.items())[1:])
    options = {}
    for item in filter(None, query.split("&")):
        name, _, text = item.partition("=")
        if name not in known:
            exist = ", ".join(known) or "none"
            raise DataError(f"Unknown option {name!r} of {kind}; it has: {exist}.")
        options[name] = _value(name, text, known[name].default)
    return options


def _value(name: str, text: str, default: Any) -> Any:
    """Convert the text to the type of the option's default."""
    if isinstance(default, bool):
        if text.lower() not in _TRUTH:
            raise DataError(f"{name} is yes or no; got {text!r}.")
        return _TRUTH[text.lower()]
    if isinstance(default, int):
        if not text.isdigit():
            raise DataError(f"{name} is a whole number; got {text!r}.")
        return int(text)
    return text


@dataclass(frozen=True)
class Source:
    """A kind of data set as a card tells of it.

    `rendered` where its pictures show nobody; `slug` names it in the metadata, None where it has no
    public name.
    """

    name: str
    about: str
    rendered: bool = False
    slug: str | None = None


# Terms of RAF: whdeng.cn/RAF/model4.html (non-commercial research, no passing on of images).
_RAF = (
    "RAF images are scraped from the Internet; the people in them were not asked. Its terms allow "
    "non-commercial research only and forbid passing images, crops or label files on."
)
SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "rafce": Source("RAF-CE", _RAF, slug="raf-ce"),
        "rafdb": Source("RAF-DB compound", _RAF, slug="raf-db"),
        "rafdb-basic": Source("RAF-DB basic", _RAF, slug="raf-db"),
        "rafml": Source("RAF-ML", _RAF, slug="raf-ml"),
        "demo": Source(
            "ferce's demo set",
            "700 rendered faces with exact action units; nobody in them exists (CC0 renders).",
            rendered=True,
        ),
        "rendered": Source(
            "faces rendered with ferce",
            "Renders with exact action units, made from portraits whose licences its table names.",
            rendered=True,
        ),
        "folder": Source("a folder of images", "Its terms are the publisher's to know."),
        "manifest": Source("a table of images", "Its terms are the publisher's to know."),
        "hub": Source("a data set of the Hub", "See its own card."),
    }
)


class LicenceError(ValueError):
    """A licence that is missing, or that the data does not permit."""


@dataclass(frozen=True)
class Licence:
    """A licence as the metadata of a card has it; `name` only where `key` is "other"."""

    key: str
    name: str | None = None


def source_of(spec: str) -> Source:
    """Find the source behind a data spec such as "rafce:/data/RAF-CE".

    Raises:
        LicenceError: a kind that is not in `SOURCES`.
    """
    kind = spec.partition("?")[0].partition(":")[0]
    if kind not in SOURCES:
        raise LicenceError(f"Unknown data {spec!r}; known kinds: {', '.join(SOURCES)}.")
    return SOURCES[kind]


def restricted_among(specs: Sequence[str]) -> list[str]:
    """Name the data sets whose terms allow research only; raises as `source_of` does."""
    names = {spec: source_of(spec).name for spec in specs}
    return sorted({name for spec, name in names.items() if restricted(spec)})


def dataset_id(spec: str) -> str | None:
    """Name the data set as the metadata does: a Hub id or a public name; None where it has none."""
    kind, _, where = spec.partition("?")[0].partition(":")
    return where.partition("@")[0] if kind == "hub" else source_of(spec).slug


def licence_for(specs: Sequence[str], asked: str | None) -> Licence:
    """Choose the licence of weights trained on these data sets.

    Args:
        specs: every data set that the weights have learnt from.
        asked: an identifier of the Hub such as "apache-2.0"; not needed where the data settles it.

    Raises:
        LicenceError: none was given, or the data permits research only and another was given.
    """
    if named := restricted_among(specs):
        if asked not in (None, RESEARCH):
            raise LicenceError(
                f"Weights trained on {' and '.join(named)} are for research only, so the "
                f"licence must be {RESEARCH}; got {asked}."
            )
        return Licence("other", RESEARCH)
    if asked is None:
        raise LicenceError(
            f"Say under which licence the weights are published, such as apache-2.0 or {RESEARCH}."
        )
    return Licence("other", RESEARCH) if asked == RESEARCH else Licence(asked)
