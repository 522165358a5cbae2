"""What the data that a model was trained on permits for its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ferce import data

RESEARCH = "research-only"


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


def source(spec: str) -> Source:
    """Find the source behind a data spec such as "rafce:/data/RAF-CE".

    Raises:
        LicenceError: a kind that is not in `SOURCES`.
    """
    kind = spec.partition("?")[0].partition(":")[0]
    if kind not in SOURCES:
        raise LicenceError(f"Unknown data {spec!r}; known kinds: {', '.join(SOURCES)}.")
    return SOURCES[kind]


def restricted(specs: Sequence[str]) -> list[str]:
    """Name the data sets among these whose terms allow research only; raises as `source` does."""
    names = {spec: source(spec).name for spec in specs}
    return sorted({name for spec, name in names.items() if data.restricted(spec)})


def dataset_id(spec: str) -> str | None:
    """Name the data set as the metadata does: a Hub id or a public name; None where it has none."""
    kind, _, where = spec.partition("?")[0].partition(":")
    return where.partition("@")[0] if kind == "hub" else source(spec).slug


def licence_for(specs: Sequence[str], asked: str | None) -> Licence:
    """Choose the licence of weights trained on these data sets.

    Args:
        specs: every data set that the weights have learnt from.
        asked: an identifier of the Hub such as "apache-2.0"; not needed where the data settles it.

    Raises:
        LicenceError: none was given, or the data permits research only and another was given.
    """
    if named := restricted(specs):
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
