import json
import shutil
import tracemalloc
from pathlib import Path

import pytest
from data_fixtures import RAFCE_ROWS, drawing, save, write_rafce, write_rafdb, write_rafml
from PIL import Image

from ferce.data import DataError, Problem, Sample, load_data, pixels, raf
from ferce.data.record import UnitLabel


def rows(spec):
    return list(load_data(spec).rows())


# ---- RAF-CE ----


def test_rafce_reads_the_official_files(tmp_path):
    write_rafce(tmp_path, images=("aligned", "original"))
    samples = rows(f"rafce:{tmp_path}?subset=yes")
    assert [r.label for r in samples] == [
        "happily surprised",
        "angrily disgusted",
        "happily sad",
        "sadly disgusted",
    ]
    assert [r.split for r in samples] == [
        "train",
        "test",
        "val",
        "train",
    ]  # 0, 1, 2 = train, test, val
    assert samples[1].units[1] == UnitLabel(10, left=1.0, right=0.0)
    assert samples[3].units is None
    assert samples[0].image.name == "0001_aligned.jpg"
    assert pixels(samples[0]).shape == (32, 32, 3)
    original = rows(f"rafce:{tmp_path}?subset=yes&images=original")
    assert original[0].image.name == "0001.jpg"


def test_rafce_asserts_the_official_counts(tmp_path):
    write_rafce(tmp_path)
    with pytest.raises(
        DataError, match=r"2709 train, 909 test, 931 val; got 2 train, 1 test, 1 val"
    ):
        rows(f"rafce:{tmp_path}")


def test_rafce_beside_what_macos_adds_is_read(tmp_path):
    write_rafce(tmp_path / "RAF-CE")
    write_rafce(tmp_path / "__MACOSX" / "RAF-CE")
    assert len(rows(f"rafce:{tmp_path}?subset=yes")) == 4


def full(swap=False):
    codes = [0] * 2709 + [1] * 909 + [2] * 931
    if swap:
        codes = [{0: 1, 1: 0, 2: 2}[c] for c in codes]
    return [(f"{i:04d}.jpg", i % 14, code, "null") for i, code in enumerate(codes)]


def test_rafce_full_counts_pass_and_every_missing_file_is_listed(tmp_path):
    write_rafce(tmp_path, full(), images=())
    save(tmp_path / "aligned" / "0003_aligned.jpg")
    data = load_data(f"rafce:{tmp_path}")
    problems = []
    assert [s.name for s in data.samples(on_problem=problems.append)] == ["0003.jpg"]
    assert len(problems) == 4548
    assert all("is missing" in p.reason for p in problems)
    with pytest.raises(DataError, match=r"0000\.jpg is missing.*ferce\.data check"):
        list(data.samples())


def test_rafce_swapped_partition_is_refused(tmp_path):
    write_rafce(tmp_path, full(swap=True), images=())
    with pytest.raises(DataError, match="got 909 train, 2709 test"):
        rows(f"rafce:{tmp_path}")


def shifted():
    return [(name, number + 1, code, units) for name, number, code, units in RAFCE_ROWS]


def test_rafce_one_based_labels_are_refused_until_said(tmp_path):
    write_rafce(tmp_path, shifted())
    with pytest.raises(DataError, match=r"0\.\.13; got 1\.\.14.*base=1"):
        rows(f"rafce:{tmp_path}?subset=yes")
    said = rows(f"rafce:{tmp_path}?subset=yes&base=1")
    assert said[0].label == "happily surprised"
    assert said[2].label == "happily sad"


def test_rafce_labels_without_class_zero_are_suspicious(tmp_path):
    write_rafce(tmp_path, [(name, 3, code, units) for name, _, code, units in RAFCE_ROWS])
    with pytest.raises(DataError, match="may be shifted"):
        rows(f"rafce:{tmp_path}")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("RAFCE_emolabel.txt", "0001.jpg\n", "line 1 should be 'name value'"),
        ("RAFCE_emolabel.txt", "0001.jpg x\n", "whole number"),
        ("RAFCE_emolabel.txt", "", "is empty"),
        ("RAFCE_partition.txt", "0001.jpg 0\n", "lacks 3 names"),
        ("RAFCE_partition.txt", "".join(f"000{i}.jpg 7\n" for i in (1, 2, 3, 4)), "0, 1 and 2"),
        (
            "RAFCE_AUlabel.txt",
            "".join(f"000{i}.jpg AU4\n" for i in (1, 2, 3, 4)),
            r"AUlabel\.txt, 0001\.jpg",
        ),
        ("RAFCE_emolabel.txt", "0001.jpg 0\n0001.jpg 0\n", "twice"),
    ],
)
def test_rafce_damaged_files_are_named(tmp_path, file, text, message):
    write_rafce(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError, match=message):
        rows(f"rafce:{tmp_path}?subset=yes")


