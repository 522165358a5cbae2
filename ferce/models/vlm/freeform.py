"""Which compound a generated sentence names, if it names exactly one."""

import re

from ferce.core.labels import COMPOUNDS, components
from ferce.explanation.text.verdicts import EMOTIONS

UNPARSED = "unparsed"

_NEGATIONS = r"\b(?:not|no|never|neither|nor|without|cannot|isn't|doesn't|lacks?|than)\b"
_BY_PAIR = {frozenset(components(label)): label for label in COMPOUNDS}


def parse(text: str) -> str:
    """Find the compound that `text` names, or `UNPARSED`.

    A text names a compound by its label or by its two emotions in any form and order ("fear and
    surprise"). It is unparsed when it names one emotion, three or more, a pair that is no
    compound, or when a negation stands in it: then no reading is safe.
    """
    plain = " ".join(re.findall(r"[a-z']+", text.lower().replace("’", "'")))
    if re.search(_NEGATIONS, plain):
        return UNPARSED
    named = {EMOTIONS[word] for word in plain.split() if word in EMOTIONS}
    return _BY_PAIR.get(frozenset(named), UNPARSED)
