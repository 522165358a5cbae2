"""Repair an explanation: remove what the face contradicts, and name it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ferce.core.parts import Cue, Explanation
from ferce.explanation.text.parsing import parse
from ferce.explanation.text.wording import joined, opened, phrase, unclear
from ferce.facs.action_units import UNITS

# A segment ends at a stop or a colon, so that a label before a colon outlives its signs.
_SEGMENT = re.compile(r"[^.!?;:]+(?:[.!?;:](?!\s|$)[^.!?;:]*)*[.!?;:]*\s*")


def revise(explanation: Explanation, cues: Sequence[Cue]) -> tuple[Explanation, tuple[Cue, ...]]:
    """Remove the claims that the face contradicts; return also the cues that were dropped.

    Segments without such a claim stay word for word; of the others only supported claims are said
    again. Last sentences name what was left out. The new cues carry the verdicts of the old.

    Args:
        explanation: with the text that the cues' spans point into.
        cues: checked by `verdicts.check`.

    Returns:
        The same explanation and no cues when nothing is contradicted.
    """
    if not any(c.seen == "contradicted" for c in cues):
        return explanation, ()
    matches = list(_SEGMENT.finditer(explanation.text))
    kept = [_segment(match, cues) for match in matches]
    dropped = tuple(c for match in matches for c in _leaving(match, cues))
    text = " ".join([_rejoined(kept), *_named(dropped)]).strip()
    voice = f"{explanation.voice}, revised"
    cues = _with_verdicts(parse(text), cues)
    return replace(explanation, text=text, voice=voice, cues=cues), dropped


def _leaving(match: re.Match[str], cues: Iterable[Cue]) -> list[Cue]:
    """List the claims a segment loses: with a contradicted one also those not supported."""
    here = [c for c in cues if match.start() <= c.start < match.end()]
    wrong = any(c.seen == "contradicted" for c in here)
    return [c for c in here if c.seen != "supported"] if wrong else []


def _segment(match: re.Match[str], cues: Iterable[Cue]) -> str:
    """Repeat the segment, or word its supported claims anew; else keep only its end mark."""
    body = match.group().strip()
    here = [c for c in cues if match.start() <= c.start < match.end()]
    if not _leaving(match, cues):
        return body
    said = joined(dict.fromkeys(_clause(c) for c in here if c.seen == "supported"))
    end = body[-1] if body[-1] in ".!?;:" else "."
    return said + end


def _rejoined(segments: Iterable[str]) -> str:
    """Join segments; an emptied one hands its end mark to the one before."""
    made: list[str] = []
    for segment in segments:
        if len(segment) > 1:
            fresh = not made or made[-1][-1] in ".!?"
            made.append(opened(segment) if fresh else segment)
        elif segment and made:
            made[-1] = made[-1].rstrip(".!?;:") + ("." if segment in ".!?:" else segment)
    text = " ".join(made)
    return re.sub(r"[;:,]$", ".", text)


def _named(dropped: Sequence[Cue]) -> list[str]:
    """Word what was left out, as the face shows it."""
    others = [c.text.lower() for c in dropped if _emotion(c)]
    dropped = [c for c in dropped if not _emotion(c)]
    wrong = [c for c in dropped if c.seen == "contradicted"]
    absent = [_noun(c) for c in _once(c for c in wrong if not c.negated)]
    present = [_clause(replace(c, negated=False)) for c in _once(c for c in wrong if c.negated)]
    unsupported = [
        _clause(replace(c, negated=False)) for c in _once(c for c in dropped if c not in wrong)
    ]
    sentences = []
    if absent:
        sentences.append(
            "Left out is what the measurement speaks against: the face shows no "
            f"{joined(absent, 'or')}."
        )
    if present:
        sentences.append(f"Against the first text, {joined(present)}.")
    if unsupported:
        sentences.append(unclear(unsupported))
    if others:
        said = joined(dict.fromkeys(others))
        sentences.append(f"Left out is the talk of {said}, which is not what the model predicts.")
    return sentences


def _emotion(cue: Cue) -> bool:
    """Tell whether the claim names an emotion rather than a movement."""
    return cue.unit is None and cue.region is None


def _once(cues: Iterable[Cue]) -> list[Cue]:
    """Keep the first cue of each unit, region and side."""
    first: dict[object, Cue] = {}
    for cue in cues:
        first.setdefault((cue.unit, cue.region if cue.unit is None else None, cue.side), cue)
    return list(first.values())


def _clause(cue: Cue) -> str:
    """Word the claim as a clause: "the lips are parted", "the mouth moves"."""
    if cue.unit is None:
        return f"the {cue.region} {'show no' if cue.negated else 'show'} movement"
    clause = phrase((cue.unit,), cue.side, cue.hedged).clause
    return re.sub(r"\b(are|is|smiles)\b", _deny, clause, count=1) if cue.negated else clause


def _deny(match: re.Match[str]) -> str:
    return "does not smile" if match.group() == "smiles" else f"{match.group()} not"


def _noun(cue: Cue) -> str:
    if cue.unit is None:
        return f"movement of the {cue.region}"
    return re.sub(r"^an? ", "", phrase((cue.unit,), cue.side).noun)


def _with_verdicts(fresh: Sequence[Cue], old: Sequence[Cue]) -> tuple[Cue, ...]:
    """Copy to new cues the verdicts of old ones on the same unit, region and side.

    A claim turned round ("no smile" for "a smile") has the opposite verdict.
    """
    table: dict[object, Cue] = {}
    for cue in old:
        for key in ((cue.unit, cue.region, cue.side), (cue.unit, cue.region)):
            table.setdefault(key, cue)
    made = []
    for cue in fresh:
        same = table.get((cue.unit, cue.region, cue.side)) or table.get((cue.unit, cue.region))
        if same is None:
            made.append(cue)
            continue
        seen = same.seen
        if cue.negated != same.negated and seen in ("supported", "contradicted"):
            seen = "contradicted" if seen == "supported" else "supported"
        made.append(replace(cue, seen=seen, used=same.used, evidence=same.evidence))
    return tuple(made)


assert all(phrase((number,)).clause for number in UNITS), "every unit has a wording"