def test_rafce_says_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="should hold RAFCE_emolabel"):
        rows(f"rafce:{tmp_path}")
    write_rafce(tmp_path)
    with pytest.raises(DataError, match="folder 'original'"):
        rows(f"rafce:{tmp_path}?subset=yes&images=original")
    with pytest.raises(DataError, match="'aligned' or 'original'"):
        rows(f"rafce:{tmp_path}?subset=yes&images=both")
    (tmp_path / raf.RAFCE_UNITS).unlink()
    assert rows(f"rafce:{tmp_path}?subset=yes&units=no")[0].units is None


def moved(root, *, to):
    """Move the aligned pictures elsewhere below the root."""
    (root / "aligned").rename(root / "moving")
    (root / to).parent.mkdir(parents=True, exist_ok=True)
    (root / "moving").rename(root / to)


@pytest.mark.parametrize(
    "place", ["aligned/aligned", "RAF-AU/aligned", "RAF-AU/aligned/aligned", "Image/aligned"]
)
def test_rafce_finds_the_pictures_where_archives_put_them(tmp_path, place):
    write_rafce(tmp_path / "RAF-CE")
    expected = [sample.name for sample in rows(f"rafce:{tmp_path}?subset=yes")]
    moved(tmp_path / "RAF-CE", to=place)
    save(tmp_path / "__MACOSX" / "aligned" / "0001_aligned.jpg")  # of an archive made on a Mac
    found = rows(f"rafce:{tmp_path}?subset=yes")  # the parent of RAF-CE
    assert [sample.name for sample in found] == expected
    assert found[0].image == tmp_path / "RAF-CE" / place / "0001_aligned.jpg"
    assert all(isinstance(sample, Sample) for sample in found)


def test_rafce_beside_raf_ml_takes_either_copy_unless_they_differ(tmp_path):
    write_rafce(tmp_path)
    moved(tmp_path, to="RAF-AU/aligned")
    copy = tmp_path / "RAF-ML/Image/aligned"
    shutil.copytree(tmp_path / "RAF-AU/aligned", copy)
    (copy / "0004_aligned.jpg").unlink()  # RAF-AU has more of the pictures
    found = rows(f"rafce:{tmp_path}?subset=yes")
    assert {sample.image.parent for sample in found} == {tmp_path / "RAF-AU/aligned"}
    save(copy / "0004_aligned.jpg", 3)
    assert rows(f"rafce:{tmp_path}?subset=yes") == found  # the same pictures, so the nearer ones
    save(copy / "0001_aligned.jpg", seed=9)
    with pytest.raises(DataError, match=r"name one, such as \?folder=RAF-ML/Image/aligned"):
        rows(f"rafce:{tmp_path}?subset=yes")
    named = rows(f"rafce:{tmp_path}?subset=yes&folder=RAF-ML/Image/aligned")
    assert named[0].image == copy / "0001_aligned.jpg"
    with pytest.raises(DataError, match=r"no folder .*nowhere; \?folder="):
        rows(f"rafce:{tmp_path}?subset=yes&folder=nowhere")


def test_rafce_a_picture_without_a_code_is_not_coded(tmp_path):
    write_rafce(tmp_path)
    lines = "0001.jpg\n0002.jpg 4 + L10\n0003.jpg\tnull\n0004.jpg AU 4\n"
    (tmp_path / raf.RAFCE_UNITS).write_text(lines)
    with pytest.raises(DataError, match=r"0004\.jpg.*'AU 4'.*\?units=no"):
        rows(f"rafce:{tmp_path}?subset=yes")
    (tmp_path / raf.RAFCE_UNITS).write_text(lines.replace("AU 4", "4"))
    units = [sample.units for sample in rows(f"rafce:{tmp_path}?subset=yes")]
    assert units == [
        None, (UnitLabel(4), UnitLabel(10, left=1.0, right=0.0)), None, (UnitLabel(4),),
    ]  # fmt: skip


