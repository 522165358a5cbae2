"""The photos that a command line names."""

import pytest
from image_fixtures import assert_sentence

from ferce import images
from ferce.images import ImageError, find, passed_over


@pytest.fixture
def album(tmp_path, monkeypatch):
    for name in ("b.JPG", "a.png", "notes.txt", "sub/c.heic", "sub/.hidden.jpg", ".git/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "odd[1].png").write_bytes(b"x")
    (tmp_path / "bare").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.png"], ["a.png"]),
        (["notes.txt"], ["notes.txt"]),  # named outright: load says what is wrong with it
        (["."], ["a.png", "b.JPG", "odd[1].png", "sub/c.heic"]),
        (["sub"], ["sub/c.heic"]),
        (["*"], ["a.png", "b.JPG", "odd[1].png"]),
        (["[ab].*"], ["a.png", "b.JPG"]),
        (["odd[1].png"], ["odd[1].png"]),  # a file comes before a pattern
        (["**/*.heic"], ["sub/c.heic"]),
        (["b.JPG", "*.png", "a.png"], ["b.JPG", "a.png", "odd[1].png"]),
        ([], []),
    ],
)
def test_find(album, names, expected):
    assert [path.as_posix() for path in find(names)] == expected


def test_pictures_that_are_not_read_are_found_to_be_named(album):
    for name in ("IMG_1.CR3", "sub/b.dng", "c.psd"):
        (album / name).write_bytes(b"x")
    found = [path.as_posix() for path in find(["."])]
    assert found == [
        "IMG_1.CR3",
        "a.png",
        "b.JPG",
        "c.psd",
        "odd[1].png",
        "sub/b.dng",
        "sub/c.heic",
    ]


def test_what_may_hold_faces_and_is_passed_over_is_named(album):
    for name in ("IMG_1.MOV", "sub/scan.pdf", "sub/.hidden.mp4", "more.zip"):
        (album / name).write_bytes(b"x")
    assert [path.name for path in passed_over([".", "a.png"])] == [
        *("IMG_1.MOV", "more.zip", "scan.pdf")
    ]
    assert passed_over(["IMG_1.MOV"]) == []


def test_find_takes_absolute_patterns(album):
    assert find([f"{album}/s*/*.heic"]) == [album / "sub/c.heic"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.jpg", r"^gone\.jpg names no photo"),
        ("*.bmp", r"^\*\.bmp names no photo"),
        ("*.txt", "names no photo"),
        ("bare", "^bare names no photo"),
        ("", "^An empty name names no photo"),
        ("https://example.org/a.jpg", "is a web address"),
        ("file:///etc/a.jpg", "is a web address"),
        ("x" * 5000, "names no photo"),
        ("a\0", "names no photo"),
    ],
)
def test_find_refuses(album, name, words):
    with pytest.raises(ImageError, match=words) as caught:
        find(["a.png", name])
    assert_sentence(str(caught.value))


def test_suffixes_are_lower_case():
    assert {".jpg", ".png", ".webp", ".gif", ".bmp", ".tiff", ".heic", ".avif"} <= images.SUFFIXES
    assert all(suffix == suffix.lower() for suffix in images.SUFFIXES)
