"""Load what is to be published again, and compare it with the run that was measured."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce import images, models
from ferce.core.types import Face
from ferce.data.rendered import DEMO
from ferce.faces.detector import FaceDetector
from ferce.models.fusion import FILE as FUSION
from ferce.models.hub import CheckpointError, read_json
from ferce.models.vlm.loading import QUANTISED
from ferce.publishing import base
from ferce.publishing.publish import ADAPTER, OURS, kind_of
from ferce.publishing.staging import PublishError


def require_same(run: Path, folder: Path) -> None:
    """Refuse a folder that does not load, or scores a face otherwise than the run does.

    Args:
        run: what was measured.
        folder: what is to be published of it; an adapter is tried on the run's base.

    Raises:
        PublishError: says what went wrong.
    """
    with FaceDetector() as detector:
        (face,) = detector.detect(images.load(DEMO / "examples" / "happily_surprised.jpg"))
    try:
        measured, published = (_scores(spec_of(place, run), face) for place in (run, folder))
    except (CheckpointError, ValueError, OSError) as error:
        raise PublishError(f"What would be published does not load again: {error}") from error
    if not np.allclose(measured, published, atol=1e-4):
        raise PublishError(
            f"What would be published is not the run that was measured: it scores a face "
            f"{published.round(3)} where {run} gives {measured.round(3)}."
        )


def spec_of(place: Path, run: Path) -> str:
    """Write the spec of a folder of weights; an adapter stands on the base of `run`."""
    if not (place / ADAPTER).is_file():
        return f"{'embedded' if (place / FUSION).is_file() else 'timm'}:{place}"
    config = read_json(place / ADAPTER)
    on = base.place_of(run) or read_json(run / ADAPTER)["base_model_name_or_path"]
    ours = read_json(place / OURS) if (place / OURS).is_file() else {}
    precision = ours.get("training", {}).get("precision")
    option = f"?load={precision}" if precision in QUANTISED else ""
    return f"{kind_of(config, place)}:{on}+{place}{option}"


def _scores(spec: str, face: Face) -> NDArray[np.float64]:
    return models.load_classifier(spec).scores([face]).classes[0]