def test_label_files_twice_are_one_if_they_agree(tmp_path):
    write_rafce(tmp_path)
    again = tmp_path / "labels" / raf.RAFCE_SPLIT
    again.parent.mkdir()
    shutil.copyfile(tmp_path / raf.RAFCE_SPLIT, again)
    assert len(rows(f"rafce:{tmp_path}?subset=yes")) == 4
    again.write_text("0001.jpg 0\n")
    with pytest.raises(DataError, match="2 times with other content"):
        rows(f"rafce:{tmp_path}?subset=yes")


# ---- RAF-DB ----


def test_rafdb_counts_from_one_and_splits_by_prefix(tmp_path):
    write_rafdb(tmp_path, {"train_0001.jpg": 1, "train_0002.jpg": 9, "test_0001.jpg": 11})
    samples = rows(f"rafdb:{tmp_path}?subset=yes")
    assert [r.label for r in samples] == [
        "happily surprised",
        "angrily surprised",
        "disgustedly surprised",
    ]
    assert [r.split for r in samples] == ["train", "train", "test"]
    assert rows(f"rafdb:{tmp_path / 'compound'}?subset=yes") == samples
    with pytest.raises(DataError, match="3162 train, 792 test; got 2 train, 1 test"):
        rows(f"rafdb:{tmp_path}")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"train_1.jpg": 0}, r"1\.\.11; got \[0\].*counted from 0"),
        ({"train_1.jpg": 12}, r"got \[12\]"),
        ({"val_1.jpg": 3}, "named like train_0001.jpg; got the name val_1.jpg"),
        ({"train_1.jpg": 3}, "named like train_0001.jpg; got the name train_1.jpg"),
    ],
)
def test_rafdb_refuses(tmp_path, table, message):
    write_rafdb(tmp_path, table)
    with pytest.raises(DataError, match=message):
        rows(f"rafdb:{tmp_path}?subset=yes")


BASIC = {f"train_{n:05d}.jpg": n for n in range(1, 8)} | {"test_00001.jpg": 4}
COMPOUND = {"train_0001.jpg": 1, "test_0001.jpg": 7}


def test_rafdb_basic_is_seven_classes(tmp_path):
    write_rafdb(tmp_path, BASIC, "basic")
    samples = rows(f"rafdb-basic:{tmp_path}?subset=yes")
    assert [r.label for r in samples] == [
        "surprised", "fearful", "disgusted", "happy", "sad", "angry", "neutral", "happy",
    ]  # fmt: skip
    assert samples[-1].split == "test"
    with pytest.raises(DataError, match="12271 train, 3068 test; got 7 train, 1 test"):
        rows(f"rafdb-basic:{tmp_path}")


def test_the_parts_of_rafdb_are_told_apart_by_their_names(tmp_path):
    write_rafdb(tmp_path / "RAF-DB", BASIC, "basic")
    write_rafdb(tmp_path / "RAF-DB", COMPOUND, "compound")
    for root in (tmp_path, tmp_path / "RAF-DB"):
        assert len(rows(f"rafdb-basic:{root}?subset=yes")) == 8
        compounds = rows(f"rafdb:{root}?subset=yes")
        assert [r.label for r in compounds] == ["happily surprised", "fearfully angry"]
        assert {r.image.parents[2].name for r in compounds} == {"compound"}
    with pytest.raises(DataError, match=r"15,339 images of 7 classes.*rafdb-basic:.*reads"):
        rows(f"rafdb:{tmp_path / 'RAF-DB/basic'}?subset=yes")
    with pytest.raises(DataError, match=r"3,954 images of 11 classes.*rafdb:.*reads"):
        rows(f"rafdb-basic:{tmp_path / 'RAF-DB/compound'}?subset=yes")


