"""A plan of an explanation put into sentences, in six phrasings."""

from collections.abc import Sequence
from dataclasses import dataclass

from ferce.core.labels import BASICS, NEUTRAL, NOUNS
from ferce.core.types import Prediction
from ferce.explanation.text.wording import Phrase, joined, opened, phrase

Heard = list[tuple[str, tuple[Phrase, ...]]]


@dataclass(frozen=True)
class Plan:
    """What an explanation has to say, before it is worded.

    `groups` holds (emotion, phrases) for each component of the label; `common` fits all of them,
    `misfits` none; `unknown` are expected units that this photo does not show either way.
    """

    prediction: Prediction
    measured: bool
    groups: tuple[tuple[str, tuple[Phrase, ...]], ...]
    common: tuple[Phrase, ...]
    misfits: tuple[Phrase, ...]
    unknown: tuple[int, ...]


def worded(plan: Plan, k: int) -> str:
    """The plan in words; `k` in 0..5 chooses the phrasing."""
    sentences = [_opening(plan, k), _misfits(plan), _unknown(plan)]
    return " ".join(s for s in sentences if s)


def _opening(plan: Plan, k: int) -> str:
    state = plan.prediction.state
    if not plan.measured:
        return _unmeasured(plan)
    if state == "unclear":
        return _unclear(plan, k)
    if plan.prediction.label == NEUTRAL:
        return _neutral(k)
    heard = [(p, said) for p, said in plan.groups if said]
    if not heard and not plan.common:
        return (
            f"To the model the expression resembles {_label(plan)}, but no measured sign in the "
            "face speaks for it."
        )
    return _labelled(plan, heard, k)


def _labelled(plan: Plan, heard: list[tuple[str, tuple[Phrase, ...]]], k: int) -> str:
    """The label and the signs of each component, then what both share and what has no sign."""
    tail = [_common(plan), _silent(plan)]
    if not heard:
        return " ".join([_BARE[k].format(_label(plan)), *filter(None, tail)])
    wording = _WORDINGS[k] if len(heard) > 1 else _SINGLE[k]
    if plan.prediction.label in BASICS:
        return _basic(_label(plan), heard[0][1], k)
    return " ".join([wording(_label(plan), heard), *filter(None, tail)])


def _label(plan: Plan) -> str:
    label = plan.prediction.label or ""
    return f"*{NOUNS.get(label, label)}*"


def _clauses(said: Sequence[Phrase]) -> str:
    """Clauses in a row; a subject that repeats is said once."""
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


def _colon(label: str, heard: Heard) -> str:
    parts = [f"{_clauses(said)}, which fits {NOUNS[p]}" for p, said in heard]
    return f"The expression resembles {label}: {'; '.join(parts)}."


def _while(label: str, heard: Heard) -> str:
    (a, first), (b, second) = heard
    return (
        f"The expression most closely resembles {label}. {opened(_nouns(first))} "
        f"{_verb(first, 'speak', 'speaks')} for {NOUNS[a]}, while {_nouns(second)} "
        f"{_verb(second, 'point', 'points')} to {NOUNS[b]}."
    )


def _together(label: str, heard: Heard) -> str:
    (a, first), (b, second) = heard
    return (
        f"In this face {_clauses(first)}, as is common in {NOUNS[a]}. At the same time "
        f"{_clauses(second)}, as is common in {NOUNS[b]}. Taken together, the expression "
        f"resembles {label}."
    )


def _for(label: str, heard: Heard) -> str:
    parts = [f"{_nouns(said)} {_verb(said, 'bring', 'brings')} {NOUNS[p]}" for p, said in heard]
    return f"The expression resembles {label}: {parts[0]} to mind, and {parts[1]}."


def _two(label: str, heard: Heard) -> str:
    (a, first), (b, second) = heard
    return (
        f"Two things meet in an expression that resembles {label}: {_nouns(first)}, as in "
        f"{NOUNS[a]}, and {_nouns(second)}, as in {NOUNS[b]}."
    )


def _apart(label: str, heard: Heard) -> str:
    (a, first), (b, second) = heard
    return (
        f"The expression resembles {label}. {opened(_clauses(first))}, a sign of {NOUNS[a]}. "
        f"{opened(_clauses(second))}, a sign of {NOUNS[b]}."
    )


_WORDINGS = (_colon, _while, _together, _for, _two, _apart)


def _noun_verb(label: str, heard: Heard) -> str:
    ((basic, said),) = heard
    verb = _verb(said, "speak", "speaks")
    return (
        f"The expression most closely resembles {label}. {opened(_nouns(said))} {verb} "
        f"for {NOUNS[basic]}."
    )


def _in_face(label: str, heard: Heard) -> str:
    ((basic, said),) = heard
    return (
        f"In this face {_clauses(said)}, as is common in {NOUNS[basic]}. The expression "
        f"resembles {label}."
    )


def _seen_in(label: str, heard: Heard) -> str:
    ((basic, said),) = heard
    return f"The expression resembles {label}: {_nouns(said)}, as in {NOUNS[basic]}."


def _rests(label: str, heard: Heard) -> str:
    ((basic, said),) = heard
    return f"The expression resembles {label}. The sign of {NOUNS[basic]}: {_clauses(said)}."


def _sentence(label: str, heard: Heard) -> str:
    ((basic, said),) = heard
    return (
        f"The expression resembles {label}. {opened(_clauses(said))}, as one often sees in "
        f"{NOUNS[basic]}."
    )


_SINGLE = (_colon, _noun_verb, _in_face, _seen_in, _rests, _sentence)


def _basic(label: str, said: Sequence[Phrase], k: int) -> str:
    """One emotion and its signs; the label names the emotion, so the signs need not."""
    speak, be = _verb(said, "speak", "speaks"), _verb(said, "are", "is")
    return (
        f"The expression resembles {label}: {_clauses(said)}.",
        f"The expression most closely resembles {label}; {_nouns(said)} {speak} for it.",
        f"In this face {_clauses(said)}. The expression therefore resembles {label}.",
        f"The expression resembles {label} because {_clauses(said)}.",
        f"The expression resembles {label}; what speaks for it {be} {_nouns(said)}.",
        f"{opened(_clauses(said))}: an expression that resembles {label}.",
    )[k]


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
        return f"At most, {_nouns(said)} can be made out."
    return f"{opened(_nouns(said))} {_verb(said, 'do', 'does')} not fit this reading."


def _unknown(plan: Plan) -> str:
    if not plan.unknown:
        return ""
    asked = [phrase((u,)).coded for u in plan.unknown[:2]]
    return f"Whether {joined(asked, 'or')} cannot be told from this photo."


def _neutral(k: int) -> str:
    return (
        "The expression resembles a *neutral* face: no facial movement stands out.",
        "The expression most closely resembles *neutral*; nothing moves clearly away from rest.",
        "The expression resembles *neutral*, as none of the measured movements is clear.",
        "No facial movement is clear enough to name, so the expression resembles *neutral*.",
        "The expression resembles that of a face at rest, which is why it reads as *neutral*.",
        "Nothing in the face departs clearly from rest: the expression resembles *neutral*.",
    )[k]


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
