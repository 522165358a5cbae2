"""One line names a model everywhere: `kind:where+adapter@revision?option=value`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

_SHAPE = re.compile(
    r"(?P<kind>[a-z0-9][a-z0-9-]*)(?::(?P<where>.*?))?(?:\?(?P<options>[^?]*))?", re.DOTALL
)
# A revision is a branch, tag or commit at the very end; the "@" of a user in a URL is not one.
_REVISION = re.compile(r"@(?P<revision>[A-Za-z0-9][\w.\-/]*)$")
_HUB_ID = re.compile(r"[\w.\-]+(/[\w.\-]+)?")
_LONGEST = 4096  # characters, as many as the path of a folder may have
_SHOWN = 100  # of them, that a message repeats


@dataclass(frozen=True)
class Spec:
    """A model's name, taken apart.

    `kind` is the family; `where` a Hub id, folder or address ("" where the kind needs none);
    `adapter` a PEFT adapter on top of it; `revision` a branch, tag or commit; `options` such as
    {"load": "8bit"}.
    """

    kind: str
    where: str = ""
    revision: str | None = None
    adapter: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def __str__(self) -> str:
        text = f"{self.kind}:{self.where}" if self.where else self.kind
        text += f"+{self.adapter}" if self.adapter else ""
        text += f"@{self.revision}" if self.revision else ""
        pairs = "&".join(f"{key}={value}" for key, value in self.options.items())
        return f"{text}?{pairs}" if pairs else text


def parse(text: str) -> Spec:
    """Parse the spec written in `text`.

    The name of a folder that is there may hold a "+" or "@".

    Raises:
        ValueError: the text is no spec; the message shows the form.
    """
    if len(text) > _LONGEST:
        raise ValueError(
            f"Expected a model of at most {_LONGEST} characters; got {len(text)}, "
            f"which begin with {quoted(text)}."
        )
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"Expected a model as kind:where@revision, such as timm:owner/name; got {quoted(text)}."
        )
    places = match["where"] or ""
    *_, usual = readings = list(_readings(match["kind"], places))
    stand = (r for r in readings if all(_stands(place) for place in (r[0], r[2]) if place))
    where, revision, adapter = next(stand, usual)
    return Spec(match["kind"], where, revision, adapter, _options(match["options"] or "", text))


def _readings(kind: str, text: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each way to read where, revision and adapter, the usual one last."""
    without, revision = _split_revision(text)
    for places, at in dict.fromkeys([(text, None), (without, revision)]):
        yield places, at, None
        for plus in re.finditer(r"\+", "" if kind == "remote" else places):
            yield places[: plus.start()], at, places[plus.end() :] or None


def _stands(place: str) -> bool:
    """Tell whether a place is a folder or may be an id of the Hub."""
    return _HUB_ID.fullmatch(place) is not None or folder_at(place) is not None


def folder_at(place: str) -> Path | None:
    """Find the folder of this name, "~" for a user's own; None where there is none."""
    try:
        path = Path(place).expanduser()
        return path if place and path.is_dir() else None
    except (OSError, RuntimeError):  # a name too long, the home of a user who is not there
        return None


def quoted(text: str) -> str:
    """Quote what somebody wrote for a message, cut where it is long."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _split_revision(where: str) -> tuple[str, str | None]:
    match = _REVISION.search(where)
    if match is None or "://" in where:
        return where, None
    return where[: match.start()], match["revision"]


def _options(text: str, whole: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    if any(not equals or not key for key, equals, _ in pairs):
        raise ValueError(f"Expected options as ?name=value&name=value; got {quoted(whole)}.")
    return {key: value for key, _, value in pairs}
