"""Compose explanations from measured action units: what is seen, and which emotion it fits."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from ferce.core.labels import BASICS, NEUTRAL, NOUNS, components
from ferce.core.parts import Prediction
from ferce.core.types import Face, UnitEvidence
from ferce.explanation.text.wording import Phrase, joined, opened, phrase, phrases, unclear
from ferce.facs.opposites import opposed
from ferce.facs.prototypes import PROTOTYPES, TRUSTED, UNITS, active, fits

PHRASINGS = 6
# A component's unit is missed aloud when at least this share of people show it.
EXPECTED = 0.5
# A unit shown this much more often with one component than with the other is attributed to it.
DECISIVE = 1.8
# At most so many units that do not fit the label are said, the strongest.
MISFITS = 3
# Share of people for units that only EMFACS lists; below every share in Du's table.
EMFACS_SHARE = 0.19


@dataclass(frozen=True)
class Plan:
    """Content of an explanation before it is worded.

    `groups` holds (emotion, phrases) for each component of the label; `common` fits all of them,
    `misfits` none; `against` are opposites of units measured as stronger; `unknown` are expected
    units that this photo does not show either way.
    """

    prediction: Prediction
    measured: bool
    groups: tuple[tuple[str, tuple[Phrase, ...]], ...]
    common: tuple[Phrase, ...]
    misfits: tuple[Phrase, ...]
    against: tuple[Phrase, ...]
    unknown: tuple[int, ...]


def phrasing_of(face: Face) -> int:
    """Choose the phrasing of a photo by a hash of the crop, the same on every machine."""
    return zlib.crc32(face.crop.tobytes()) % PHRASINGS


def compose(face: Face, prediction: Prediction, phrasing: int) -> str:
    """Compose an explanation of the predicted label from the face's measured action units.

    Args:
        face: its `units` are all that is claimed; one that cannot be told is never claimed.
        prediction: label and state.
        phrasing: which wording, any integer; `phrasing_of(face)` ties it to the photo.
    """
    return _worded(_plan(face, prediction), phrasing % PHRASINGS)


def _plan(face: Face, prediction: Prediction) -> Plan:
    label = prediction.label
    shown, against = _apart(active(face.units))
    parts = components(label) if label else ()
    owners = _owners(shown, parts)
    groups = tuple((p, tuple(phrases([u for u in shown if owners[u.unit] == (p,)]))) for p in parts)
    common = phrases([u for u in shown if len(owners[u.unit]) > 1]) if parts else []
    rest = [u for u in shown if not owners[u.unit]]
    misfits = phrases(rest if label is None else rest[:MISFITS])
    unknown = tuple(u for p in parts for u in _expected(p) if _unreadable(face, u))
    known = any(u.confidence >= TRUSTED for u in face.units.values())
    once = tuple(dict.fromkeys(unknown)) if known else ()
    return Plan(prediction, known, groups, tuple(common), tuple(misfits), against, once)


def _apart(units: Sequence[UnitEvidence]) -> tuple[list[UnitEvidence], tuple[Phrase, ...]]:
    """Part the units, strongest first, from the weaker opposites of others."""
    plain: list[UnitEvidence] = []
    weaker: list[UnitEvidence] = []
    for unit in units:
        (weaker if any(opposed(unit.unit, one.unit) for one in plain) else plain).append(unit)
    return plain, tuple(phrases(weaker))


def _owners(units: Sequence[UnitEvidence], parts: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """Attribute each unit to the components of the label that it speaks for.

    A unit that fits two evenly goes with the clearest one-sided unit of its region, where there is
    one: parted lips belong to the smile beside them.
    """
    owners = {u.unit: attributed(u.unit, parts) for u in units}
    clear = [u for u in units if len(owners[u.unit]) == 1]
    for unit in units:
        near = [u for u in clear if UNITS[u.unit].region == UNITS[unit.unit].region]
        if len(owners[unit.unit]) > 1 and near:
            owners[unit.unit] = owners[max(near, key=lambda u: u.intensity).unit]
    if 27 in owners:  # a mouth stretched wide open is one act, whatever else is open with it
        act = [n for n in (27, 26, 25) if n in owners]
        owners |= dict.fromkeys(act, next((owners[n] for n in act if owners[n]), ()))
    return owners


def attributed(unit: int, parts: Sequence[str]) -> tuple[str, ...]:
    """List the components that the unit speaks for.

    Those of `parts` that it fits; only one where it is shown `DECISIVE` times more often with it.
    """
    shares = {p: _share(unit, p) for p in parts if fits(unit, p)}
    best = max(shares.values(), default=0.0)
    return tuple(p for p, share in shares.items() if share * DECISIVE > best)


def _share(unit: int, basic: str) -> float:
    """Return the share of people who show the unit with the emotion; 1 for a core unit."""
    row = PROTOTYPES[basic]
    return 1.0 if unit in row.core else row.variants.get(unit, EMFACS_SHARE)


def _expected(basic: str) -> tuple[int, ...]:
    row = PROTOTYPES[basic]
    return (*row.core, *(u for u, share in row.variants.items() if share >= EXPECTED))


def _unreadable(face: Face, unit: int) -> bool:
    seen = face.units.get(unit)
    return seen is None or seen.confidence < TRUSTED


def _worded(plan: Plan, k: int) -> str:
    """Word the plan; `k` in 0..5 chooses the phrasing."""
    sentences = [_opening(plan, k), _misfits(plan), _against(plan), _unknown(plan)]
    return " ".join(s for s in sentences if s)


def _opening(plan: Plan, k: int) -> str:
    state = plan.prediction.state
    if not plan.measured:
        return _unmeasured(plan)
    if state == "unclear":
        return _unclear(plan, k)
    if plan.prediction.label == NEUTRAL:
        return _although(plan, k) if plan.misfits else _neutral(k)
    signs = [(p, said) for p, said in plan.groups if said]
    if not signs and not plan.common:
        return (
            f"To the model the expression resembles {_label(plan)}, but no measured sign in the "
            "face speaks for it."
        )
    return _labelled(plan, signs, k)


def _labelled(plan: Plan, signs: Sequence[tuple[str, tuple[Phrase, ...]]], k: int) -> str:
    """Word the label and the signs of each component, then what both share or what has no sign."""
    label = _label(plan)
    tail = [*filter(None, (_common(plan), _silent(plan)))]
    if not signs:
        return " ".join([_BARE[k].format(label), *tail])
    if plan.prediction.label in BASICS:
        return _BASIC[k].format(label=label, **_fields(signs[:1]))
    templates = _PAIRS if len(signs) > 1 else _SINGLE
    return " ".join([templates[k].format(label=label, **_fields(signs)), *tail])


def _label(plan: Plan) -> str:
    label = plan.prediction.label or ""
    return f"*{NOUNS.get(label, label)}*"


def _clauses(said: Sequence[Phrase]) -> str:
    """Join clauses; a subject that repeats is said once."""
    clauses: list[str] = []
    last = ""
    for one in said:
        again = bool(one.subject) and one.subject == last
        clauses.append(one.coded.removeprefix(one.subject) if again else one.coded)
        last = one.subject
    return joined(clauses)


def _nouns(said: Sequence[Phrase]) -> str:
    return joined(p.coded_noun for p in said)


def _verb(said: Sequence[Phrase], plural: str, singular: str) -> str:
    return plural if len(said) > 1 or said[0].plural else singular


# Fields: `{label}`; `{a}`, `{b}`: the emotions; `{clauses1}`, `{nouns1}` and, for the second
# emotion, `{clauses2}`, `{nouns2}`: their signs, with a capital at the start of a sentence;
# `{s1}`: "s" where one sign speaks, `{is1}`: "is" or "are".
_PAIRS = (
    "The expression resembles {label}: {clauses1}, which fits {a}; {clauses2}, which fits {b}.",
    "The expression most closely resembles {label}. {Nouns1} speak{s1} for {a}, while {nouns2} "
    "point{s2} to {b}.",
    "In this face {clauses1}, as is common in {a}. At the same time {clauses2}, as is common in "
    "{b}. Taken together, the expression resembles {label}.",
    "The expression resembles {label}: {nouns1} bring{s1} {a} to mind, and {nouns2} bring{s2} {b}.",
    "Two things meet in an expression that resembles {label}: {nouns1}, as in {a}, and {nouns2}, "
    "as in {b}.",
    "The expression resembles {label}. {Clauses1}, a sign of {a}. {Clauses2}, a sign of {b}.",
)
_SINGLE = (
    "The expression resembles {label}: {clauses1}, which fits {a}.",
    "The expression most closely resembles {label}. {Nouns1} speak{s1} for {a}.",
    "In this face {clauses1}, as is common in {a}. The expression resembles {label}.",
    "The expression resembles {label}: {nouns1}, as in {a}.",
    "The expression resembles {label}. The sign of {a}: {clauses1}.",
    "The expression resembles {label}. {Clauses1}, as one often sees in {a}.",
)
# The label names the emotion, so the signs need not.
_BASIC = (
    "The expression resembles {label}: {clauses1}.",
    "The expression most closely resembles {label}; {nouns1} speak{s1} for it.",
    "In this face {clauses1}. The expression therefore resembles {label}.",
    "The expression resembles {label} because {clauses1}.",
    "The expression resembles {label}; what speaks for it {is1} {nouns1}.",
    "{Clauses1}: an expression that resembles {label}.",
)


def _fields(signs: Sequence[tuple[str, tuple[Phrase, ...]]]) -> dict[str, str]:
    """Word the signs of each emotion for the fields of a template."""
    fields: dict[str, str] = {}
    for number, (emotion, said) in enumerate(signs, 1):
        clauses, nouns = _clauses(said), _nouns(said)
        fields |= {
            "ab"[number - 1]: NOUNS[emotion],
            f"clauses{number}": clauses,
            f"Clauses{number}": opened(clauses),
            f"nouns{number}": nouns,
            f"Nouns{number}": opened(nouns),
            f"s{number}": _verb(said, "", "s"),
            f"is{number}": _verb(said, "are", "is"),
        }
    return fields


_BARE = (
    "The expression resembles {}.",
    "The expression most closely resembles {}.",
    "Taken as a whole, the expression resembles {}.",
    "As far as measured, the expression resembles {}.",
    "What the expression resembles most is {}.",
    "Of the labels known here, the expression resembles {} most.",
)


def _common(plan: Plan) -> str:
    if not plan.common:
        return ""
    names = joined(NOUNS[p] for p, _ in plan.groups)
    both = "both " if len(plan.groups) == 2 else ""
    verb = _verb(plan.common, "fit", "fits")
    return f"{opened(_nouns(plan.common))} {verb} {both}{names}."


def _silent(plan: Plan) -> str:
    names = [NOUNS[p] for p, said in plan.groups if not said]
    return f"Nothing measured here speaks for {joined(names, 'or')} alone." if names else ""


def _misfits(plan: Plan) -> str:
    if not plan.misfits or plan.prediction.state == "unclear" or not plan.measured:
        return ""
    said = plan.misfits
    if plan.prediction.label == NEUTRAL:
        return ""
    return f"{opened(_nouns(said))} {_verb(said, 'do', 'does')} not fit this reading."


def _against(plan: Plan) -> str:
    """Concede what is measured as well, though it is the opposite of what is said."""
    if not plan.against:
        return ""
    return f"This is said although {_clauses(plan.against)}, but measured as weaker."


def _unknown(plan: Plan) -> str:
    if not plan.unknown:
        return ""
    return unclear(phrase((u,)).coded for u in plan.unknown[:2])


def _neutral(k: int) -> str:
    return (
        "The expression resembles a *neutral* face: no facial movement stands out.",
        "The expression most closely resembles *neutral*; nothing moves clearly away from rest.",
        "The expression resembles *neutral*, as none of the measured movements is clear.",
        "No facial movement is clear enough to name, so the expression resembles *neutral*.",
        "The expression resembles that of a face at rest, which is why it reads as *neutral*.",
        "Nothing in the face departs clearly from rest: the expression resembles *neutral*.",
    )[k]


def _although(plan: Plan, k: int) -> str:
    """Word that a face is read as neutral, although some movement is measured."""
    return (
        "The expression resembles a *neutral* face, although {}.",
        "The expression most closely resembles *neutral*, although {}.",
        "Taken as a whole, the expression resembles *neutral*, although {}.",
        "Of the labels known here, the expression resembles *neutral* most, although {}.",
        "Although {}, the expression resembles that of a *neutral* face.",
        "Although {}, what the expression resembles most is *neutral*.",
    )[k].format(_clauses(plan.misfits))


def _unclear(plan: Plan, k: int) -> str:
    lead = (
        "The expression does not clearly resemble any one label.",
        "No label fits this expression well enough to be named.",
        "This expression stays unclear.",
        "What the expression resembles cannot be said with confidence.",
        "The signs in this face do not add up to one label.",
        "No single reading of this expression stands out.",
    )[k]
    if not plan.misfits:
        return f"{lead} No facial movement is strong enough to be described."
    return f"{lead} What can be seen: {_clauses(plan.misfits)}."


def _unmeasured(plan: Plan) -> str:
    if plan.prediction.label is None:
        return "No label is given, and no action units were measured, so there is nothing to name."
    return (
        f"To the model the expression resembles {_label(plan)}. No action units were measured on "
        "this face, so no cue can be named for it."
    )
