import dataclasses
import tracemalloc

import numpy as np
import pytest
from data_fixtures import drawing, png, sample

from ferce.core.types import Face, UnitEvidence
from ferce.data import align as align_module
from ferce.data import npz
from ferce.data.align import Aligned, Settings, align, square
from ferce.data.record import Blob, Problem, Sample

CALLS: list[int] = []


class Middle:
    """A detector that takes the middle of any picture, and finds nothing in black ones."""

    def detect(self, photo):
        CALLS.append(1)
        if not photo.any():
            return []
        side = min(photo.shape[:2])
        unit = UnitEvidence(12, 0.5, 0.9, 0.6, 0.4, "fake")
        face = Face(crop=photo[:side, :side], units={12: unit})
        return [face.replace(problem="too dark") if photo.max() < 50 else face]


def middle():
    return Middle()


def black(name):
    return Sample(name, Blob(png(np.zeros((32, 32, 3), np.uint8))))


@pytest.fixture(autouse=True)
def fresh():
    CALLS.clear()
    align_module.release()
    align_module._identity.cache_clear()


def same(a, b):
    for field in dataclasses.fields(Face):
        one, two = getattr(a, field.name), getattr(b, field.name)
        if field.name == "regions":
            assert list(one) == list(two)
            assert all((one[k] == two[k]).all() for k in one)
        elif isinstance(one, np.ndarray):
            assert (one == two).all()
            assert one.dtype == two.dtype
        else:
            assert one == two, field.name


def test_a_face_survives_the_disk(smiling, tmp_path):
    npz.save_face(tmp_path / "a" / "f.npz", smiling)
    same(npz.load_face(tmp_path / "a" / "f.npz"), smiling)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["f.npz"]


def test_a_plain_crop_survives_the_disk(tmp_path):
    face = Face(crop=drawing(1), problem="x")
    npz.save_face(tmp_path / "f.npz", face)
    same(npz.load_face(tmp_path / "f.npz"), face)


def test_damaged_files_are_named(tmp_path):
    npz.save_face(tmp_path / "f.npz", Face(crop=drawing(1)))
    whole = (tmp_path / "f.npz").read_bytes()
    for data in (b"", b"PK nonsense", whole[:200], whole[:-40]):
        (tmp_path / "f.npz").write_bytes(data)
        with pytest.raises(ValueError, match=r"f\.npz is no aligned face"):
            npz.load_face(tmp_path / "f.npz")


def test_every_row_comes_back_in_order_with_its_reason(tmp_path):
    broken = Sample("broken", Blob(b"GIF89a"))
    rows = [sample("a", seed=1), black("none"), Problem("gone", "is missing"), broken]
    aligned = list(align(rows, tmp_path, factory=middle))
    assert isinstance(aligned[0], Aligned)
    assert (aligned[0].face().crop == drawing(1)).all()
    assert aligned[0].face().units[12].left == 0.6
    assert aligned[1] == Problem("none", "shows no face that the detector finds")
    assert aligned[2].reason == "is missing"
    assert "GIF" in aligned[3].reason


def test_nothing_is_detected_twice(tmp_path):
    rows = [sample("a", seed=1), sample("copy of a", seed=1), sample("b", seed=2), black("none")]
    first = list(align(rows, tmp_path, factory=middle))
    assert len(CALLS) == 3  # the copy has the same content
    assert list(align(rows, tmp_path, factory=middle)) == first
    assert len(CALLS) == 3
    list(align([sample("a", seed=9)], tmp_path, factory=middle))  # same name, other content
    assert len(CALLS) == 4


def test_a_killed_run_goes_on(tmp_path):
    rows = [sample(str(i), seed=i) for i in range(6)]
    run = align(rows, tmp_path, factory=middle)
    for _ in range(3):
        next(run)
    run.close()
    assert len(list(align(rows, tmp_path, factory=middle))) == 6
    assert len(CALLS) == 6


def test_settings_have_their_own_place(tmp_path):
    rows = [sample("a", seed=1)]
    (plain,) = align(rows, tmp_path, Settings(detect=False), factory=middle)
    (small,) = align(rows, tmp_path, Settings(detect=False, size=16), factory=middle)
    (one,) = align(rows, tmp_path, factory=middle)
    assert len({plain.path, small.path, one.path}) == 3
    assert small.face().size == 16
    assert plain.face().size == 32
    with pytest.raises(ValueError, match="at least 16"):
        Settings(size=3)


def test_unclear_faces_are_kept_or_listed(tmp_path):
    dark = Sample("dark", Blob(png(drawing(3) // 8)))
    (kept,) = align([dark], tmp_path, factory=middle)
    assert kept.face().problem == "too dark"
    (listed,) = align([dark], tmp_path, Settings(keep_unclear=False), factory=middle)
    assert "must not be read: too dark" in listed.reason


def test_processes_agree_with_one(tmp_path):
    rows = [sample(str(i), seed=i) for i in range(5)] + [black("none")]
    alone = list(align(rows, tmp_path / "a", Settings(detect=False)))
    together = list(align(rows, tmp_path / "b", Settings(detect=False), jobs=2))
    assert [a.sample.name for a in alone] == [b.sample.name for b in together]
    assert all((a.face().crop == b.face().crop).all() for a, b in zip(alone, together, strict=True))


def test_another_size_is_cut_from_the_photo(astronaut, smiling, tmp_path):
    larger = align_module.resized(astronaut, smiling, 320)
    assert larger.size == 320
    assert (larger.landmarks_in_crop / 320 - smiling.landmarks_in_crop / 224).max() < 1e-4
    assert larger.regions["mouth"].shape == (320, 320)
    assert align_module.resized(astronaut, smiling, 224) is smiling


def test_packaged_detector_end_to_end(astronaut, smiling, tmp_path):
    (one,) = align([Sample("astronaut", Blob(png(astronaut)))], tmp_path)
    same(one.face(), smiling)


def test_square_takes_the_middle():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    assert (square(wide, 10) == 200).all()
    assert square(wide, 20).shape == (20, 20, 3)


def test_memory_stays_flat(tmp_path):
    data = png(drawing(0))
    list(align([Sample("warm", Blob(data))], tmp_path, Settings(detect=False)))
    tracemalloc.start()
    try:
        rows = (Sample(str(i), Blob(data)) for i in range(3000))
        count = sum(1 for _ in align(rows, tmp_path, Settings(detect=False)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 3000
    assert peak < 1_500_000  # bytes


def test_jobs_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="jobs"):
        list(align([], tmp_path, jobs=0))
