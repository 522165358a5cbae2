"""The white-box classifier: action units against published prototypes; nothing is trained."""

from collections.abc import Sequence

from ferce.core.types import Face, Scores
from ferce.facs.posterior import posterior
from ferce.models import forms
from ferce.models.spec import Spec


class Prototypes:
    """A `Classifier` that reads `Face.units` only and never looks at pixels."""

    name = "prototypes"

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces, one row each; a face without evidence gets the prior."""
        weighed = posterior([face.units for face in faces])
        return Scores(weighed.classes(), weighed.neutral, weighed.single)


def load(spec: Spec, device: str) -> Prototypes:
    """Make the prototypes classifier; it needs no device.

    Raises:
        ValueError: the spec is more than the kind.
    """
    del device
    forms.bare(spec)
    return Prototypes()