def test_the_parts_of_rafdb_are_told_apart_by_their_counts(tmp_path):
    """As where somebody has numbered the basic pictures anew."""
    names = [f"train_{n}.jpg" for n in range(12271)] + [f"test_{n}.jpg" for n in range(3068)]
    place = tmp_path / "EmoLabel"
    place.mkdir()
    (place / "list_patition_label.txt").write_text("".join(f"{name} 1\n" for name in names))
    with pytest.raises(DataError, match="is of the other part of RAF-DB"):
        rows(f"rafdb:{tmp_path}?subset=yes")


# ---- RAF-ML ----

RAFML = {
    "0001.jpg": ("0.6 0 0 0.4 0 0", 0),
    "0002.jpg": ("0.1 0 0.4 0 0.5 0", 1),
    "0003.jpg": ("4 4 2 0 0 0", 0),  # counts of votes
    "0004.jpg": ("0 0 0 1 0 0", 0),
}


def test_rafml_has_shares_and_the_label_of_a_majority(tmp_path):
    write_rafml(tmp_path, RAFML)
    samples = rows(f"rafml:{tmp_path}?subset=yes&without=nothing")
    assert [s.label for s in samples] == ["surprised", None, None, "happy"]
    assert [s.split for s in samples] == ["train", "test", "train", "train"]
    shown = [{k: v for k, v in s.shares.items() if v} for s in samples]
    assert shown[:2] == [{"surprised": 0.6, "happy": 0.4}, {"surprised": 0.1, "disgusted": 0.4,
                                                            "sad": 0.5}]  # fmt: skip
    assert shown[2] == {"surprised": 0.4, "fearful": 0.4, "disgusted": 0.2}
    with pytest.raises(DataError, match="3926 train, 982 test; got 3 train, 1 test"):
        rows(f"rafml:{tmp_path}?without=nothing")


def test_rafml_leaves_out_what_rafce_measures_on(tmp_path):
    write_rafml(tmp_path / "RAF-ML", RAFML)
    write_rafce(tmp_path / "RAF-CE")  # 0002 is of test, 0003 of val
    with pytest.raises(DataError, match=r"\?without=/path/to/RAF-CE"):
        rows(f"rafml:{tmp_path / 'RAF-ML'}?subset=yes")
    samples = rows(f"rafml:{tmp_path / 'RAF-ML'}?subset=yes&without={tmp_path / 'RAF-CE'}")
    assert [s.name for s in samples] == ["0001.jpg", "0004.jpg"]


@pytest.mark.parametrize("codes", [(0, 1), (1, 0)])
def test_rafml_counts_settle_the_partition_codes(tmp_path, codes):
    train, test = codes
    lines = [f"{n:04d}.jpg {train if n < 3926 else test}\n" for n in range(4908)]
    write_rafml(tmp_path, {"0000.jpg": ("1 0 0 0 0 0", 0)})
    (tmp_path / "EmoLabel" / raf.RAFML_SPLIT).write_text("".join(lines))
    shares = [f"{n:04d}.jpg 1 0 0 0 0 0\n" for n in range(4908)]
    (tmp_path / "EmoLabel" / raf.RAFML_SHARES).write_text("".join(shares))
    splits = [row.split for row in rows(f"rafml:{tmp_path}?without=nothing")]
    assert splits == ["train"] * 3926 + ["test"] * 982


@pytest.mark.parametrize("shares", ["1 0 0 0 0", "a 0 0 0 0 0", "0 0 0 0 0 0", "1 -1 0 0 0 0"])
def test_rafml_refuses_other_shares(tmp_path, shares):
    write_rafml(tmp_path, {"0001.jpg": (shares, 0)})
    with pytest.raises(DataError, match=r"should give 0001\.jpg six shares"):
        rows(f"rafml:{tmp_path}?subset=yes&without=nothing")


# ---- folders and tables ----


def test_folder_of_labels(tmp_path):
    save(tmp_path / "happily_surprised" / "b.png", 1)
    save(tmp_path / "happily_surprised" / "a.png", 2)
    save(tmp_path / "03 Sadly-Angry" / "c.jpg", 3)
    (tmp_path / "happily_surprised" / "notes.txt").write_text("x")
    samples = rows(f"folder:{tmp_path}")
    assert [(r.name, r.label, r.split) for r in samples] == [
        ("03 Sadly-Angry/c.jpg", "sadly angry", None),
        ("happily_surprised/a.png", "happily surprised", None),
        ("happily_surprised/b.png", "happily surprised", None),
    ]


