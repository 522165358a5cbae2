"""Why: the explanation with each claim marked by what the face and the model say of it."""

from collections.abc import Iterator, Mapping

from ferce.core.types import Cue, Explanation, Reading
from ferce.ui.web import markup
from ferce.ui.web.panels import trust

TITLE = "Why"
_SAID, _MENDED = "claim", "repaired"  # ids of the evidence begin so
# verdict class -> words of the legend; the style sheet adds colour, line and sign to each claim.
_LEGEND: Mapping[str, str] = {
    "supported": "seen in the face",
    "contradicted": "contradicted by the face",
    "untold": "cannot be told",
    "unused": "seen, but not used by the model",
}


def blank() -> str:
    """Before a photograph was chosen."""
    words = "An explanation in words; every claim in it is checked against the face and the model."
    return markup.panel(TITLE, markup.empty(words) + markup.ghost(3))


def waiting() -> str:
    """While the explanation is written."""
    return markup.panel(TITLE, markup.ghost(4), state="waiting")


def refused() -> str:
    """A face that must not be read."""
    return markup.panel(TITLE, markup.empty("Without a reading there is nothing to explain."))


def draw(reading: Reading) -> str:
    """The panel as far as it has come: text first, its claims checked later."""
    explanation = reading.explanation
    if explanation is None:
        return markup.panel(TITLE, markup.empty("No explanation was asked for."))
    parts = (
        f'<p class="explanation">{"".join(_pieces(explanation, _SAID))}</p>',
        _legend(explanation),
        _evidence(explanation, reading.revised),
        _revised(reading.revised),
        trust.draw(reading.faithfulness),
        _claims(explanation),
    )
    return markup.panel(TITLE, "".join(parts))


def spoken(explanation: Explanation, name: str) -> str:
    """The text with its claims marked and what each check rests on; `name` is unlike all others."""
    text = "".join(_pieces(explanation, name))
    return f'<p class="explanation">{text}</p>{_evidence(explanation, None, name)}'


def kind(cue: Cue) -> str:
    """How a claim is marked: plain until checked, then by its worst verdict."""
    if cue.seen is None:
        return "unchecked"
    if cue.seen == "contradicted":
        return "contradicted"
    if cue.seen == "cannot be told":
        return "untold"
    return "unused" if cue.used == "not used" else "supported"


def _marked(explanation: Explanation) -> Iterator[Cue]:
    """The claims that are marked, in the order of the text; of those that overlap, the first."""
    end = 0
    for cue in sorted(explanation.cues, key=lambda cue: cue.start):
        if end <= cue.start and cue.end <= len(explanation.text):
            yield cue
            end = cue.end


def _pieces(explanation: Explanation, name: str) -> Iterator[str]:
    text, end = explanation.text, 0
    for cue in _marked(explanation):
        yield markup.prose(text[end : cue.start])
        yield _mark(cue, markup.text(text[cue.start : cue.end]), f"{name}-{cue.start}")
        end = cue.end
    yield markup.prose(text[end:])


def _mark(cue: Cue, words: str, name: str) -> str:
    """A claim that takes the focus; `page.js` shows its region and what its check rests on."""
    region = f' data-region="{markup.text(cue.region)}"' if cue.region else ""
    verdict = _verdict(cue)
    aloud = f'<span class="aloud"> ({verdict})</span>' if verdict else ""
    # Not a <button>, whose words could not break across lines.
    return (
        f'<span class="cue {kind(cue)}" tabindex="0"{region} aria-describedby="{name}">'
        f"<span>{words}</span>{aloud}</span>"
    )


def _verdict(cue: Cue) -> str:
    """Both verdicts in words: "seen in the face, used by the model"."""
    if cue.seen is None:
        return ""
    seen = {"supported": "seen in the face", "contradicted": "contradicted by the face"}
    use = {"used": "used by the model", "not used": "not used by the model"}
    told = seen.get(cue.seen, "cannot be told from this face")
    return f"{told}, {use[cue.used]}" if cue.used in use else told


def _legend(explanation: Explanation) -> str:
    kinds = {kind(cue) for cue in explanation.cues}
    items = "".join(
        f'<li><i class="cue {name}" aria-hidden="true"></i>{words}</li>'
        for name, words in _LEGEND.items()
        if name in kinds
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


def _evidence(explanation: Explanation, revised: Explanation | None, name: str = _SAID) -> str:
    """What each check rests on: all in one place, as large as the longest, one seen at a time."""
    told = [_told(cue, f"{name}-{cue.start}") for cue in _marked(explanation) if cue.seen]
    if revised is not None and told:
        told += [_told(cue, f"{_MENDED}-{cue.start}") for cue in _marked(revised) if cue.seen]
    if not told:
        return ""
    hint = "Point at a marked phrase, or tap it, to see its place on the face and its evidence."
    first = f'<div class="told"><p class="fine">{hint}</p></div>'
    return f'<div class="evidence">{first}{"".join(told)}</div>'


def _told(cue: Cue, name: str) -> str:
    words = f"<strong>{markup.text(cue.text)}:</strong> {_verdict(cue)}."
    return f'<div id="{name}"><p>{words}</p><p>{markup.text(cue.evidence)}</p></div>'


def _revised(revised: Explanation | None) -> str:
    """The text without what the face contradicts, where there was any."""
    if revised is None:
        return ""
    return (
        "<h3>Repaired text <small>without what the face contradicts</small></h3>"
        f'<p class="explanation revised">{"".join(_pieces(revised, _MENDED))}</p>'
    )


def _claims(explanation: Explanation) -> str:
    checked = [cue for cue in explanation.cues if kind(cue) != "unchecked"]
    if not checked:
        return ""
    head = "<tr><th>Claim</th><th>In the face</th><th>By the model</th><th>Evidence</th></tr>"
    rows = "".join(
        f'<tr><th scope="row">{markup.text(cue.text)}</th><td>{cue.seen or "–"}</td>'
        f"<td>{cue.used or '–'}</td><td>{markup.text(cue.evidence) or '–'}</td></tr>"
        for cue in checked
    )
    table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return f"<details><summary>Each claim and its check</summary>{table}</details>"
