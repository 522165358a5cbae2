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
        on = str(base.place_of(run) or "") if (run / ADAPTER).is_file() else ""
        specs = [spec_of(place, str(place), on) for place in (run, folder)]
        measured, published = (_scores(spec, face) for spec in specs)
    except (CheckpointError, ValueError, OSError) as error:
        raise PublishError(f"What would be published does not load again: {error}") from error
    if not np.allclose(measured, published, atol=1e-4):
        raise PublishError(
            f"What would be published is not the run that was measured: it scores a face "
            f"{published.round(3)} where {run} gives {measured.round(3)}."
        )


def spec_of(folder: Path, name: str, on: str = "") -> str:
    """Write the spec that loads the weights in a folder.

    Args:
        folder: of a network or an adapter.
        name: what the spec calls it: the folder, or `owner/name`.
        on: base of an adapter; the one that its config names by default.
    """
    if not (folder / ADAPTER).is_file():
        return f"{'embedded' if (folder / FUSION).is_file() else 'timm'}:{name}"
    config = read_json(folder / ADAPTER)
    ours = read_json(folder / OURS) if (folder / OURS).is_file() else {}
    precision = ours.get("training", {}).get("precision")
    option = f"?load={precision}" if precision in QUANTISED else ""
    on = on or str(config["base_model_name_or_path"])
    return f"{kind_of(config, folder)}:{on}+{name}{option}"


def _scores(spec: str, face: Face) -> NDArray[np.float64]:
    return np.asarray(models.load_classifier(spec).scores([face]).classes[0])
