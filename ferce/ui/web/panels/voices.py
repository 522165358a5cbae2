"""The voices that may explain and answer: a list to choose from, with what each speaks from."""

from collections.abc import Sequence

from ferce.models import KINDS
from ferce.models.measured import Measured
from ferce.ui.web import markup

_SEES = "sees the picture alone"
_COMPOSED = "composed from the measured action units"


def draw(names: Sequence[str], picked: str) -> str:
    """Draw the list, set to the voice that speaks."""
    listed = dict.fromkeys((*names, picked))
    options = "".join(
        markup.option(name, f"{name}: {_about(name)}", name == picked) for name in listed
    )
    return (
        '<form class="looks"><label><span>Voice</span>'
        f'<select name="voice">{options}</select></label></form>'
    )


def _about(name: str) -> str:
    if name == Measured.name:
        return _COMPOSED
    kind = name.partition(":")[0]
    return _SEES if kind in KINDS and KINDS[kind].voice else "of this model"
