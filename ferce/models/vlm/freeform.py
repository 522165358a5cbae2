"""Which compound a generated sentence names, if it names exactly one."""

import re

from ferce.core.labels import BASICS, COMPOUNDS, NOUNS, components

UNPARSED = "unparsed"

# Every word that stands for a basic emotion, as an adverb, an adjective, a noun or a near synonym.
_STEMS = {
    "happy": ("happily", "happiness", "happy", "joyfully", "joyful", "joy"),
    "sad": ("sadly", "sadness", "sad", "sorrowfully", "sorrowful", "sorrow"),
    "fearful": ("fearfully", "fearful", "fear", "afraid", "scared", "frightened"),
    "angry": ("angrily", "anger", "angry", "furious"),
    "surprised": ("surprisedly", "surprised", "surprise", "astonished", "astonishment"),
    "disgusted": ("disgustedly", "disgusted", "disgust", "revulsion"),
}
_EMOTION = {word: basic for basic, words in _STEMS.items() for word in words}
_NEGATIONS = r"\b(?:not|no|never|neither|nor|without|cannot|isn't|doesn't|lacks?|than)\b"
_BY_PAIR = {frozenset(components(label)): label for label in COMPOUNDS}
assert set(_STEMS) == set(BASICS) == set(NOUNS)


def parse(text: str) -> str:
    """Find the compound that `text` names, or `UNPARSED`.

    A text names a compound by its label or by its two emotions in any form and order ("fear and
    surprise"). It is unparsed when it names one emotion, three or more, a pair that is no
    compound, or when a negation stands in it: then no reading is safe.
    """
    plain = " ".join(re.findall(r"[a-z']+", text.lower().replace("’", "'")))
    if re.search(_NEGATIONS, plain):
        return UNPARSED
    named = {_EMOTION[word] for word in plain.split() if word in _EMOTION}
    return _BY_PAIR.get(frozenset(named), UNPARSED)
