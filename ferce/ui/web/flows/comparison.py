"""Several models on the faces of one photo as plain data, for the endpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ferce import images
from ferce.core.types import Face, Pixels, Reading, Report
from ferce.reading import agreement
from ferce.reading.pipeline import NO_FACE
from ferce.report import photo_to_json
from ferce.ui.web.catalogue import Catalogue
from ferce.ui.web.flows.comparing import Column, fill
from ferce.ui.web.loading import ready

Json = dict[str, Any]


def compare(catalogue: Catalogue, path: Path | None, names: object) -> Json:
    """Every model on every face that may be read; `names` are specs, empty for all."""
    if path is None:
        return {"photo": "", "error": "No photo was sent; upload one as `photo`."}
    asked = names.split() if isinstance(names, str) else []
    try:
        for name in asked:
            catalogue.of(name)
        photo = images.load(path)
    except (ValueError, images.ImageError) as error:
        return {"photo": path.name, "error": str(error)}
    faces = ready(catalogue).detect(photo)
    if not faces:
        return {"photo": path.name, "error": NO_FACE}
    rows = [_columns(catalogue, name, faces) for name in dict.fromkeys(asked or catalogue.names)]
    return {
        "photo": path.name,
        "models": [_told(row, path.name, photo) for row in rows],
        "agreement": [_agreement([row[i].reading for row in rows]) for i in range(len(faces))],
    }


def _columns(catalogue: Catalogue, name: str, faces: Sequence[Face]) -> list[Column]:
    columns = [Column(name) for _ in faces]
    for column, face in zip(columns, faces, strict=True):
        for _ in fill(catalogue, column, face):
            pass
    return columns


def _told(columns: Sequence[Column], photo: str, pixels: Pixels) -> Json:
    trouble = next((column.trouble for column in columns if column.trouble), "")
    if trouble:
        return {"model": columns[0].name, "error": trouble}
    readings = tuple(column.reading for column in columns if column.reading)
    size = (pixels.shape[1], pixels.shape[0])
    report = photo_to_json(Report(photo, size, readings=readings))
    return {
        "model": columns[0].name,
        "voice": columns[0].voice,
        "seconds": round(sum(column.seconds for column in columns), 3),
        "faces": report["faces"],
    }


def _agreement(readings: Sequence[Reading | None]) -> Json | None:
    """None for a face of which fewer than two models say something."""
    found = agreement.compare([reading for reading in readings if reading is not None])
    if found is None:
        return None
    return {"labels": dict(found.labels), "overlap": found.overlap, "maps": found.maps}
