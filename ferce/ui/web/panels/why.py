"""Why: the explanation, each claim marked by what face and model say of it; its faithfulness."""

from collections.abc import Iterator, Mapping

from ferce.core.parts import Cue, Explanation, Faithfulness, Reading
from ferce.report.text import COMPOSED
from ferce.ui.web import markup

TITLE = "Why"
_SAID, _MENDED = "claim", "repaired"  # ids of the evidence begin so
# verdict class -> words of the legend; the style sheet adds colour, line and sign to each claim.
_LEGEND: Mapping[str, str] = {
    "supported": "seen in the face",
    "contradicted": "contradicted by the face or the prediction",
    "untold": "cannot be told",
    "unused": "not used by the model",
}
_CLEAR = 0.1  # AUROC above that of other texts from which the words are said to name what was used
_LOSS = 0.02  # probability; a smaller change is noise, as in `explanation.text.verdicts`
_OTHER, _RANDOM = "other texts", "random regions"
# measure -> what it is, in words that need no statistics, and where chance lies.
_MEANINGS: Mapping[str, str] = {
    "auroc": "how often a named spot is hotter than another (0.50 is chance)",
    "lift": "heat in the named regions, times their share of the face (1 is chance)",
    "pointing": "1 where the hottest spot is named",
    "precision": "share of the named regions that are hot",
    "recall": "share of the hot regions that are named",
    "f1": "balance of precision and recall",
    "comprehensiveness": "probability lost when the named regions are hidden",
    "sufficiency": "probability when only the named regions are left",
    "coverage": "share of the face that is named",
    "au_cosine": "likeness of the heat to the label's typical movements",
    "au_share": "share of the heat where those movements are",
}


def blank() -> str:
    """Draw the panel before a photograph was chosen."""
    words = "An explanation in words; every claim in it is checked against the face and the model."
    return markup.empty(words)


def waiting() -> str:
    """Draw the panel while the explanation is written."""
    return markup.waiting(markup.ghost(4))


def refused() -> str:
    """Draw the panel for a face that must not be read."""
    return markup.empty("Without a reading there is nothing to explain.")


def draw(reading: Reading) -> str:
    """Draw the panel as far as it has come: text first, its claims checked later."""
    explanation = reading.explanation
    if explanation is None:
        return markup.empty("No explanation was asked for.")
    parts = (
        f'<p class="explanation">{"".join(_pieces(explanation, _SAID))}</p>',
        _composed(explanation),
        _legend(explanation),
        _evidence(explanation, reading.revised),
        _revised(reading.revised),
        faithfulness(reading.faithfulness),
        _claims(explanation),
    )
    return "".join(parts)


def spoken(explanation: Explanation, name: str) -> str:
    """Draw the text with its claims marked and what each check rests on.

    `name` begins the ids of the evidence; no other text on the page may have it.
    """
    text, note = "".join(_pieces(explanation, name)), _composed(explanation)
    return f'<p class="explanation">{text}</p>{note}{_evidence(explanation, None, name)}'


def _composed(explanation: Explanation) -> str:
    """Say of a text made of the measured action units that these cannot check it."""
    return f'<p class="fine">{COMPOSED}</p>' if explanation.composed else ""


def kind(cue: Cue) -> str:
    """Choose how a claim is marked: plain until checked, then by its worst verdict."""
    if cue.seen is None:
        return "unused" if cue.used == "not used" else "unchecked"
    if cue.seen == "contradicted":
        return "contradicted"
    if cue.seen == "cannot be told":
        return "untold"
    return "unused" if cue.used == "not used" else "supported"


def _marked(explanation: Explanation) -> Iterator[Cue]:
    """List the claims that are marked, in the order of the text; of overlapping ones the first."""
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
    """Draw a claim that takes the focus; `page.js` shows its region and what its check rests on."""
    region = f' data-region="{markup.text(cue.region)}"' if cue.region else ""
    verdict = _verdict(cue)
    aloud = f'<span class="aloud"> ({verdict})</span>' if verdict else ""
    # Not a <button>, whose words could not break across lines.
    return (
        f'<span class="cue {kind(cue)}" tabindex="0"{region} aria-describedby="{name}">'
        f"<span>{words}</span>{aloud}</span>"
    )


def _verdict(cue: Cue) -> str:
    """Say both verdicts in words: "seen in the face, used by the model"."""
    use = {"used": "used by the model", "not used": "not used by the model"}
    if cue.seen is None:
        return use.get(cue.used or "", "")
    if cue.region is None and cue.unit is None:
        return "not what the model predicts"
    seen = {"supported": "seen in the face", "contradicted": "contradicted by the face"}
    words = seen.get(cue.seen, "cannot be told from this face")
    return f"{words}, {use[cue.used]}" if cue.used in use else words


