"""Words about eyes and mouths that say nothing of a facial movement."""

from collections.abc import Iterator

from ferce.explanation.lexicon import compiled
from ferce.explanation.scope import Marks, Sentence

_IDIOMS = compiled(
    "tongue in cheek|eye for|eye contact|blink of an eye|eye level|blind eye|naked eye|"
    "eye catching|an eye on|open mind|stiff upper lip|down in ^mouth|word of mouth|lip service|"
    "chin up|raise (?:\\w+ )?brow (?:among|across|over|in)|eye of ^beholder|see eye to eye|"
    "more than meet ^eye|tooth and nail|nose for|mouth water|mouth watering|part of|parts of|"
    "open to|open up|close to|in terms of|(?:upper|lower) (?:part|half)"
)
_METAPHOR = compiled(
    "cloud|storm|stormy|shadow|fire|flame|spark|sparkle|twinkle|ice|window to|soul|thunder|"
    "sunshine|sun|abyss|lightning|mirror|dagger|sea|ocean|weight|light"
)
_APPEARANCE = compiled(
    "blue|brown|green|hazel|grey|gray|black|dark|red|pink|blonde|thick|bushy|full lip|painted|"
    "lipstick|makeup|mascara|glass|sunglass|beard|mustache|moustache|freckle|bright|beautiful|"
    "shaved|plucked|groomed|frame"
)
_HIDDEN = compiled(
    "hidden|covered|occluded|obscured|hide|cover|obscure|out of frame|cropped|unclear|"
    "can not be (?:see|told|judged|read|assessed)|not (?:clearly )?(?:visible|see)"
)
_GAZE = compiled(
    "(?:look|gaze|stare|glance|directed|focused|fixed|locked|looking|staring|gazing) (?:\\w+ly )?"
    "(?:at|into|toward|towards|away|off|straight|to|on|sideways|forward)"
)


def idioms(sentence: Sentence) -> Iterator[tuple[int, int]]:
    """Token ranges of fixed phrases in which a part or a state means something else."""
    return sentence.ranges(_IDIOMS)


def empty_mentions(sentence: Sentence) -> Marks:
    """True for tokens in clauses where a bare part ("her blue eyes") names no movement."""
    marks = [False] * len(sentence.lemmas)
    for pattern in (_METAPHOR, _APPEARANCE, _HIDDEN, _GAZE):
        for i, _ in sentence.ranges(pattern):
            start, end = _clause(sentence.lemmas, i)
            marks[start:end] = [True] * (end - start)
    return marks


def _clause(lemmas: list[str], at: int) -> tuple[int, int]:
    stops = [k for k, word in enumerate(lemmas) if word in (",", "but", "while", ":", "(", ")")]
    start = max((k + 1 for k in stops if k < at), default=0)
    return start, min((k for k in stops if k > at), default=len(lemmas))
