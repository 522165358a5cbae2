"""ZIPs: what is read of them, and what is refused before anything is unpacked."""

import stat
import struct
import zipfile

import pytest

from ferce.images.archive import Archive, ArchiveError, Limits, is_archive


@pytest.fixture
def pack(tmp_path):
    def write(members, name="photos.zip", compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", compression) as file:
            for member, data in members.items():
                file.writestr(member, data)
        return path

    return write


def test_photos_are_read_in_order_without_what_systems_add(pack):
    path = pack(
        {"b/two.jpg": b"2", "__MACOSX/b/._two.jpg": b"x", "b/.DS_Store": b"x", "1.png": b"1"}
    )
    with Archive(path) as archive:
        assert [member.name for member in archive.members] == ["b/two.jpg", "1.png"]
        assert [archive.read(member.name) for member in archive.members] == [b"2", b"1"]
        assert not any(member.problem for member in archive.members)


@pytest.mark.parametrize(
    "name", ["../up.jpg", "a/../../up.jpg", "/../up.jpg", "C:/../up.jpg", "a\\..\\..\\up.jpg"]
)
def test_a_name_that_leads_out_refuses_the_archive(pack, name):
    with pytest.raises(ArchiveError, match=r"^photos\.zip holds a name that leads out of it"):
        Archive(pack({"fine.jpg": b"1", name: b"2"}))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("./a.jpg", "a.jpg"),
        ("/sdcard/DCIM/a.jpg", "sdcard/DCIM/a.jpg"),
        ("C:\\Users\\a.jpg", "Users/a.jpg"),
        ("Fotos\\Sommer\\a.jpg", "Fotos/Sommer/a.jpg"),
        ("1:2 crop.jpg", "1:2 crop.jpg"),
    ],
)
def test_names_of_other_programs_are_read_from_no_root(pack, written, name):
    """Nothing is unpacked, so that no name can lead anywhere."""
    with Archive(pack({written: b"1", "b.jpg": b"2", "./": b"", "Fotos\\": b""})) as archive:
        assert [(m.name, m.problem) for m in archive.members] == [(name, ""), ("b.jpg", "")]
        assert archive.read(name) == b"1"


def test_a_name_in_utf_8_that_does_not_say_so_is_read(pack):
    """As the Finder of macOS writes it."""
    path = pack({"Zo__.jpg": b"1"})
    path.write_bytes(path.read_bytes().replace(b"Zo__.jpg", "Zo\u00eb.jpg".encode()))
    with Archive(path) as archive:
        assert archive.members[0].name == "Zo\u00eb.jpg"
        assert archive.read("Zo\u00eb.jpg") == b"1"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_members_of_one_name_both_are_read(tmp_path):
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, data in (("a.jpg", b"1"), ("a.jpg (2)", b"x"), ("a.jpg", b"2"), ("a.jpg", b"3")):
            file.writestr(name, data)
    with Archive(path) as archive:
        photos = [m.name for m in archive.members if not m.problem]
        assert photos == ["a.jpg", "a.jpg (3)", "a.jpg (4)"]
        assert [archive.read(name) for name in photos] == [b"1", b"2", b"3"]


