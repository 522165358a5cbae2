"""Find the emotions that a text names, and those among them that the prediction does not hold."""

import re
from types import MappingProxyType

from ferce.core.labels import BASICS, NOUNS, components
from ferce.core.types import Cue, Prediction
from ferce.explanation.text.parsing import sentences
from ferce.explanation.text.scope import Sentence, negated, supposed
from ferce.explanation.text.tokens import tokens

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
