"""Every kind of source: arrays, paths, bytes and open files; names and limits."""

import io
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from image_fixtures import CARD, H, W, card, refused, same
from PIL import Image

from ferce.images import Limits, load


def test_every_kind_of_source(tmp_path):
    path = tmp_path / "card.png"
    path.write_bytes(card("PNG"))
    image = Image.open(path)
    with path.open("rb") as file:
        sources = [str(path), path, path.read_bytes(), bytearray(path.read_bytes()), file, image]
        for source in [*sources, memoryview(path.read_bytes()), CARD, io.BytesIO(card("PNG"))]:
            same(load(source), CARD)
    image.close()


# ---- arrays ----


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (CARD, CARD),
        (CARD[:, ::-1], CARD[:, ::-1]),  # not contiguous
        (np.asfortranarray(CARD), CARD),
        (CARD.astype(np.uint16) * 257, CARD),
        (CARD.astype(">u2") * 257, CARD),
        (CARD > 0, CARD),
        (CARD / 255.0, CARD),
        ((CARD / 255.0).astype(np.float16), CARD),
        (CARD[..., 0], CARD[..., :1].repeat(3, 2)),
        (CARD[..., :1], CARD[..., :1].repeat(3, 2)),
    ],
)
def test_arrays(array, expected):
    got = load(array)
    same(got, expected)
    assert not np.shares_memory(got, array)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (CARD.astype(np.int64), "int64 values; give uint8"),
        (CARD.astype(np.float32), "from 0 to 255; scale them"),
        (CARD / -255.0, "from -1 to"),
        (np.full((H, W), np.nan), "from nan"),
        (np.full((H, W), np.inf), "from inf"),
        (np.zeros((H, W, 2), np.uint8), "must have shape"),
        (np.zeros((1, H, W, 3), np.uint8), "must have shape"),
        (np.zeros((3,), np.uint8), "must have shape"),
        (np.array(None), "must have shape"),
        (np.zeros((0, W, 3), np.uint8), "48 by 0 pixels"),
        (np.full((H, W), "x"), "values; give uint8"),
        (np.full((H, W), None), "object values"),
        (np.zeros((H, W), complex), "complex128 values"),
        (np.broadcast_to(np.uint8(0), (30_000, 30_000, 3)), "60 million"),
    ],
)
def test_refused_arrays(array, words):
    refused(array, words)


# ---- files, names and limits ----


def test_refused_sources(tmp_path):
    refused(tmp_path / "gone.jpg", r"^gone\.jpg does not exist")
    refused(tmp_path, "is a folder")
    refused("", "An empty name is a folder")
    refused("a\0b.jpg", r"^a\?b\.jpg cannot be opened")
    refused("x" * 5000, "cannot be opened")
    refused("https://example.org/face.jpg", "is a web address")
    refused("data:image/png;base64,AAAA", "is a web address")
    refused(42, "not int")
    refused(None, "not NoneType")
    refused(io.StringIO("text"), "open as text")
    refused(b"", "^The photo is empty")
    closed = io.BytesIO(b"x")
    closed.close()
    refused(closed, "open it again")


def test_links_pipes_and_permissions(tmp_path, monkeypatch):
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    refused(tmp_path / "loop.jpg", "leads back to itself")
    os.mkfifo(tmp_path / "pipe.jpg")
    refused(tmp_path / "pipe.jpg", "device or a pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s"))
        refused(tmp_path / "s", "device or a pipe")
    (tmp_path / "mine.png").write_bytes(card("PNG"))

    def closed(*args):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(Path, "open", closed)  # root may read everything, so chmod shows nothing
    refused(tmp_path / "mine.png", r"^mine\.png may not be read")


def test_names_are_made_safe(tmp_path):
    for name in ("a\nb\x1b[31m.jpg", "x" * 200 + ".jpg", "\udcff.jpg"):
        refused(tmp_path / name, "does not exist")


def test_limits(tmp_path):
    path = tmp_path / "card.png"
    path.write_bytes(card("PNG"))
    size = path.stat().st_size
    assert load(path, Limits(max_bytes=size)).shape == (H, W, 3)
    for source in (path, path.read_bytes(), io.BytesIO(path.read_bytes())):
        refused(source, "MiB accepted", limits=Limits(max_bytes=size - 1))
    refused(path, "million pixels", limits=Limits(max_pixels=W * H - 1))
    refused(path, "million pixels", limits=Limits(max_side=W - 1))
    refused(path, "at least 33", limits=Limits(min_side=33))
    refused(np.zeros((8, 8), np.uint8), "8 by 8 pixels, and each side needs at least 16")
    with pytest.raises(ValueError, match="at least 1"):
        Limits(max_pixels=0)