def test_folder_of_splits(tmp_path):
    save(tmp_path / "train" / "anger" / "a.png")
    save(tmp_path / "validation" / "neutral" / "b.png")
    samples = rows(f"folder:{tmp_path}")
    assert [(r.label, r.split) for r in samples] == [("angry", "train"), ("neutral", "val")]
    assert [s.name for s in load_data(f"folder:{tmp_path}").samples("val")] == [
        "validation/neutral/b.png"
    ]


def test_folder_without_labels_and_with_strays(tmp_path):
    save(tmp_path / "a.png")
    assert rows(f"folder:{tmp_path}")[0].label is None
    save(tmp_path / "sad" / "b.png")
    samples = rows(f"folder:{tmp_path}")
    assert isinstance(samples[0], Problem)
    assert "beside the label folders" in samples[0].reason
    assert samples[1].label == "sad"


@pytest.mark.parametrize(
    ("name", "label", "split"),
    [
        ("sad/person 1/a.png", "sad", None),
        ("sad/test/a.png", "sad", "test"),
        ("HappilySurprised/a.png", "happily surprised", None),
    ],
)
def test_folders_below_a_label_are_read(tmp_path, name, label, split):
    save(tmp_path / name)
    save(tmp_path / Path(name).parts[0] / "__MACOSX" / "._a.png")
    (row,) = rows(f"folder:{tmp_path}")
    assert (row.name, row.label, row.split) == (name, label, split)


def test_folder_with_metadata_above_the_splits(tmp_path):
    text = "file_name,label\n"
    for name in ("train/a.png", "test/b.png"):
        save(tmp_path / name)
        text += f"{name},sad\n"
    (tmp_path / "metadata.csv").write_text(text)
    found = [(r.name, r.label, r.split) for r in rows(f"folder:{tmp_path}")]
    assert found == [("train/a.png", "sad", "train"), ("test/b.png", "sad", "test")]
    (tmp_path / "metadata.csv").write_text("file_name,split\ntrain/a.png,test\n")
    with pytest.raises(DataError, match="lies in the folder of train but its row says test"):
        rows(f"folder:{tmp_path}")


def test_folder_refuses_unknown_labels_by_name(tmp_path):
    save(tmp_path / "happily_suprised" / "a.png")
    with pytest.raises(DataError, match="Did you mean 'happily surprised'"):
        rows(f"folder:{tmp_path}")
    with pytest.raises(DataError, match="There is no folder"):
        rows(f"folder:{tmp_path / 'nowhere'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        rows(f"folder:{tmp_path / 'empty'}")


def test_folder_with_metadata_per_split(tmp_path):
    save(tmp_path / "test" / "a.png")
    line = {"file_name": "a.png", "label": "sad", "action_units": "4+15", "age": 30, "person": "p1"}
    (tmp_path / "test" / "metadata.jsonl").write_text(json.dumps(line) + "\n")
    (row,) = rows(f"folder:{tmp_path}")
    assert (row.label, row.split, row.subject) == ("sad", "test", "p1")
    assert row.units == (UnitLabel(4), UnitLabel(15))
    assert row.attributes == {"age": "30"}
    assert pixels(row).shape == (32, 32, 3)


# ---- rendered ----


def render_row(name="a.png", **changes):
    unit = {"unit": 12, "intensity": 0.8, "left": 0.9, "right": 0.2}
    gone = {"unit": 4, "intensity": 0.0, "left": None, "right": None}
    row = {"file_name": name, "label": None, "kind": "random", "action_units": [unit, gone]}
    return row | {"person": "p1", "split": "train", "seed": 3, "pose": [1, 2, 3]} | changes


def write_rendered(root, *lines):
    root.mkdir(exist_ok=True)
    for line in lines:
        save(root / line["file_name"])
    (root / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"rendered:{root}"


def test_rendered_units_are_exact(tmp_path):
    (row,) = rows(write_rendered(tmp_path, render_row()))
    assert row.units == (UnitLabel(12, 0.8, 0.9, 0.2),)
    assert row.units[0].side == "left"
    assert (row.subject, row.label, row.split) == ("p1", None, "train")
    assert row.attributes == {"kind": "random", "seed": "3"}


def test_rendered_refuses_shared_people_and_gaps(tmp_path):
    spec = write_rendered(tmp_path, render_row(), render_row("b.png", split="test"))
    with pytest.raises(DataError, match="one split only"):
        rows(spec)
    with pytest.raises(DataError, match="lacks"):
        rows(write_rendered(tmp_path, render_row(person="")))
    with pytest.raises(DataError, match=r"no .*metadata\.jsonl"):
        rows(f"rendered:{tmp_path / 'nowhere'}")


# ---- specs ----


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rafcee:/x", "Unknown data"),
        ("rafce:", "needs a place"),
        ("rafce:/x?colour=red", "Unknown option 'colour' of rafce; it has: images, subset"),
        ("rafce:/x?subset=perhaps", "yes or no"),
        ("rafce:/x?base=one", "whole number"),
    ],
)
def test_bad_specs(spec, message):
    with pytest.raises(DataError, match=message):
        load_data(spec)


