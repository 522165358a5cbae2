"""Choose the reader of a data set by its spec; read the rendered faces, the demo set among them."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ferce.data import folder, manifest, raf
from ferce.data.record import DataError, DataSet, Row, Sample

DEMO = Path(__file__).parent / "demo"
_METADATA = "metadata.jsonl"
Reader = Callable[..., Iterator[Row]]
# Their terms allow research only, of weights that learnt from them, too.
RESTRICTED = frozenset({"rafce", "rafdb", "rafdb-basic", "rafml"})
_TRUTH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


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
