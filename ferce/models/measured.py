"""The voice without a language model: it says what was measured, and nothing else."""

from collections.abc import Iterator, Sequence

from ferce.core.types import Answer, Face, Prediction
from ferce.explanation import compose, phrasing_of
from ferce.models import forms
from ferce.models.spec import Spec


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


def load(spec: Spec, device: str) -> Measured:
    """Make the measured voice; it needs no device.

    Raises:
        ValueError: the spec is more than the kind.
    """
    del device
    forms.bare(spec)
    return Measured()
