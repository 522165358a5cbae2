"""The photos that a command line names."""

import pytest
from image_fixtures import assert_sentence

from ferce import images
from ferce.images import ImageError, find


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
