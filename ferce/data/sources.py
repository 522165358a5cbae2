"""Choose the reader of a data set by its spec."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ferce.data import folder, hub, manifest, raf, rendered
from ferce.data.record import DataError, DataSet, Row

Reader = Callable[..., Iterator[Row]]

READERS: Mapping[str, Reader] = {
    "demo": rendered.read_demo,
    "rendered": rendered.read,
    "rafce": raf.read_rafce,
    "rafdb": raf.read_rafdb,
    "rafdb-basic": raf.read_rafdb_basic,
    "rafml": raf.read_rafml,
    "folder": folder.read,
    "manifest": manifest.read,
    "hub": hub.read,
}
# Their terms allow research only, of weights that learnt from them, too.
RESTRICTED = frozenset({"rafce", "rafdb", "rafdb-basic", "rafml"})
_GRAMMAR = (
    "demo, rafce:/path, rafdb:/path, rafdb-basic:/path, rafml:/path, folder:/path, "
    "manifest:/table.csv, rendered:/path or hub:owner/name@revision, with ?option=value&... behind"
)
_TRUTH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


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
