"""The label sets: 14 compounds of RAF-CE, 11 of RAF-DB, six basic components, and their maps."""

import difflib
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

NEUTRAL = "neutral"

# Six basic emotions; order fixed for every (N, 6) array of components.
BASICS: tuple[str, ...] = ("happy", "sad", "fearful", "angry", "surprised", "disgusted")

# RAF-CE ids 0..13 in the official order, whdeng.cn/RAF/model4.html (Li et al., CVPRW 2023).
COMPOUNDS: tuple[str, ...] = (
    "happily surprised",
    "happily disgusted",
    "sadly fearful",
    "sadly angry",
    "sadly surprised",
    "sadly disgusted",
    "fearfully angry",
    "fearfully surprised",
    "fearfully disgusted",
    "angrily surprised",
    "angrily disgusted",
    "disgustedly surprised",
    "happily fearful",
    "happily sad",
)

# All that a face can be read as; order fixed for every (N, 21) array of outcomes.
OUTCOMES: tuple[str, ...] = (*COMPOUNDS, *BASICS, NEUTRAL)

# RAF-DB compound uses the ids 1..11 for these RAF-CE ids (no 8, 12, 13); Li & Deng, TIP 2019.
RAFDB_TO_RAFCE: MappingProxyType[int, int] = MappingProxyType(
    {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7, 9: 9, 10: 10, 11: 11}
)
RAFDB_COMPOUNDS: tuple[str, ...] = tuple(COMPOUNDS[i] for i in RAFDB_TO_RAFCE.values())

NOUNS: MappingProxyType[str, str] = MappingProxyType(
    {
        "happy": "happiness",
        "sad": "sadness",
        "fearful": "fear",
        "angry": "anger",
        "surprised": "surprise",
        "disgusted": "disgust",
    }
)
_ADVERBS = {
    "happily": "happy",
    "sadly": "sad",
    "fearfully": "fearful",
    "angrily": "angry",
    "disgustedly": "disgusted",
}


def components(label: str) -> tuple[str, ...]:
    """List the basic emotions that a label holds: two for a compound, one for a basic, or none."""
    if label == NEUTRAL:
        return ()
    if label in BASICS:
        return (label,)
    if label not in COMPOUNDS:
        raise ValueError(unknown(label))
    adverb, adjective = label.split()
    return (_ADVERBS[adverb], adjective)


def _holding() -> NDArray[np.float64]:
    rows = [[float(basic in components(label)) for basic in BASICS] for label in OUTCOMES]
    matrix = np.array(rows)
    matrix.setflags(write=False)
    return matrix


# (21, 6): 1 where the outcome holds the basic emotion; and its (14, 6) of the compounds alone,
# whose rows sum to 2.
HOLDING: NDArray[np.float64] = _holding()
MEMBERSHIP: NDArray[np.float64] = HOLDING[: len(COMPOUNDS)]


def parse(name: str) -> str:
    """Parse the label meant by `name`, whatever its case, hyphens or underscores.

    Raises:
        ValueError: the name is no compound, no basic and not neutral; the message lists them.
    """
    key = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    if key in COMPOUNDS or key in BASICS or key == NEUTRAL:
        return key
    raise ValueError(unknown(name))


def alone(outcome: str) -> str:
    """Name an outcome beside components of the same name: "happy alone"."""
    return f"{outcome} alone" if outcome in BASICS else outcome


def unknown(name: str) -> str:
    """Write the error for a name that is not a label, with the nearest ones first."""
    known = [*COMPOUNDS, *BASICS, NEUTRAL]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown label {name!r}.{hint} Known labels: {', '.join(known)}."
