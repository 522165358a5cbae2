"""Whether the words name what the model used: a sentence first, then the figures and controls."""

from collections.abc import Mapping

from ferce.core.types import Faithfulness
from ferce.ui.web import markup

_CLEAR = 0.1  # AUROC above that of other texts from which the words are said to name what was used
_LOSS = 0.02  # probability; a smaller change is noise, as in `explanation.verdicts`
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


def draw(faith: Faithfulness | None) -> str:
    """The section of the panel; nothing before it was measured."""
    if faith is None:
        return ""
    return (
        "<h3>Does the text name what the model used?</h3>"
        f'<p class="trust">{_sentence(faith)}</p>{_bars(faith)}{_table(faith)}'
    )


def _sentence(faith: Faithfulness) -> str:
    mine, others = _pair(faith, "auroc")
    if mine is None:
        return "That cannot be told: the text names no region, or no region has more heat."
    return f"<strong>{_verdict(mine, others)}</strong> {_times(mine, others)} {_hiding(faith)}"


def _verdict(mine: float, others: float | None) -> str:
    ahead = mine - (0.5 if others is None else others)
    if ahead >= _CLEAR and mine > 0.5:
        return "The words name what the model used."
    if ahead <= -_CLEAR:
        return "The words name other places than those the model used."
    return "The words say no more of what the model used than other words would."


def _times(mine: float, others: float | None) -> str:
    told = f"A spot in the regions named is hotter than one outside {_in_100(mine)}"
    if others is None:
        return f"{told}."
    return f"{told}; with other texts that name as many regions, {_in_100(others)}."


def _in_100(value: float) -> str:
    return f"{100 * value:.0f} times in 100"


def _hiding(faith: Faithfulness) -> str:
    lost, random = faith.measures.get("comprehensiveness"), _control(faith, "comprehensiveness")
    if lost is None:
        return ""
    verb, amount = _change(lost)
    told = f"Hiding them {verb} the model's probability{amount}"
    if random is None:
        return f"{told}."
    verb, amount = _change(random)
    return f"{told}; hiding random parts as large {verb} it{amount}."


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
    rows = markup.bar("this text", mine) + markup.bar("other texts", others, "faint")
    return f'<ul class="bars halved" aria-label="Named spots hotter than others">{rows}</ul>'


def _table(faith: Faithfulness) -> str:
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
