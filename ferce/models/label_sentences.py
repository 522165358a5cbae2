"""Sentences that stand for the 14 compounds in a model which compares pictures with text."""

from collections.abc import Mapping
from types import MappingProxyType

from ferce.core.labels import COMPOUNDS, NOUNS, components
from ferce.facs.prototypes import PROTOTYPES, UNITS

# {label} "happily surprised", {first} "happiness", {second} "surprise".
PLAIN: tuple[str, ...] = (
    "a photo of a person who looks {label}.",
    "a close-up photo of a {label} face.",
    "a portrait with a {label} facial expression.",
    "a facial expression that mixes {first} and {second}.",
    "a face that shows {first} and {second} at the same time.",
)
# {core}: what most people who show the label do; {usual}: what at least half of them do besides.
UNIT_WORDED: tuple[str, ...] = (
    "a photo of a face: {core}.",
    "a photo of a face: {usual}.",
    "a close-up of a {label} face in which {core}.",
)
USUAL = 0.5  # share of people from which a variant of the prototype belongs to {usual}
STYLES: tuple[str, ...] = ("plain", "units", "both")


def sentences(label: str, style: str = "both") -> tuple[str, ...]:
    """The sentences of a compound, each once.

    Args:
        label: a compound.
        style: "plain" names the emotions, "units" tells what the face does, "both" is all of them.
    """
    if style not in STYLES:
        raise ValueError(f"prompts must be one of {STYLES}; got {style!r}")
    templates = {"plain": PLAIN, "units": UNIT_WORDED, "both": PLAIN + UNIT_WORDED}[style]
    first, second = (NOUNS[basic] for basic in components(label))
    prototype = PROTOTYPES[label]
    usual = [*prototype.core, *(n for n, share in prototype.variants.items() if share >= USUAL)]
    words = {"label": label, "first": first, "second": second}
    words |= {"core": _clauses(prototype.core), "usual": _clauses(sorted(usual))}
    return tuple(dict.fromkeys(template.format(**words) for template in templates))


def table(style: str = "both") -> Mapping[str, tuple[str, ...]]:
    """Label -> sentences, for every compound."""
    return MappingProxyType({label: sentences(label, style) for label in COMPOUNDS})


def _clauses(units: tuple[int, ...] | list[int]) -> str:
    """As in: the inner brows are raised, the lips are parted and the jaw is dropped."""
    *most, last = (UNITS[number].clause() for number in units)
    return f"{', '.join(most)} and {last}" if most else last
