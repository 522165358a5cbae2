"""Check the claims of a text against the face, the model, and the annotation of a picture."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from types import MappingProxyType

from ferce.core.labels import BASICS, NOUNS, components
from ferce.core.parts import Cue, Heatmap, Prediction, Use, Verdict
from ferce.core.protocols import Classifier
from ferce.core.types import Face, UnitEvidence
from ferce.explanation.faithfulness import Drop, drops, target
from ferce.explanation.text.lexicon import UNMEASURED
from ferce.explanation.text.parsing import parse, sentences
from ferce.explanation.text.scope import Sentence, negated, supposed
from ferce.explanation.text.tokens import tokens
from ferce.faces.perturb import face_mask, region_mask
from ferce.facs.prototypes import ACTIVE, TRUSTED, UNITS, in_region

# A smaller loss of probability than this is noise, whatever random regions lose.
MIN_LOSS = 0.02
# A measurement less sure than this supports a claim, but contradicts none.
SURE = 0.5
# Heat at this multiple of an even spread speaks for use, at chance or below against it.
HOT = 1.5

# Every word that stands for a basic emotion, as an adverb, an adjective, a noun or a near synonym.
_STEMS = {
    "happy": ("happily", "happiness", "happy", "joyfully", "joyful", "joy"),
    "sad": ("sadly", "sadness", "sad", "sorrowfully", "sorrowful", "sorrow"),
    "fearful": ("fearfully", "fearful", "fear", "afraid", "scared", "frightened"),
    "angry": ("angrily", "anger", "angry", "furious"),
    "surprised": ("surprisedly", "surprised", "surprise", "astonished", "astonishment"),
    "disgusted": ("disgustedly", "disgusted", "disgust", "revulsion"),
}
EMOTIONS = MappingProxyType({word: basic for basic, words in _STEMS.items() for word in words})
_WORD = re.compile(r"\w+")
assert set(_STEMS) == set(BASICS) == set(NOUNS)


def check(
    cues: Sequence[Cue],
    face: Face,
    prediction: Prediction,
    heatmap: Heatmap | None = None,
    classifier: Classifier | None = None,
    *,
    composed: bool = False,
) -> tuple[Cue, ...]:
    """Fill in `seen`, `used` and `evidence` of the cues.

    `seen` compares the claim with the face's action units. `used` hides the claim's region (all
    regions in one call of the classifier) and reads the heat there; where hiding shows nothing but
    the heat is high, it cannot be told. Without classifier and map `used` stays None, and `seen`
    where the text was `composed` from these very action units.
    """
    uses = _uses(cues, face, prediction, heatmap, classifier)
    checked = []
    for cue in cues:
        group = [c for c in cues if (c.start, c.end) == (cue.start, cue.end)]
        seen, why = (None, "") if composed else _seen(group, face)
        use, reason = uses.get(cue.region or "", (None, ""))
        evidence = " ".join(filter(None, (why, reason)))
        checked.append(replace(cue, seen=seen, used=use, evidence=evidence))
    return tuple(checked)


def _seen(group: Sequence[Cue], face: Face) -> tuple[Verdict, str]:
    """Judge cues that share one phrase: "raised brows" holds when AU1 or AU2 is there."""
    first = group[0]
    if first.unit is None:
        there, why = _region_there(first, face)
    else:
        answers = [_unit_there(cue, face.units.get(cue.unit or 0)) for cue in group]
        states = [there for there, _ in answers]
        there = True if True in states else None if None in states else False
        why = " ".join(reason for _, reason in answers)
    if there is None:
        return "cannot be told", why
    return ("supported" if there != first.negated else "contradicted"), why


def _unit_there(cue: Cue, evidence: UnitEvidence | None) -> tuple[bool | None, str]:
    """Tell whether the unit is there; None when this photo does not show it."""
    assert cue.unit is not None, "a cue of a unit has one"
    code = f"AU{cue.unit} ({UNITS[cue.unit].name})" if cue.unit in UNITS else f"AU{cue.unit}"
    if evidence is None:
        return None, f"{code} was not measured."
    if evidence.confidence < TRUSTED:
        return None, f"{code} cannot be read here (confidence {evidence.confidence:.2f})."
    side = {"left": evidence.left, "right": evidence.right}.get(cue.side or "")
    value = evidence.intensity if side is None else side
    where = f" on the {cue.side}" if side is not None else ""
    said = f"{code} measured{where} at {value:.2f}, seen from {ACTIVE:.2f} on"
    said = f"{said} (confidence {evidence.confidence:.2f})."
    if cue.hedged and ACTIVE / 2 <= value < ACTIVE:
        return None, f"{said} Too faint to decide on a hedged claim."
    if (value >= ACTIVE) == cue.negated and evidence.confidence < SURE:
        return None, f"{said} Too unsure to contradict a claim."
    return value >= ACTIVE, said


def _region_there(cue: Cue, face: Face) -> tuple[bool | None, str]:
    """Tell whether any unit of the region is active; None for movements no unit measures."""
    region = cue.region or "face"
    if UNMEASURED.search(" ".join(token.lemma for token in tokens(cue.text))):
        return None, "No measured action unit shows this movement."
    here = [u for u in face.units.values() if u.unit in UNITS and in_region(u.unit, region)]
    readable = [u for u in here if u.confidence >= TRUSTED]
    moving = sorted((u for u in readable if u.intensity >= ACTIVE), key=lambda u: -u.intensity)
    if not readable:
        return None, f"No action unit of the {region} can be read here."
    said = f"None of the {len(readable)} action units read in the {region} is active."
    if moving:
        named = ", ".join(f"AU{u.unit} {u.intensity:.2f}" for u in moving[:3])
        said = f"Active in the region of the {region}: {named}."
    unsure = max(u.confidence for u in moving or readable) < SURE
    if bool(moving) == cue.negated and unsure:
        return None, f"{said} Too unsure to contradict a claim."
    return bool(moving), said


def _uses(
    cues: Iterable[Cue],
    face: Face,
    prediction: Prediction,
    heatmap: Heatmap | None,
    classifier: Classifier | None,
) -> dict[str, tuple[Use | None, str]]:
    """Judge for each region whether the model uses it, with the numbers in words."""
    regions = sorted({c.region for c in cues if c.region is not None} & set(face.regions))
    label = target(face, prediction, heatmap, classifier)
    measured: list[Drop | None] = [None] * len(regions)
    if classifier and regions:
        masks = [region_mask(face, [r]) for r in regions]
        measured = list(drops(classifier, face, masks, label, seed=0))
    uses = {}
    for region, drop in zip(regions, measured, strict=True):
        heat = heat_ratio(face, heatmap, region) if heatmap else None
        uses[region] = _use(region, label, drop, heat)
    return uses


def heat_ratio(face: Face, heatmap: Heatmap, region: str) -> float | None:
    """Compute mean heat in a region over mean heat in the face; 1 is chance, None without heat."""
    values, inside = heatmap.values, face_mask(face) | face.regions[region]
    mean = float(values[inside].mean())
    return float(values[face.regions[region]].mean()) / mean if mean > 0 else None


def _verdict(hiding: bool | None, heat: bool | None) -> Use:
    """Combine what hiding shows with what heat shows; None is not measured, or between."""
    if hiding or (hiding is None and heat):
        return "used"
    if heat is None and hiding is None:
        return "cannot be told"
    return "cannot be told" if heat else "not used"


def _use(region: str, label: str, drop: Drop | None, heat: float | None) -> tuple[Use | None, str]:
    if drop is None and heat is None:
        return None, ""
    parts, hiding = [], None
    if drop is not None:
        beaten = sum(drop.after < p for p in drop.random)
        hiding = drop.loss >= MIN_LOSS and beaten >= len(drop.random) - 1
        name = NOUNS.get(label, label)
        parts.append(
            f"With the {region} hidden the probability of {name} {_changes(drop.loss)} "
            f"({drop.before:.2f} to {drop.after:.2f}); with random parts as large hidden it "
            f"{_changes(drop.random_loss)}."
        )
    if heat is not None:
        parts.append(f"Heat there is {heat:.1f} times an even spread.")
    hot = None if heat is None or 1.0 < heat < HOT else heat >= HOT
    return _verdict(hiding, hot), " ".join(parts)


def _changes(loss: float) -> str:
    if abs(loss) < 0.005:
        return "hardly changes"
    return f"falls by {loss:.2f}" if loss > 0 else f"rises by {-loss:.2f}"


@dataclass(frozen=True)
class Mentions:
    """Counts of one text against one picture's annotation.

    Attributes:
        right: claims of which a unit is annotated as there.
        invented: claims of which none is.
        unsettled: claims of units coded too faintly to say; in neither of the above.
        found: annotated units that some claim names.
        there: annotated units.
        denied: annotated units that the text says are not there.
    """

    right: int = 0
    invented: int = 0
    unsettled: int = 0
    found: int = 0
    there: int = 0
    denied: int = 0


COUNTS = tuple(item.name for item in fields(Mentions))


def compare(text: str, there: Collection[int], faint: Collection[int] = ()) -> Mentions:
    """Count the text's claims against the annotation.

    A phrase that means one of several units ("raised brows": AU1 or AU2) is one claim, right when
    any of them is there. Regions named without a movement claim nothing.

    Args:
        text: of the explanation.
        there: annotated units that are clearly there.
        faint: annotated units too weak to be named.
    """
    right = invented = unsettled = 0
    named: set[int] = set()
    denied: set[int] = set()
    for _, phrase in groupby(parse(text), key=lambda cue: (cue.start, cue.end)):
        cues = list(phrase)
        units = {cue.unit for cue in cues if cue.unit is not None and not cue.negated}
        denied |= {cue.unit for cue in cues if cue.unit is not None and cue.negated}
        named |= units
        right += bool(units & set(there))
        invented += bool(units) and not units & (set(there) | set(faint))
        unsettled += bool(units & set(faint)) and not units & set(there)
    found, refused = len(named & set(there)), len(denied & set(there) - named)
    return Mentions(right, invented, unsettled, found, len(set(there)), refused)


def strange(text: str, prediction: Prediction) -> tuple[Cue, ...]:
    """Find the emotions named by a text that explains another label: contradicted claims.

    What is denied or only supposed ("if it were fear") claims nothing; against an unclear
    prediction nothing is held.
    """
    if prediction.label is None:
        return ()
    held = components(prediction.label)
    return tuple(
        _cue(text, start, end, prediction.label)
        for start, end in _claimed(text)
        if EMOTIONS[text[start:end].lower()] not in held
    )


def _claimed(text: str) -> list[tuple[int, int]]:
    """List the spans of the emotion words that are claimed."""
    spans = {m.start(): m.end() for m in _WORD.finditer(text) if m.group().lower() in EMOTIONS}
    claimed = []
    for words in sentences(tokens(text)):
        sentence = Sentence([word.lemma for word in words])
        silent = [any(pair) for pair in zip(negated(sentence), supposed(sentence), strict=True)]
        claimed += [
            (word.start, spans[word.start])
            for word, mute in zip(words, silent, strict=True)
            if word.start in spans and not mute
        ]
    return claimed


def _cue(text: str, start: int, end: int, label: str) -> Cue:
    noun = NOUNS[EMOTIONS[text[start:end].lower()]]
    why = f"The prediction is {label}, which holds no {noun}."
    return Cue(text[start:end], start, end, None, None, seen="contradicted", evidence=why)