@pytest.fixture
def wide(pack, monkeypatch):
    """A ZIP with a 64-bit end record, as some programs always write it."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    return pack({f"{i}.jpg": b"%d" % i for i in range(3)})


def test_a_64_bit_table_of_contents_is_read(wide):
    with Archive(wide) as archive:
        assert [archive.read(m.name) for m in archive.members] == [b"0", b"1", b"2"]
    with pytest.raises(ArchiveError, match="lists too many files"):
        Archive(wide, Limits(max_directory=100))


@pytest.mark.parametrize("name", ["a..b.jpg", "...jpg", "a/b..jpg"])
def test_dots_within_a_name_are_harmless(pack, name):
    Archive(pack({name: b"1"})).__exit__()


def test_a_bomb_is_refused_before_it_is_unpacked(pack):
    path = pack({f"{i}.bmp": b"\0" * 2**22 for i in range(10)})
    assert path.stat().st_size < 2**17
    with pytest.raises(ArchiveError, match="would unpack to 40 MB, far more than photos would"):
        Archive(path)


def test_many_bytes_are_refused_however_they_are_packed(pack):
    limits = Limits(max_total=1000)
    with pytest.raises(ArchiveError, match="would unpack"):
        Archive(pack({"a.bmp": b"\1" * 1001}, compression=zipfile.ZIP_STORED), limits)


def test_a_table_of_contents_that_fills_the_memory_is_not_read(pack):
    path = pack({f"{i}.jpg": b"" for i in range(50)})
    with pytest.raises(ArchiveError, match="lists too many files"):
        Archive(path, Limits(max_directory=1000))


def test_a_second_table_of_contents_does_not_slip_past(pack):
    """A 64-bit end record would override the small one that was checked."""
    data = pack({"a.jpg": b"1"}).read_bytes()
    place = data.rfind(b"PK\x05\x06")
    wide = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    path = pack({"a.jpg": b"1"})
    path.write_bytes(data[:place] + wide + data[place:])
    with pytest.raises(ArchiveError, match="is no whole ZIP"):
        Archive(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"PK\x05\x06", b"PK\x03\x04" + b"x" * 500])
def test_what_is_cut_off_is_one_sentence(tmp_path, data):
    path = tmp_path / "cut.zip"
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"^cut\.zip is no whole ZIP; pack it again\.$"):
        Archive(path)


def link():
    info = zipfile.ZipInfo("link.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("a/notes.txt", "notes.txt is no photo by its suffix."),
        ("inner.zip", "inner.zip is a ZIP inside a ZIP"),
        (link(), "link.jpg is a link"),
    ],
)
def test_a_member_that_is_no_photo_is_listed_with_the_reason(pack, member, words):
    with Archive(pack({member: b"/etc/passwd", "fine.jpg": b"1"})) as archive:
        refused, fine = archive.members
    assert refused.problem.startswith(words)
    assert fine.problem == ""


def test_a_member_behind_a_password_is_listed(pack):
    path = pack({"a.jpg": b"1"})
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1  # the flag in the table of contents
    path.write_bytes(bytes(data))
    with Archive(path) as archive:
        assert "locked with a password" in archive.members[0].problem


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_would_unpack_at_once_is_listed(pack, method):
    """Whatever size the table of contents claims; few programs pack photos so."""
    with Archive(pack({"a.jpg": b"12345"}, compression=method)) as archive:
        assert archive.members[0].problem.startswith("a.jpg is packed in a way that is not read")


def test_a_member_without_a_name_is_passed_over(pack):
    path = pack({"b.jpg": b"1"})
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\x01\x02") + 28
    data[place : place + 6] = struct.pack("<HHH", 0, 0, 5)  # lengths of name, extra and comment
    path.write_bytes(bytes(data))
    with Archive(path) as archive:
        assert archive.members == ()


def test_a_member_said_to_lie_at_the_very_end_is_broken(pack):
    path = pack({"a.jpg": b"1"})
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\x01\x02") + 42
    data[place : place + 4] = struct.pack("<I", len(data) - 5)
    path.write_bytes(bytes(data))
    with Archive(path) as archive, pytest.raises(ArchiveError, match=r"^a\.jpg is broken inside"):
        archive.read("a.jpg")


def test_a_member_too_large_is_listed(pack):
    with Archive(pack({"a.jpg": b"12345"}), Limits(max_bytes=4)) as archive:
        assert "more than the" in archive.members[0].problem


def test_broken_data_are_one_sentence(pack):
    path = pack({"a.jpg": b"hello hello hello"}, compression=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"hello hello hello", b"hello jelly hello"))
    with Archive(path) as archive, pytest.raises(ArchiveError, match=r"^a\.jpg is broken inside"):
        archive.read("a.jpg")


def test_a_photo_is_no_archive(tmp_path, pack):
    photo = tmp_path / "photo.zip"
    photo.write_bytes(b"\xff\xd8\xff")
    assert not is_archive(photo)
    assert is_archive(pack({}, "any.jpg"))


def test_a_zip_that_unpacks_itself_is_read(pack):
    path = pack({"a.jpg": b"1"})
    path.write_bytes(b"#!/bin/sh\nexit\n" + path.read_bytes())
    assert is_archive(path)
    with Archive(path) as archive:
        assert archive.read("a.jpg") == b"1"


def test_a_photo_that_ends_as_a_zip_does_is_a_photo(pack):
    path = pack({"a.jpg": b"1"}, name="both.jpg")
    path.write_bytes(b"\xff\xd8\xff" + path.read_bytes())
    assert not is_archive(path)


def test_a_comment_that_looks_like_the_end_is_named(pack):
    path = pack({"a.jpg": b"1"})
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b"PK\5\6" + b"x" * 6000
    with pytest.raises(ArchiveError, match=r"^photos\.zip has a comment that looks like the end"):
        Archive(path)


def test_a_raw_file_is_read_to_be_refused_by_what_it_is(pack):
    with Archive(pack({"a.CR2": b"1", "b.txt": b"2"})) as archive:
        assert [member.problem for member in archive.members] == [
            "",
            "b.txt is no photo by its suffix.",
        ]
