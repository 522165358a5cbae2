"""Why: the explanation with each claim marked by what the face and the model say of it."""

import re
from collections.abc import Iterator, Mapping

from ferce.types import Cue, Explanation, Reading
from ferce.ui import markup

TITLE = "Why"
# verdict class -> words of the legend; the mark is drawn by the style sheet beside each claim.
_LEGEND: Mapping[str, str] = {
    "supported": "seen in the face",
    "contradicted": "not seen",
    "untold": "cannot be told",
    "unused": "seen, but not what the model used",
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
    text = f'<p class="explanation">{"".join(_pieces(explanation))}</p>'
    return markup.panel(
        TITLE, text + _legend(explanation) + _claims(explanation) + _measures(reading)
    )


def kind(cue: Cue) -> str:
    """How a claim is marked: plain until checked, then by its worst verdict."""
    if cue.seen is None and cue.used is None:
        return "unchecked"
    if cue.seen == "contradicted":
        return "contradicted"
    if cue.seen == "cannot be told":
        return "untold"
    return "unused" if cue.used == "not used" else "supported"


def _pieces(explanation: Explanation) -> Iterator[str]:
    text, end = explanation.text, 0
    for cue in sorted(explanation.cues, key=lambda cue: cue.start):
        if cue.start < end or cue.end > len(text):  # claims that overlap: the first one is marked
            continue
        yield _prose(text[end : cue.start])
        yield _mark(cue, markup.text(text[cue.start : cue.end]))
        end = cue.end
    yield _prose(text[end:])


def _prose(text: str) -> str:
    """Escaped, with *starred words* in bold; claims are cut out before, so their offsets hold."""
    return re.sub(r"\*([^*\n]+)\*", r"<em>\1</em>", markup.text(text))


def _mark(cue: Cue, words: str) -> str:
    region = f' data-region="{markup.text(cue.region)}"' if cue.region else ""
    title = markup.text(". ".join(filter(None, (_LEGEND.get(kind(cue)), cue.evidence))))
    # Not a <button>, whose words could not break across lines.
    return f'<span class="cue {kind(cue)}" tabindex="0"{region} title="{title}">{words}</span>'


def _legend(explanation: Explanation) -> str:
    kinds = {kind(cue) for cue in explanation.cues}
    items = "".join(
        f'<li><i class="cue {name}" aria-hidden="true"></i>{words}</li>'
        for name, words in _LEGEND.items()
        if name in kinds
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


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


def _measures(reading: Reading) -> str:
    faith = reading.faithfulness
    if faith is None:
        return ""
    controls = tuple(faith.controls)
    head = "".join(f"<th>{markup.text(name)}</th>" for name in ("Measure", "this text", *controls))
    rows = "".join(
        f'<tr><th scope="row">{markup.text(name)}</th><td>{_number(value)}</td>'
        + "".join(f"<td>{_number(faith.controls[control].get(name))}</td>" for control in controls)
        + "</tr>"
        for name, value in faith.measures.items()
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<details><summary>Faithfulness beside its controls</summary>{table}</details>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
