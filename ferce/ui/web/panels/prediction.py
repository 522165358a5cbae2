"""What the expression resembles: the headline, bars for outcomes and components, the 90 % set."""

from collections.abc import Mapping

from ferce.core.labels import NEUTRAL, NOUNS, OUTCOMES, alone
from ferce.core.parts import Prediction, Reading, State
from ferce.core.types import Units
from ferce.facs.action_units import UNITS
from ferce.ui.web import markup

TITLE = "Prediction"
STATES: Mapping[State, str] = {
    "compound": "Two emotions together",
    "basic": "One emotion leads",
    "neutral": "No expression",
    "unclear": "Cannot be told",
}
# term -> one plain sentence.
TERMS: Mapping[str, str] = {
    "Compound": "Two emotions that show at the same time, such as happily surprised.",
    "90 % set": "The readings among which the right one is, 9 times in 10.",
    "Component": "One of six basic emotions, whether it shows alone or with a second one.",
    "Action unit (AU)": "One visible movement of the face, such as AU12, lip corners pulled up.",
    "Heat": "How much a place of the face speaks for the label.",
    "Claim": "One thing that the explanation says of the face, which can be checked.",
    "Voice": "The model that writes the explanation and answers questions.",
}
_LIMIT = (
    "How well compounds are told apart was measured on rendered faces; on real faces it is hardly "
    "measured, for lack of labelled photos that may be used."
)
_TOP = 4  # outcomes shown before the list is opened


def blank() -> str:
    """Draw the panel before a photograph was chosen."""
    words = "Which compound, single emotion or none the face resembles, and how sure that is."
    return markup.panel(TITLE, markup.empty(words))


def waiting() -> str:
    """Draw the panel while the face is read."""
    return markup.panel(TITLE, markup.ghost(10), state="waiting")


def refused(reason: str) -> str:
    """Draw the panel for a face that must not be read."""
    chip = (
        '<span class="chip unclear">Not read</span><p class="headline">No reading of this face</p>'
    )
    return markup.panel(TITLE, f'{chip}<p class="reason">{markup.text(reason)}</p>')


def draw(reading: Reading) -> str:
    """Draw the panel of a face whose prediction is there."""
    prediction = reading.prediction
    if prediction is None:
        return refused(reading.reason)
    top = headline(prediction) + turned(reading)
    parts = (top, _outcomes(prediction), _set(prediction), _components(prediction))
    end = _units(reading.face.units), _terms(), _limit(prediction)
    return markup.panel(TITLE, "".join((*parts, *end)))


def _terms() -> str:
    rows = "".join(f"<dt>{term}</dt><dd>{words}</dd>" for term, words in TERMS.items())
    return f'<details class="terms"><summary>What the words mean</summary><dl>{rows}</dl></details>'


def _limit(prediction: Prediction) -> str:
    """Say what is not measured of the packaged models; of others it is not known."""
    return "" if ":" in prediction.model else f'<p class="fine">{_LIMIT}</p>'


def headline(prediction: Prediction) -> str:
    """Draw the state as a chip, what the expression resembles, and the reason."""
    label = prediction.label
    words = "No single expression stands out"
    if label is not None:
        noun = "a neutral face" if label == NEUTRAL else markup.text(NOUNS.get(label, label))
        words = f"<small>The expression resembles</small> {noun}{markup.dots(label)}"
    reason = f'<p class="reason">{markup.text(prediction.reason)}</p>' if prediction.reason else ""
    chip = f'<span class="chip {prediction.state}">{STATES[prediction.state]}</span>'
    return f'{chip}<p class="headline">{words}</p>{reason}'


def turned(reading: Reading) -> str:
    """Draw what a turned head hides; nothing from the front."""
    words = markup.text(reading.caution)
    return f'<p class="reason">{words}</p>' if words else ""


def _set(prediction: Prediction) -> str:
    if len(prediction.set) == len(OUTCOMES):
        names = "<li>any reading</li>"
    else:
        names = "".join(f"<li>{markup.text(alone(name))}</li>" for name in prediction.set)
    words = "right at least 9 times in 10" if prediction.calibrated else "of the probability"
    title = f"<h3>90&thinsp;% set <small>{words}</small></h3>"
    return f'{title}<ul class="set" aria-label="90 % set, {words}">{names}</ul>'


def bars(prediction: Prediction, most: int = len(OUTCOMES)) -> list[str]:
    """Draw a bar for each of the most probable outcomes; that of the label stands out."""
    return [
        markup.bar(
            f"{markup.dots(name)}{markup.text(alone(name))}",
            value,
            "lead" if name == prediction.label else "",
        )
        for name, value in prediction.ranked[:most]
    ]


def _outcomes(prediction: Prediction) -> str:
    rows = bars(prediction)
    rest = f"<details><summary>All {len(rows)}</summary>{markup.bars(rows[_TOP:])}</details>"
    return f"<h3>Probabilities <small>sum to 1</small></h3>{markup.bars(rows[:_TOP])}{rest}"


def _components(prediction: Prediction) -> str:
    rows = (markup.bar(name, value, name) for name, value in prediction.components.items())
    return f"<h3>Components <small>alone or with a second one</small></h3>{markup.bars(rows)}"


def _units(units: Units) -> str:
    if not units:
        return ""
    ranked = sorted(units.values(), key=lambda evidence: -evidence.intensity * evidence.confidence)
    rows = "".join(
        f'<tr><th scope="row">{unit.code}</th><td>{unit.name}</td><td>{evidence.intensity:.2f}</td>'
        f"<td>{evidence.confidence:.2f}</td></tr>"
        for evidence in ranked
        if (unit := UNITS.get(evidence.unit)) is not None
    )
    head = "<tr><th>Unit</th><th>Movement</th><th>Intensity</th><th>Confidence</th></tr>"
    table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return f"<details><summary>Action units measured</summary>{table}</details>"