def _legend(explanation: Explanation) -> str:
    kinds = {kind(cue) for cue in explanation.cues}
    items = "".join(
        f'<li><i class="cue {name}" aria-hidden="true"></i>{words}</li>'
        for name, words in _LEGEND.items()
        if name in kinds
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


def _evidence(explanation: Explanation, revised: Explanation | None, name: str = _SAID) -> str:
    """Draw what each check rests on: all in one place, as large as the longest, one at a time."""
    checks = _checks(explanation, name)
    if revised is not None and checks:
        checks += _checks(revised, _MENDED)
    if not checks:
        return ""
    hint = "Point at a marked phrase, or tap it, to see its place on the face and its evidence."
    first = f'<div class="told"><p class="fine">{hint}</p></div>'
    return f'<div class="evidence">{first}{"".join(checks)}</div>'


def _checks(explanation: Explanation, name: str) -> list[str]:
    return [_check(cue, f"{name}-{cue.start}") for cue in _marked(explanation) if _verdict(cue)]


def _check(cue: Cue, name: str) -> str:
    words = f"<strong>{markup.text(cue.text)}:</strong> {_verdict(cue)}."
    return f'<div id="{name}"><p>{words}</p><p>{markup.text(cue.evidence)}</p></div>'


def _revised(revised: Explanation | None) -> str:
    """Draw the text without what the face contradicts, where there was any."""
    if revised is None:
        return ""
    return (
        "<h3>Repaired text <small>without what the face contradicts</small></h3>"
        f'<p class="explanation revised">{"".join(_pieces(revised, _MENDED))}</p>'
    )


def _claims(explanation: Explanation) -> str:
    checked = [cue for cue in explanation.cues if _verdict(cue)]
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


def faithfulness(faith: Faithfulness | None) -> str:
    """Draw whether the words name what the model used; nothing before it was measured."""
    if faith is None:
        return ""
    return (
        "<h3>Does the text name what the model used?</h3>"
        f'<p class="trust">{_sentence(faith)}</p>{_bars(faith)}{_measures(faith)}'
    )


def _sentence(faith: Faithfulness) -> str:
    mine, others = _pair(faith, "auroc")
    if mine is None:
        return "That cannot be told: the text names no region, or no region has more heat."
    finding = _finding(mine, others, _costs_more(faith))
    return f"<strong>{finding}</strong> {_times(mine, others)} {_hiding(faith)}"


def _costs_more(faith: Faithfulness) -> bool:
    """Tell whether hiding what is named costs more than hiding random parts, as far as measured."""
    lost, random = faith.measures.get("comprehensiveness"), _control(faith, "comprehensiveness")
    return lost is None or random is None or lost - random >= _LOSS


def _finding(mine: float, others: float | None, costs: bool) -> str:
    ahead = mine - (0.5 if others is None else others)
    if ahead >= _CLEAR and mine > 0.5:
        if costs:
            return "The words name what the model used."
        return "Mixed: the heat lies where the words point, but hiding those parts costs no more."
    if ahead <= -_CLEAR:
        return "The words name other places than those the model used."
    return "The words say no more of what the model used than other words would."


def _times(mine: float, others: float | None) -> str:
    words = f"A spot in the regions named is hotter than one outside {_in_100(mine)}"
    if others is None:
        return f"{words}."
    return f"{words}; with other texts that name as many regions, {_in_100(others)}."


def _in_100(value: float) -> str:
    return f"{100 * value:.0f} times in 100"


def _hiding(faith: Faithfulness) -> str:
    lost, random = faith.measures.get("comprehensiveness"), _control(faith, "comprehensiveness")
    if lost is None:
        return ""
    verb, amount = _change(lost)
    words = f"Hiding them {verb} the model's probability{amount}"
    if random is None:
        return f"{words}."
    verb, amount = _change(random)
    return f"{words}; hiding random parts as large {verb} it{amount}."


def _change(loss: float) -> tuple[str, str]:
    if abs(loss) < _LOSS:
        return "hardly changes", ""
    return ("lowers" if loss > 0 else "raises"), f" by {abs(loss):.2f}"


def _pair(faith: Faithfulness, name: str) -> tuple[float | None, float | None]:
    return faith.measures.get(name), faith.controls.get(_OTHER, {}).get(name)


def _control(faith: Faithfulness, name: str) -> float | None:
    return faith.controls.get(_RANDOM, {}).get(name)


def _bars(faith: Faithfulness) -> str:
    mine, others = _pair(faith, "auroc")
    if mine is None or others is None:
        return ""
    rows = (markup.bar("this text", mine), markup.bar("other texts", others, "faint"))
    return markup.bars(rows, "halved", "Named spots hotter than others")


def _measures(faith: Faithfulness) -> str:
    controls = tuple(faith.controls)
    titles = ("Measure", "this text", *controls)
    head = "".join(f'<th scope="col">{markup.text(name)}</th>' for name in titles)
    rows = "".join(
        f'<tr><th scope="row">{markup.text(name)}<small>{_MEANINGS.get(name, "")}</small></th>'
        f"<td>{_number(value)}</td>"
        + "".join(f"<td>{_number(faith.controls[control].get(name))}</td>" for control in controls)
        + "</tr>"
        for name, value in faith.measures.items()
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<details><summary>All measures beside their controls</summary>{table}</details>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
