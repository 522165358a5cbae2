"""The Live tab as HTML: the stage with the camera, and the places that its script fills."""

from ferce.core.labels import BASICS
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import CHANNELS, TRUSTED
from ferce.ui.web import markup

STAGE, NOW, UNITS_TITLE = "Camera", "Now", "Action units"


def draw() -> str:
    """Everything; rows that change stay where they are, so that nothing jumps or flickers."""
    return f'<div class="live">{_stage()}<div class="live-numbers">{_now()}{_units()}</div></div>'


def _stage() -> str:
    body = (
        '<div class="stage"><video muted playsinline aria-label="Your camera"></video>'
        '<canvas aria-hidden="true"></canvas><p class="stage-hint">The picture stays in the '
        "memory of this server; nothing is stored.</p></div>"
        '<p class="status" data-part="status" role="status">Start the camera to begin.</p>'
        '<div class="stage-buttons"><button type="button" class="go" data-act="start">Start the '
        'camera</button><button type="button" data-act="explain" disabled>Explain this moment'
        '</button></div><p class="fine pace" data-part="pace">&nbsp;</p>'
    )
    return markup.panel(STAGE, body)


def _now() -> str:
    body = (
        '<span class="chip" data-part="chip">No face yet</span><p class="headline">'
        '<small>The expression resembles</small> <span data-part="headline">–</span></p>'
        '<p class="reason" data-part="reason">&nbsp;</p>'
        '<h3>Components</h3><ul class="bars">'
        f"{''.join(_row(name, name, name) for name in BASICS)}</ul>"
        '<h3>Compounds</h3><ul class="bars">'
        f"{''.join(_row(f'compound-{i}', '–') for i in range(4))}</ul>"
    )
    return markup.panel(NOW, body)


def _units() -> str:
    """All units that MediaPipe shows; those that are active stand out."""
    rows = "".join(
        _row(unit.code, f"{unit.code} {unit.name}", "unit")
        for number, unit in UNITS.items()
        if number in CHANNELS and CHANNELS[number].reliability >= TRUSTED
    )
    return markup.panel(UNITS_TITLE, f'<ul class="bars unit-bars">{rows}</ul>')


def _row(key: str, name: str, classes: str = "") -> str:
    return (
        f'<li class="bar {classes}" data-row="{key}"><span class="bar-name">{name}</span>'
        '<span class="bar-track" aria-hidden="true"><span style="width:0"></span></span>'
        '<span class="bar-value">–</span></li>'
    )
