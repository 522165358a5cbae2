"""Answer questions about a face from its measured action units."""

import re
from collections.abc import Callable, Sequence
from types import MappingProxyType

from ferce.core.labels import NEUTRAL, NOUNS, components
from ferce.core.parts import Cue, Prediction
from ferce.core.types import REGIONS, Face, Scores, UnitEvidence
from ferce.explanation.text.parsing import parse
from ferce.explanation.text.tokens import tokens
from ferce.explanation.text.wording import joined, opened, phrase, phrases, unclear
from ferce.facs.decision import decide, posterior
from ferce.facs.prototypes import ACTIVE, TRUSTED, UNITS, active, fits, in_region

UNTOLD = "That cannot be told from this photo."
UNKNOWN = (
    "This voice answers from measured facial movements only; ask about the brows, eyes, nose, "
    "cheeks, mouth or chin, or about the expression."
)
# Units that tighten a muscle visibly, as against those that open or relax.
_TENSION = (4, 7, 14, 20, 23, 24)
_WORDS = MappingProxyType({"happy": "happiness|happy|joy|smiling face", "sad": "sadness|sad",
    "fearful": "fear|fearful|afraid", "angry": "anger|angry", "surprised": "surprise|surprised",
    "disgusted": "disgust|disgusted"})  # fmt: skip


def reply(face: Face, question: str) -> str:
    """Answer a question from the measured units; say so when they do not tell."""
    if not any(u.confidence >= TRUSTED for u in face.units.values()):
        return f"{UNTOLD} No facial movement was measured on this face."
    text = " ".join(token.lemma for token in tokens(question))
    for pattern, answer in _TOPICS:
        if pattern.search(text):
            return answer(face, text)
    cues = parse(question)
    named = [c for c in cues if c.unit is not None]
    if named:
        return _about_units(face, named, choice=" or " in text)
    regions = [r for r in REGIONS if any(c.region == r for c in cues) or _names(text, r)]
    return " ".join(_about_region(face, r) for r in regions) or UNKNOWN


def _about_units(face: Face, cues: Sequence[Cue], choice: bool) -> str:
    """Answer yes or no and say what is there; a choice gets no yes or no."""
    states = {u: _state(face, u, c.side) for c in cues for u in [c.unit or 0]}
    present = [face.units[u] for u, there in states.items() if there]
    unreadable = [u for u, there in states.items() if there is None]
    if present:
        said = joined(p.coded for p in phrases(present))
        denied = all(c.negated for c in cues)
        return f"{opened(said)}." if choice else f"{'No' if denied else 'Yes'}, {said}."
    clear = [u for u, there in states.items() if there is False]
    if not clear:
        return _doubt(unreadable)
    rest = _instead(face, cues)
    yes = all(c.negated for c in cues)
    opening = "None of these shows. " if choice else "Yes. " if yes else "No. "
    unsure = f" {_doubt(unreadable)}" if unreadable else ""
    return f"{opening}{rest}{unsure}"


def _doubt(units: Sequence[int]) -> str:
    return unclear(phrase((u,)).coded for u in units)


def _state(face: Face, unit: int, side: str | None) -> bool | None:
    """Tell whether a unit is there (on a side); None when this photo does not show it."""
    seen = face.units.get(unit)
    if seen is None or seen.confidence < TRUSTED:
        return None
    value = {"left": seen.left, "right": seen.right}.get(side or "")
    return (seen.intensity if value is None else value) >= ACTIVE


def _instead(face: Face, cues: Sequence[Cue]) -> str:
    """Describe what the regions asked about do show."""
    regions = dict.fromkeys(c.region for c in cues if c.region)
    return " ".join(_about_region(face, r) for r in regions)


def _about_region(face: Face, region: str) -> str:
    here = [u for u in active(face.units) if UNITS[u.unit].region == region]
    if here:
        return f"{opened(joined(p.coded for p in phrases(here)))}."
    known = [u for u in face.units.values() if UNITS[u.unit].region == region]
    if not any(u.confidence >= TRUSTED for u in known):
        also = [u for u in active(face.units) if in_region(u.unit, region)]
        near = f" Beside it {joined(p.coded for p in phrases(also))}." if also else ""
        return f"What the {region} {_do(region)} cannot be told from this photo.{near}"
    return f"The {region} {_show(region)} no clear movement."


