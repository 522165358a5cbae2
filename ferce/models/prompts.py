"""What models are asked: prompts, questions and their guard, sentences that stand for labels."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL, NOUNS, components
from ferce.core.parts import Prediction
from ferce.core.types import Units
from ferce.explanation.text.wording import joined, phrases
from ferce.facs.prototypes import PROTOTYPES, UNITS, active

HOUSE = (
    "Describe the emotional state and explain which facial cues (eyes, eyebrows, mouth, muscle "
    "tension) contribute to it."
)
QUESTIONNAIRE: tuple[str, ...] = (
    "What is the expression of this face?",
    "Which two emotions does the expression combine?",
    "Are the eyebrows raised, lowered or drawn together?",
    "Are the eyes wide, narrowed or closed?",
    "Is the nose wrinkled?",
    "Are the cheeks raised?",
    "Is the mouth open?",
    "Are the lip corners pulled up or down?",
    "Are the lips pressed, stretched or puckered?",
    "Is the chin pushed up or the jaw dropped?",
    "Where is there muscle tension in the face?",
    "Do the two sides of the face differ?",
)
# Asked of a predicted compound, once for each component.
COMPONENT = "Which facial cue speaks for {noun}?"
CLASSIFY = "Which compound expression does this face show?"

# What a voice is asked about a label; {label} is the predicted one, {context} the measured units.
TEMPLATES: MappingProxyType[str, str] = MappingProxyType(
    {
        "plain": "The expression in this face resembles {label}. " + HOUSE,
        "region": (
            "The expression in this face resembles {label}. Go through the eyebrows, the eyes, the "
            "nose, the cheeks, the mouth and the chin, say what each of them shows, and explain "
            "which of these cues fit the label. Name only what can be seen."
        ),
        "units": (
            "The expression in this face resembles {label}. Measured in the face: {context}. "
            "Explain which facial cues (eyes, eyebrows, mouth, muscle tension) contribute to it, "
            "using what was measured and what can be seen."
        ),
    }
)
# How each family wants a question; OPT was trained on this form (LAVIS), BLIP-VQA on the bare one.
FORMATS: MappingProxyType[str, str] = MappingProxyType(
    {
        "opt": "Question: {} Answer:",
        "t5": "Question: {} Short answer:",
        "vqa": "{}",
        "chat": "{}",
    }
)
MAX_QUESTION = 300  # characters; a question about a face is shorter, a pasted document is not
_SPECIAL = re.compile(r"<\|?/?[a-z_]{1,24}\|?>|\[/?INST\]|<<SYS>>", re.IGNORECASE)


def questions(prediction: Prediction | None = None) -> tuple[str, ...]:
    """List the questionnaire, and for each component of the label which cue speaks for it."""
    parts = components(prediction.label) if prediction and prediction.label else ()
    return (*QUESTIONNAIRE, *(COMPONENT.format(noun=NOUNS[p]) for p in parts))


def explain(prediction: Prediction, template: str = "plain", units: Units | None = None) -> str:
    """Write the prompt for an explanation of the *predicted* label; nothing else names one.

    Args:
        prediction: its label is the only label in the prompt; an unclear one gets `HOUSE`, which
            asks for a description.
        template: a key of `TEMPLATES`.
        units: measured action units, which the template "units" needs.

    Raises:
        ValueError: the template is unknown, or "units" was asked for without units.
    """
    if template not in TEMPLATES:
        raise ValueError(f"Unknown template {template!r}. Known: {', '.join(TEMPLATES)}.")
    if template == "units" and units is None:
        raise ValueError("The template 'units' needs the face's action units; pass face.units.")
    if prediction.label is None:
        return HOUSE
    return TEMPLATES[template].format(label=prediction.label, context=context(units or {}))


def context(units: Units) -> str:
    """Put the active units into words, such as "the lips are parted (AU25)"."""
    said = phrases(active(units))
    return joined(p.coded for p in said) or "no clear facial movement"


def formatted(family: str, text: str) -> str:
    """Format a question or prompt for a family of models.

    Raises:
        ValueError: the family is unknown.
    """
    if family not in FORMATS:
        raise ValueError(f"Unknown prompt format {family!r}. Known: {', '.join(FORMATS)}.")
    return FORMATS[family].format(text)


def messages(text: str) -> list[dict[str, object]]:
    """Make one user turn with a place for the image, for processors with a chat template."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]


