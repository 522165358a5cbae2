"""Once before rendering: the kit's cache, the landmark table, the fitted people."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce.core.protocols import Detector
from ferce.data.rendering.compose import Studio
from ferce.data.rendering.correspondence import Reader, find_correspondence, load_correspondence
from ferce.data.rendering.fit import Limits, Unfit, fit_portrait
from ferce.data.rendering.kit import Kit, cached_kit, save_cache
from ferce.data.rendering.person import Person, Pose, load_credit, save_person
from ferce.data.rendering.photo import Look, render_photo
from ferce.data.rendering.plan import PHOTO, Subject
from ferce.data.rendering.portraits import Portrait
from ferce.data.rendering.regions import Regions, paint_regions

REFUSED = "refused.csv"
RESTING = 0.3  # largest smile blendshape of a face drawn at rest


def mesh_reader(detector: Detector) -> Reader:
    """The largest face's mesh (478, 2) and blendshapes, as the fitting wants them."""

    def read(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, float]] | None:
        faces = detector.detect(picture)
        if not faces or faces[0].landmarks is None:
            return None
        return faces[0].landmarks[:, :2], dict(faces[0].blendshapes)

    return read


def open_studio(kit: Path, cache: Path, reader: Reader) -> Studio:
    """Make what is missing in the cache folder: npz of the kit, landmark table."""
    studio = studio_at(kit, cache)
    studio.people.mkdir(parents=True, exist_ok=True)
    if not studio.kit.is_file():
        save_cache(kit, studio.kit)
    if not studio.match.is_file():
        loaded = cached_kit(str(studio.kit))
        find_correspondence(loaded, paint_regions(loaded), reader).save(studio.match)
    return studio


def studio_at(kit: Path, cache: Path) -> Studio:
    """Where a cache folder keeps things; a kit that is an npz already stays where it is."""
    packed = kit if kit.suffix == ".npz" else cache / "kit.npz"
    return Studio(packed, cache / "people", cache / "landmarks.npz")


def fit_people(
    portraits: Iterable[Portrait], studio: Studio, reader: Reader, limits: Limits | None = None
) -> Iterator[tuple[Portrait, str]]:
    """Fit portraits that were not seen before; yields each with "" or why it was refused.

    Refusals are kept in refused.csv beside the people, so that they are not tried again.
    """
    kit = cached_kit(str(studio.kit))
    regions, match = paint_regions(kit), load_correspondence(studio.match)
    known = refusals(studio.people)
    for portrait in portraits:
        target, reason = (
            studio.people / f"{portrait.path.stem}.npz",
            known.get(portrait.path.name, ""),
        )
        if not target.is_file() and not reason:
            try:
                person = fit_portrait(portrait, kit, regions, match, reader, limits)
                check_rest(kit, regions, person, reader)
                save_person(person, target)
            except Unfit as error:
                reason = str(error)
                _refuse(studio.people, portrait, reason)
        yield portrait, reason


def check_rest(kit: Kit, regions: Regions, person: Person, reader: Reader) -> None:
    """Draw the person at rest and read the drawing: it must be found, and must not smile.

    Raises:
        Unfit: it is not so.
    """
    read = reader(render_photo(kit, regions, person, Look(pose=Pose(yaw=person.yaw))).image)
    if read is None:
        raise Unfit("not found when drawn")
    if max(read[1].get("mouthSmile" + s, 0.0) for s in ("Left", "Right")) > RESTING:
        raise Unfit("smiling even at rest")


def refusals(people: Path) -> dict[str, str]:
    """File name -> why it was refused."""
    path = people / REFUSED
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as lines:
        return {row["file"]: row["reason"] for row in csv.DictReader(lines)}


def _refuse(people: Path, portrait: Portrait, reason: str) -> None:
    path = people / REFUSED
    fresh = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as log:
        writer = csv.writer(log)
        if fresh:
            writer.writerow(("file", "subject", "source", "reason"))
        writer.writerow((portrait.path.name, portrait.subject, portrait.source, reason))


def fitted_subjects(portraits: Iterable[Portrait], studio: Studio) -> list[Subject]:
    """Those portraits that have been fitted, as people to render; one split a subject."""
    found = [studio.people / f"{p.path.stem}.npz" for p in portraits]
    there = [p for p in found if p.is_file()]
    return [Subject(p.stem, PHOTO, load_credit(p).split) for p in sorted(there)]
