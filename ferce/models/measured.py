"""The models without a network: a classifier by prototypes, and a voice of what was measured."""

from collections.abc import Iterator, Sequence

from ferce.core.parts import Answer, Prediction
from ferce.core.types import Face, Scores
from ferce.explanation import compose, phrasing_of
from ferce.facs.decision import posterior
from ferce.models import kinds
from ferce.models.spec import Spec


class Prototypes:
    """A `Classifier` that reads `Face.units` only and never looks at pixels."""

    name = "prototypes"

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces, one row each; a face without evidence gets the prior."""
        units = [face.units for face in faces]
        return Scores.of_outcomes(posterior(units), units=units)


class Measured:
    """A `Voice` that speaks from `Face.units` only."""

    name = "measured"

    def answer(self, face: Face, questions: Sequence[str]) -> list[Answer]:
        """Answer each question, in order."""
        from ferce.explanation.text.replies import reply

        return [Answer(question, reply(face, question), self.name) for question in questions]

    def explain(self, face: Face, prediction: Prediction) -> Iterator[str]:
        """Compose the explanation, one sentence at a time."""
        text = compose(face, prediction, phrasing_of(face))
        *firsts, last = text.split(". ")
        yield from (f"{sentence}. " for sentence in firsts)
        yield last


def load(spec: Spec, device: str) -> Prototypes | Measured:
    """Make the model of a kind; it needs no device.

    Raises:
        ValueError: the spec is more than the kind.
    """
    del device
    kinds.accept_bare(spec)
    return Prototypes() if spec.kind == Prototypes.name else Measured()