def _plural(region: str) -> bool:
    return region in ("brows", "eyes", "cheeks")


def _show(region: str) -> str:
    return "show" if _plural(region) else "shows"


def _do(region: str) -> str:
    return "do" if _plural(region) else "does"


def _names(text: str, region: str) -> bool:
    return (
        re.search(rf"\b{region.removesuffix('s')}s?\b|\b{_OTHER_NAMES[region]}\b", text) is not None
    )


_OTHER_NAMES = {
    "brows": "forehead",
    "eyes": "lid",
    "nose": "nostril",
    "cheeks": "cheek",
    "mouth": "lip",
    "chin": "jaw",
}


def _reading(face: Face) -> Prediction:
    """Decide the label from the action units alone, without the classifier."""
    return decide(Scores.of_outcomes(posterior([face.units])), 0, face, "prototypes")


def _expression(face: Face, text: str) -> str:
    del text
    reading = _reading(face)
    if reading.label is None:
        return "By its action units alone the expression is unclear. " + _all(face, "")
    label = reading.label if reading.label == NEUTRAL else NOUNS.get(reading.label, reading.label)
    return f"By its action units alone the expression resembles *{label}*."


def _combined(face: Face, text: str) -> str:
    del text
    reading = _reading(face)
    parts = components(reading.label) if reading.label else ()
    if len(parts) == 2:
        return f"Its action units alone resemble {joined(NOUNS[p] for p in parts)}."
    if parts:
        return f"Only {NOUNS[parts[0]]} stands out; no second emotion is clear."
    return "By the action units alone no two emotions stand out."


def _component(face: Face, text: str) -> str:
    """List the active units that speak for the emotions that the question names."""
    asked = [p for p, words in _WORDS.items() if re.search(rf"\b(?:{words})\b", text)]
    answers = []
    for basic in asked:
        fitting = [u for u in active(face.units) if fits(u.unit, basic)]
        said = joined(p.coded for p in phrases(fitting))
        noun = NOUNS[basic]
        answers.append(
            f"For {noun}: {said}." if said else f"No measured movement speaks for {noun}."
        )
    return " ".join(answers)


def _tension(face: Face, text: str) -> str:
    """Describe where muscles are tight: units that draw together, tighten, press or stretch."""
    regions = [r for r in REGIONS if _names(text, r)]
    tense = [
        u
        for u in active(face.units)
        if u.unit in _TENSION and (not regions or UNITS[u.unit].region in regions)
    ]
    if not tense:
        where = f" of the {joined(regions)}" if regions else ""
        return f"No clear tension shows in the measured movements{where}."
    return f"Tension shows where {joined(p.clause for p in phrases(tense))}."


def _sides(face: Face, text: str) -> str:
    del text
    uneven = [u for u in active(face.units) if u.side]
    if not uneven:
        return "No; the measured movements are about equal on both sides."
    return f"Yes, {joined(p.coded for p in phrases(uneven))}, more clearly than the other side."


def _all(face: Face, text: str) -> str:
    del text
    said = joined(p.coded for p in phrases(active(face.units)))
    return f"{opened(said)}." if said else "No facial movement is clear enough to be named."


def _strongest(face: Face, text: str) -> str:
    del text
    units: Sequence[UnitEvidence] = active(face.units)
    if not units:
        return "No facial movement is clear enough to be named."
    return f"Most clearly {phrases(units[:1])[0].coded}."


_EMOTIONS = "|".join(_WORDS.values())
_TOPICS: tuple[tuple[re.Pattern[str], Callable[[Face, str], str]], ...] = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), answer)
    for pattern, answer in (
        (
            f"(?:speak|fit|point|sign|cue|show|indicate|evidence|suggest)\\b.*\\b(?:{_EMOTIONS})",
            _component,
        ),
        ("two emotions?|emotions?.*combine|compound|mix(?:ed|ture)?", _combined),
        ("two side|both side|symmetric|symmetry|asymmetr\\w*|sides? .*differ", _sides),
        ("tension|tense muscle|muscle", _tension),
        ("strongest|main cue|most (?:visible|clear|important)", _strongest),
        ("which (?:facial )?(?:cue|movement|action)|facial cue|describe", _all),
        ("expression|emotion|emotional|feel|feeling|mood|label", _expression),
        (f"(?:be|look|seem|appear) .*\\b(?:{_EMOTIONS})", _component),
    )
)
