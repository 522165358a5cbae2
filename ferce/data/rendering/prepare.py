"""Prepare rendering: the kit's cache, the landmark table, the fitted people."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferce.core.protocols import Detector
from ferce.data.rendering.clay import MeshReader, find_correspondence, load_correspondence
from ferce.data.rendering.compose import AssetPaths
from ferce.data.rendering.fit import Limits, Unfit, fit_portrait
from ferce.data.rendering.kit import Kit, cached_kit, save_cache
from ferce.data.rendering.person import Person, Portrait, Pose, load_credit, save_person
from ferce.data.rendering.photo import Appearance, render_photo
from ferce.data.rendering.plan import PHOTO, Subject
from ferce.data.rendering.regions import Regions, paint_regions

REFUSED = "refused.csv"
RESTING = 0.3  # largest smile blendshape of a face drawn at rest


def mesh_reader(detector: Detector) -> MeshReader:
    """Wrap a detector to read the largest face's mesh (478, 2) and blendshapes."""

    def read(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, float]] | None:
        faces = detector.detect(picture)
        if not faces or faces[0].landmarks is None:
            return None
        return faces[0].landmarks[:, :2], dict(faces[0].blendshapes)

    return read


def prepare_assets(kit: Path, cache: Path, reader: MeshReader) -> AssetPaths:
    """Make what is missing in the cache folder: npz of the kit, landmark table."""
    asset_paths = asset_paths_in(kit, cache)
    asset_paths.people.mkdir(parents=True, exist_ok=True)
    if not asset_paths.kit.is_file():
        save_cache(kit, asset_paths.kit)
    if not asset_paths.match.is_file():
        loaded = cached_kit(str(asset_paths.kit))
        find_correspondence(loaded, paint_regions(loaded), reader).save(asset_paths.match)
    return asset_paths


def asset_paths_in(kit: Path, cache: Path) -> AssetPaths:
    """Return the paths in a cache folder; a kit that is an npz already stays where it is."""
    packed = kit if kit.suffix == ".npz" else cache / "kit.npz"
    return AssetPaths(packed, cache / "people", cache / "landmarks.npz")


def fit_people(
    portraits: Iterable[Portrait],
    asset_paths: AssetPaths,
    reader: MeshReader,
    limits: Limits | None = None,
) -> Iterator[tuple[Portrait, str]]:
    """Fit portraits that were not seen before; yield each with "" or why it was refused.

    Refusals are kept in refused.csv beside the people, so that they are not tried again.
    """
    kit = cached_kit(str(asset_paths.kit))
    regions, match = paint_regions(kit), load_correspondence(asset_paths.match)
    known = refusals(asset_paths.people)
    for portrait in portraits:
        target, reason = (
            asset_paths.people / f"{portrait.path.stem}.npz",
            known.get(portrait.path.name, ""),
        )
        if not target.is_file() and not reason:
            try:
                person = fit_portrait(portrait, kit, regions, match, reader, limits)
                check_rest(kit, regions, person, reader)
                save_person(person, target)
            except Unfit as error:
                reason = str(error)
                _refuse(asset_paths.people, portrait, reason)
        yield portrait, reason


def check_rest(kit: Kit, regions: Regions, person: Person, reader: MeshReader) -> None:
    """Check that a drawing of the person at rest is detected and does not smile.

    Raises:
        Unfit: it is not so.
    """
    read = reader(render_photo(kit, regions, person, Appearance(pose=Pose(yaw=person.yaw))).image)
    if read is None:
        raise Unfit("not found when drawn")
    if max(read[1].get("mouthSmile" + s, 0.0) for s in ("Left", "Right")) > RESTING:
        raise Unfit("smiling even at rest")


def refusals(people: Path) -> dict[str, str]:
    """Read file name -> why it was refused."""
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


def fitted_subjects(portraits: Iterable[Portrait], asset_paths: AssetPaths) -> list[Subject]:
    """List fitted portraits as people to render; one split a subject."""
    paths = [asset_paths.people / f"{p.path.stem}.npz" for p in portraits]
    there = [p for p in paths if p.is_file()]
    return [Subject(p.stem, PHOTO, load_credit(p).split) for p in sorted(there)]
