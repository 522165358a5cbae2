"""Tables as spreadsheets, scripts and other systems write them."""

import unicodedata

import pytest
from data_fixtures import save

from ferce.data import DataError, Problem, load_data


def rows(spec):
    return list(load_data(spec).rows())


def labels(folder, text, encoding="utf-8"):
    """Name and label of each row of a table; a picture that is missing has its reason."""
    (folder / "m.csv").write_bytes(text.encode(encoding))
    read = rows(f"manifest:{folder / 'm.csv'}")
    return [(r.name, r.reason if isinstance(r, Problem) else r.label) for r in read]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_manifest_csv(tmp_path, delimiter):
    save(tmp_path / "a.png")
    header = "file,expression,aus,subset,source\n"
    text = header + "a.png,Sadly Fearful,L1+20,dev,web\nb.png,,null,test,web\n"
    (tmp_path / "m.csv").write_text(text.replace(",", delimiter))
    samples = rows(f"manifest:{tmp_path / 'm.csv'}")
    assert samples[0].label == "sadly fearful"
    assert samples[0].split == "val"
    assert samples[0].units[0].side == "left"
    assert samples[0].attributes == {"source": "web"}
    assert isinstance(samples[1], Problem)
    assert samples[1].split == "test"


def test_manifest_columns_and_root_may_be_named(tmp_path):
    save(tmp_path / "images" / "a.png")
    (tmp_path / "m.csv").write_text("file,known\na.png,happy\n")
    spec = f"manifest:{tmp_path / 'm.csv'}?label=known&root={tmp_path / 'images'}"
    assert rows(spec)[0].label == "happy"
    with pytest.raises(DataError, match="no column 'nope'; it has file, known"):
        rows(f"manifest:{tmp_path / 'm.csv'}?label=nope")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "file,label\na.png,joyful\n", "line 2.*Unknown label"),
        ("m.csv", "file,label\na.png\n", "as many fields"),
        ("m.csv", "label\nsad\n", "needs a file name"),
        ("m.csv", "label,\nsad,\n", "needs a file name"),
        ("m.csv", "file,label\na.png,3\n", "should be a name; got '3'. Numbers have no fixed"),
        ("m.csv", f"file,label\n{'a' * 200_000},sad\n", "no table of text"),
        ("m.csv", "file,split\na.png,later\n", "A split is one of"),
        ("m.jsonl", '{"file": "a.png", "label": 3}\n', "should be a name; got 3"),
        ("m.jsonl", "{\n", "line 1 is not JSON"),
        ("m.jsonl", "[]\n", "one JSON object"),
        ("m.txt", "", "csv"),
        ("m.xlsx", "PK", r"got m\.xlsx\. Save a spreadsheet's sheet as \"CSV UTF-8\""),
        ("m.csv", "file,label,label\na.png,sad,happy\n", "two columns 'label'"),
    ],
)
def test_manifest_refuses(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        rows(f"manifest:{tmp_path / name}")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("file;label\r\na.png;sad\r\n", "utf-8-sig"),
        ("sep=;\r\nfile;label\r\na.png;sad\r\n", "utf-8"),
        ('"sep=|"\nfile|label\na.png|sad\n', "utf-8"),
        ("file\tlabel\r\na.png\tsad\r\n", "utf-16"),
        ("\ufefffile\tlabel\r\na.png\tsad\r\n", "utf-16-be"),
        ("File , Label\na.png, sad \n", "utf-8"),
        (",File Name,Label\n0,a.png,sad\n", "utf-8"),
        ("file,label,\na.png,sad,\n,,\n", "utf-8"),
        ("file,label\na.png,sad,,\n,\n\n", "utf-8"),
        ('file,label,note\n"a.png",sad,"two\nlines, and a ""quote"""\n', "utf-8"),
        ("file;label;age\na.png;sad;3,5\n", "utf-8"),
    ],
)
def test_tables_of_spreadsheets(tmp_path, text, encoding):
    save(tmp_path / "a.png")
    assert labels(tmp_path, text, encoding) == [("a.png", "sad")]


def test_a_table_that_is_no_unicode_is_named_with_its_line(tmp_path):
    sentence = (
        r"^m\.csv line 3 is not UTF-8 \(as Windows-1252: 'J\u00f6rg\.png;sad'\); save the table as "
    )
    with pytest.raises(DataError, match=sentence):
        labels(tmp_path, "file;label\na.png;sad\nJ\u00f6rg.png;sad\n", "cp1252")


def test_lines_are_counted_below_the_separator(tmp_path):
    with pytest.raises(DataError, match="line 3: Unknown label"):
        labels(tmp_path, "sep=;\nfile;label\na.png;joyful\n")


ZOE = "Zo\u00eb"


@pytest.mark.parametrize(
    ("on_disk", "in_table"),
    [
        ("images/a.png", "images\\a.png"),
        ("images/a.png", "./images/../images/a.png"),
        (unicodedata.normalize("NFD", ZOE) + "/a.png", f"{ZOE}/a.png"),
        (f"{ZOE}/a.png", unicodedata.normalize("NFD", ZOE) + "/a.png"),
        ("DCIM/IMG_1.PNG", "dcim/img_1.png"),
        ("with\\backslash.png", "with\\backslash.png"),
    ],
)
def test_names_as_other_systems_write_them(tmp_path, on_disk, in_table):
    save(tmp_path / on_disk)
    assert labels(tmp_path, f"file,label\n{in_table},sad\n") == [(in_table, "sad")]


def test_of_several_names_alike_none_is_guessed(tmp_path):
    for name in ("a.png", "A.PNG"):
        save(tmp_path / name)
    ((_, reason),) = labels(tmp_path, "file,label\nA.png,sad\n")
    assert reason == f"is missing ({tmp_path / 'A.png'})"
    assert labels(tmp_path, "file,label\na.png,sad\n") == [("a.png", "sad")]


@pytest.mark.parametrize(
    "start", [b"PK\x03\x04\x14\0\0\0\x08\0\xff\xfe", b"\xd0\xcf\x11\xe0\xa1\xb1"]
)
def test_a_workbook_that_is_called_a_table_is_named(tmp_path, start):
    (tmp_path / "m.csv").write_bytes(start + bytes(range(256)))
    with pytest.raises(DataError, match=r"^m\.csv is a workbook; save its sheet as \"CSV UTF-8\""):
        rows(f"manifest:{tmp_path / 'm.csv'}")