def test_unknown_split(tmp_path):
    with pytest.raises(DataError, match="A split is one of"):
        list(load_data(f"folder:{tmp_path}").samples("dev"))


def test_memory_stays_flat_over_many_rows(tmp_path):
    save(tmp_path / "a.png")
    with (tmp_path / "m.csv").open("w") as file:
        file.write("file,label,aus,person\n")
        for i in range(20_000):
            file.write(f"a.png,sadly angry,4+L10+17,p{i}\n")
    data = load_data(f"manifest:{tmp_path / 'm.csv'}")
    tracemalloc.start()
    try:
        count = sum(isinstance(row, Sample) for row in data.rows())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_000_000  # bytes


# ---- the datasets library ----


@pytest.fixture
def library(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    return datasets


def table(datasets, **columns):
    images = [Image.fromarray(drawing(i)) for i in range(3)]
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["sad", "happily_surprised"]),
            "aus": datasets.Value("string"),
        }
    )
    values = {"image": images, "label": [1, 0, -1], "aus": ["1+2", "null", "L12"]} | columns
    return datasets.Dataset.from_dict(values, features=features)


def test_saved_dataset_folder(library, tmp_path):
    library.DatasetDict({"train": table(library), "validation": table(library)}).save_to_disk(
        str(tmp_path / "saved")
    )
    samples = rows(f"folder:{tmp_path / 'saved'}")
    assert [r.label for r in samples] == ["happily surprised", "sad", None] * 2
    assert [r.split for r in samples] == ["train"] * 3 + ["val"] * 3
    assert samples[2].units[0].side == "left"
    assert (pixels(samples[1]) == drawing(1)).all()


def test_a_row_without_a_picture_is_a_problem(library, tmp_path):
    save(tmp_path / "gone.png")
    images = [Image.fromarray(drawing(0)), None, str(tmp_path / "gone.png")]
    table(library, image=images).save_to_disk(str(tmp_path / "saved"))
    first, second, third = rows(f"folder:{tmp_path / 'saved'}")
    assert (first.label, second.reason) == ("happily surprised", "has no picture")
    assert pixels(third).shape == (32, 32, 3)  # `datasets` copies what is there


def test_hub_data_set_from_parquet(library, tmp_path):
    import pickle

    (tmp_path / "set").mkdir()
    table(library).to_parquet(str(tmp_path / "set" / "train.parquet"))
    samples = rows(f"hub:{tmp_path / 'set'}")
    assert [r.label for r in samples] == ["happily surprised", "sad", None]
    assert samples[0].name == "train/000000"
    travelled = pickle.loads(pickle.dumps(samples[2]))  # as it goes to a worker process
    assert (pixels(travelled) == drawing(2)).all()


def test_hub_labels_without_names_are_refused(library, tmp_path):
    plain = table(library).cast_column("label", library.Value("int64"))
    plain.save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match="should be a name; got 1"):
        rows(f"folder:{tmp_path / 'saved'}")


def test_importing_the_readers_loads_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys, ferce.data; heavy = {'torch', 'transformers', 'datasets', 'cv2', 'mediapipe', "
        "'matplotlib', 'scipy', 'imagehash'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