def question(text: str) -> str:
    """Clean a user's question: one line, no control characters.

    Raises:
        ValueError: it is empty, longer than `MAX_QUESTION`, or holds a model's control marks.
    """
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    line = " ".join(unicodedata.normalize("NFC", kept).split())
    if not line:
        raise ValueError("The question is empty; ask about the face, such as 'Is the mouth open?'.")
    if len(line) > MAX_QUESTION:
        raise ValueError(
            f"The question has {len(line)} characters; ask one of at most {MAX_QUESTION}."
        )
    mark = _SPECIAL.search(line)
    if mark:
        raise ValueError(f"The question holds the control mark {mark.group()!r}; ask it without.")
    return line


def guard(prompt: str, truth: str, predicted: str | None = None) -> str:
    """Refuse a prompt that gives the true label away.

    A prompt that lists every compound gives nothing away, nor does the predicted label when it
    happens to be true.

    Raises:
        ValueError: the prompt names the true label, as such or by its two emotions.
    """
    plain = _plain(prompt)
    offered = all(_plain(label) in plain for label in COMPOUNDS)
    if truth == predicted or offered:
        return prompt
    for name in _names(truth):
        if re.search(rf"\b{re.escape(name)}\b", plain):
            raise ValueError(f"The prompt gives the true label away: it says {name!r}.")
    return prompt


class PromptLog:
    """The prompts sent to a model, for those who record them."""

    def __init__(self) -> None:
        self._records: list[list[str]] = []

    def note(self, texts: Iterable[str]) -> None:
        """Add prompts to every record that is open."""
        sent = list(texts)
        for record in self._records:
            record.extend(sent)

    @contextmanager
    def recording(self) -> Iterator[list[str]]:
        """Open a record that grows with each prompt until the context ends."""
        record: list[str] = []
        self._records.append(record)
        try:
            yield record
        finally:
            self._records = [other for other in self._records if other is not record]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def _names(label: str) -> tuple[str, ...]:
    """List the label and the plain ways to say it."""
    if label == NEUTRAL:
        return (label,)
    if label in BASICS:
        return (label, NOUNS[label])
    (a, b), nouns = components(label), NOUNS
    pairs = [(a, b), (b, a), (nouns[a], nouns[b]), (nouns[b], nouns[a])]
    return (label, *(f"{x} {link} {y}" for x, y in pairs for link in ("and", "with")))


# {label} "happily surprised", {first} "happiness", {second} "surprise".
PLAIN: tuple[str, ...] = (
    "a photo of a person who looks {label}.",
    "a close-up photo of a {label} face.",
    "a portrait with a {label} facial expression.",
    "a facial expression that mixes {first} and {second}.",
    "a face that shows {first} and {second} at the same time.",
)
# {core}: what most people who show the label do; {usual}: what at least half of them do besides.
UNIT_WORDED: tuple[str, ...] = (
    "a photo of a face: {core}.",
    "a photo of a face: {usual}.",
    "a close-up of a {label} face in which {core}.",
)
USUAL = 0.5  # share of people from which a variant of the prototype belongs to {usual}
STYLES: tuple[str, ...] = ("plain", "units", "both")


def sentences(label: str, style: str = "both") -> tuple[str, ...]:
    """Write the sentences of a compound, each once.

    Args:
        label: a compound.
        style: "plain" names the emotions, "units" tells what the face does, "both" is all of them.
    """
    if style not in STYLES:
        raise ValueError(f"prompts must be one of {STYLES}; got {style!r}")
    templates = {"plain": PLAIN, "units": UNIT_WORDED, "both": PLAIN + UNIT_WORDED}[style]
    first, second = (NOUNS[basic] for basic in components(label))
    prototype = PROTOTYPES[label]
    usual = [*prototype.core, *(n for n, share in prototype.variants.items() if share >= USUAL)]
    words = {"label": label, "first": first, "second": second}
    words |= {"core": _clauses(prototype.core), "usual": _clauses(sorted(usual))}
    return tuple(dict.fromkeys(template.format(**words) for template in templates))


def label_sentences(style: str = "both") -> Mapping[str, tuple[str, ...]]:
    """Write the sentences of every compound, by label."""
    return MappingProxyType({label: sentences(label, style) for label in COMPOUNDS})


def _clauses(units: tuple[int, ...] | list[int]) -> str:
    """Join units as in: the inner brows are raised, the lips are parted and the jaw is dropped."""
    *most, last = (UNITS[number].clause() for number in units)
    return f"{', '.join(most)} and {last}" if most else last
