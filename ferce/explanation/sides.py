"""Which side of the face a claim is about; left and right are the person's."""

from collections.abc import Sequence

from ferce.explanation.lexicon import compiled
from ferce.explanation.scope import Sentence
from ferce.explanation.tokens import words
from ferce.types import Side

# A side said apart from its part: "on the left", "on the right side of the picture".
APART = compiled(
    "(?:on|at|to|from) (?:the |his |her |their |its |person s |viewer s |viewer )*"
    "(?:left|right)(?: hand)?(?: side| half)?"
    "(?: of ^(?:picture|image|photo|photograph|frame|viewer|screen))?"
)
_MIRRORED = words("viewer viewers picture image photo photograph frame screen")
_WORDS = frozenset(("left", "right"))


class Sides:
    """The sides said in one sentence, each given to the claim it stands nearest to."""

    def __init__(self, sentence: Sentence, claims: Sequence[tuple[int, int]]) -> None:
        self.lemmas = sentence.lemmas
        self.given: dict[int, Side] = {}
        for i, j in sentence.ranges(APART):
            if claims and not self._adverb(i, j):
                nearest = min(range(len(claims)), key=lambda k: self._distance(claims[k], i, j))
                self.given.setdefault(nearest, self._said(i, j))

    def of(self, claim: int, part: tuple[int, int]) -> Side | None:
        """The side of a claim whose part is the tokens [i, j); None for both or no side."""
        i, j = part
        if i > 1 and self.lemmas[i - 1] == "and" and self.lemmas[i - 2] in _WORDS:
            return None  # "the left and right brows"
        said = [w for w in self.lemmas[i:j] if w in _WORDS]
        if len(set(said)) == 1:
            return "left" if said[0] == "left" else "right"
        return self.given.get(claim)

    def _said(self, i: int, j: int) -> Side:
        words = self.lemmas[max(i - 2, 0) : j + 1]
        left = "left" in self.lemmas[i:j]
        return "left" if left != bool(_MIRRORED.intersection(words)) else "right"

    def _adverb(self, i: int, j: int) -> bool:
        """Whether the phrase is no side of the face: "to the right at", "in the right light"."""
        del i
        return j < len(self.lemmas) and self.lemmas[j] in ("at", "now", "light", "moment")

    def _distance(self, claim: tuple[int, int], i: int, j: int) -> int:
        """Tokens between; a phrase within its claim is nearest, one before it counts a bit more."""
        if claim[0] <= i and j <= claim[1]:
            return -1
        return (i - claim[1]) * 2 if i >= claim[1] else (claim[0] - j) * 2 + 3
