"""Repair an explanation: remove what the face contradicts, and name it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ferce.core.parts import Cue, Explanation
from ferce.explanation.text.parsing import parse
from ferce.explanation.text.wording import FORMS, joined, opened, phrase, unclear
from ferce.facs.action_units import UNITS

# A segment ends at a stop or a colon, so that a label before a colon outlives its signs.
_SEGMENT = re.compile(r"[^.!?;:]+(?:[.!?;:](?!\s|$)[^.!?;:]*)*[.!?;:]*\s*")
# And before what is conceded, which may go while the rest stays.
_CONCEDED = re.compile(r", (?:and )?although ")


@dataclass(frozen=True)
class _Segment:
    """Part of a text: words = text[start:end]."""

    words: str
    start: int
    end: int

    def of(self, cues: Iterable[Cue]) -> list[Cue]:
        """List the cues that begin in it."""
        return [c for c in cues if self.start <= c.start < self.end]


def _segments(text: str) -> Iterator[_Segment]:
    for match in _SEGMENT.finditer(text):
        starts = [match.start(), *(m.start() for m in _CONCEDED.finditer(text, *match.span()))]
        for start, end in zip(starts, [*starts[1:], match.end()], strict=True):
            yield _Segment(text[start:end], start, end)


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
    segments = list(_segments(explanation.text))
    kept = [_kept(segment, cues) for segment in segments]
    dropped = tuple(c for segment in segments for c in _leaving(segment, cues))
    text = " ".join([_rejoined(kept), *_named(dropped)]).strip()
    voice = f"{explanation.voice}, revised"
    cues = _with_verdicts(parse(text), cues)
    return replace(explanation, text=text, voice=voice, cues=cues), dropped


def _leaving(segment: _Segment, cues: Iterable[Cue]) -> list[Cue]:
    """List the claims a segment loses: with a contradicted one also those not supported."""
    here = segment.of(cues)
    wrong = any(c.seen == "contradicted" for c in here)
    return [c for c in here if c.seen != "supported"] if wrong else []


def _kept(segment: _Segment, cues: Iterable[Cue]) -> str:
    """Repeat the segment, or word its supported claims anew; else keep only its end mark."""
    body, here = segment.words.strip(), segment.of(cues)
    if not _leaving(segment, cues):
        return body
    said = _said([c for c in here if c.seen == "supported"])
    conceded = _CONCEDED.match(body)
    end = body[-1] if body[-1] in ".!?;:" else "" if conceded else "."
    return (conceded.group() if conceded and said else "") + said + end


def _said(cues: Sequence[Cue]) -> str:
    """Word claims anew, those of regions at rest together."""
    still = [c for c in cues if c.unit is None and c.negated]
    clauses = [_clause(c) for c in cues if c not in still]
    if len(still) > 1:
        names = joined(dict.fromkeys(f"the {c.region}" for c in still))
        clauses.append(f"{names} show no movement")
    else:
        clauses += map(_clause, still)
    return joined(dict.fromkeys(clauses))


def _rejoined(segments: Iterable[str]) -> str:
    """Join segments; an emptied one hands its end mark to the one before."""
    made: list[str] = []
    for segment in segments:
        fresh = not made or made[-1][-1] in ".!?"
        if len(segment) > 1:
            words = _CONCEDED.sub("", segment, count=1) if fresh else segment
            made.append(opened(words) if fresh else segment)
        elif segment and made:
            made[-1] = made[-1].rstrip(".!?;:") + ("." if segment in ".!?:" else segment)
    text = " ".join(made).replace(" , ", ", ")
    return re.sub(r"[;:,]$", ".", text)


def _named(dropped: Sequence[Cue]) -> list[str]:
    """Word what was left out, as the face shows it."""
    others = [c.text.lower() for c in dropped if _emotion(c)]
    dropped = [c for c in dropped if not _emotion(c)]
    wrong = [c for c in dropped if c.seen == "contradicted"]
    absent = [_noun(group) for group in _once(c for c in wrong if not c.negated)]
    present = [_there(group) for group in _once(c for c in wrong if c.negated)]
    unsupported = [_there(group) for group in _once(c for c in dropped if c not in wrong)]
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


def _once(cues: Iterable[Cue]) -> list[list[Cue]]:
    """Keep the first cue of each unit, region and side; those that share a phrase together."""
    first: dict[object, Cue] = {}
    for cue in cues:
        first.setdefault((cue.unit, cue.region if cue.unit is None else None, cue.side), cue)
    spans: dict[tuple[int, int], list[Cue]] = {}
    for cue in first.values():
        spans.setdefault((cue.start, cue.end), []).append(cue)
    groups: list[list[Cue]] = []
    for group in spans.values():
        groups += [group] if _units(group) in FORMS else [[cue] for cue in group]
    return groups


def _units(cues: Iterable[Cue]) -> tuple[int, ...]:
    return tuple(cue.unit for cue in cues if cue.unit is not None)


def _clause(cue: Cue) -> str:
    """Word the claim as a clause: "the lips are parted", "the mouth shows movement"."""
    if cue.unit is None:
        verb = "show" if (cue.region or "").endswith("s") else "shows"
        return f"the {cue.region} {verb}{' no' if cue.negated else ''} movement"
    clause = phrase((cue.unit,), cue.side, cue.hedged).clause
    return re.sub(r"\b(are|is|smiles)\b", _deny, clause, count=1) if cue.negated else clause


def _deny(match: re.Match[str]) -> str:
    return "does not smile" if match.group() == "smiles" else f"{match.group()} not"


def _there(group: Sequence[Cue]) -> str:
    """Word as a clause that what one phrase names is there."""
    first = group[0]
    if first.unit is None:
        return _clause(replace(first, negated=False))
    return phrase(_units(group), first.side, first.hedged).clause


def _noun(group: Sequence[Cue]) -> str:
    first = group[0]
    if first.unit is None:
        return f"movement of the {first.region}"
    return re.sub(r"^an? ", "", phrase(_units(group), first.side).noun)


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
