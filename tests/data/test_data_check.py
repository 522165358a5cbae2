import io
import json
import sys

import numpy as np
import pytest
from data_fixtures import png, sample, save, write_rafce
from PIL import Image

from ferce.data import audit as audit_module
from ferce.data import audit_text, augment
from ferce.data.__main__ import main
from ferce.data.audit import Options, as_dict, audit
from ferce.data.captions import captions
from ferce.data.questions import questions
from ferce.data.record import Blob, DataError, Problem, Sample


def size(path):
    with Image.open(path) as image:
        return image.size


def test_the_same_picture_is_near_and_others_are_far(astronaut):
    import io

    corners = [(x, y) for x in range(0, 400, 90) for y in range(0, 400, 60)][:30]
    pictures = [astronaut[y : y + 128, x : x + 128] for x, y in corners]
    hashes = [audit_module.fingerprint(picture) for picture in pictures]
    assert list(audit_module.near_pairs(hashes)) == []
    buffer = io.BytesIO()
    Image.fromarray(pictures[7]).resize((90, 90)).save(buffer, "JPEG", quality=70)
    again = audit_module.fingerprint(np.asarray(Image.open(buffer)))
    ((i, j, distance),) = audit_module.near_pairs([*hashes, again])
    assert (i, j) == (7, 30)
    assert 0 <= distance <= audit_module.NEAR


def test_near_pairs_equal_brute_force():
    rng = np.random.default_rng(0)
    bits = rng.random((200, 256)) < 0.5
    bits[150:] = bits[:50] ^ (rng.random((50, 256)) < 0.05)  # about 13 bits away
    made = [np.packbits(row).tobytes() for row in bits]
    result = set(audit_module.near_pairs(made))
    expected = {
        (i, j, d)
        for i in range(200)
        for j in range(i + 1, 200)
        if (d := int((bits[i] ^ bits[j]).sum())) <= audit_module.NEAR
    }
    assert result == expected
    assert 30 < len(result) <= 50
    assert list(audit_module.near_pairs([])) == []


ROWS = [
    sample("a", "sadly angry", [4, 15], seed=1, split="train", subject="p1"),
    sample("b", "sadly angry", None, seed=2, split="train", subject="p2"),
    sample("c", "happily sad", [4, 39], seed=1, split="test", subject="p1"),
    Problem("d", "is missing", "test"),
    Sample("e", Blob(b"not a picture"), split="val"),
]


def test_audit_counts_and_finds():
    result = audit("x", ROWS)
    assert result.total == 3
    assert result.labels == {"train": {"sadly angry": 2}, "test": {"happily sad": 1}}
    assert result.units["test"] == {"4": 1, "39": 1}
    assert result.uncoded == {"train": 1}
    assert [p.name for p in result.problems] == ["d", "e"]
    (pair,) = result.duplicates
    assert (pair.first, pair.second, pair.distance) == ("a", "c", 0)
    assert pair.leaks
    assert pair.disagrees
    assert result.shared_subjects == {"p1": ["test", "train"]}
    assert len(result.findings()) == 4
    assert result.notes() == [
        "train has no picture of happily sad.",
        "test has no picture of sadly angry.",
    ]
    json.dumps(as_dict(result))


def test_audit_in_processes_is_the_same():
    rows = ROWS[:4]  # pictures travel as bytes
    assert as_dict(audit("x", rows, Options(jobs=2))) == as_dict(audit("x", rows))


def test_a_sound_data_set_has_no_findings():
    result = audit("x", ROWS[:2])
    assert result.findings() == []
    assert "Nothing to look at" in audit_text.report(result)


def test_tables_add_up():
    text = audit_text.report(audit("x", ROWS))
    assert "sadly angry" in text
    (line,) = [line for line in text.splitlines() if line.startswith("sadly angry")]
    assert line.split()[2:] == ["2", "0", "2"]
    assert " 39 (outside the table)" in text
    assert "e: cannot be read" in text
    assert "a (train, sadly angry) = c (test, happily sad), 0 bits apart" in text


def test_faces_not_found_are_listed(astronaut):
    rows = [Sample("astronaut", Blob(png(astronaut))), sample("drawing", seed=1)]
    result = audit("x", rows, Options(faces=True, duplicates=False))
    assert result.faceless == ["drawing"]
    assert result.duplicates is None
    assert "1 pictures show no face" in result.findings()[0]


def test_check_command(tmp_path, capsys):
    write_rafce(tmp_path)
    spec = f"rafce:{tmp_path}?subset=yes"
    assert (
        main(["check", spec, "--plot", str(tmp_path / "p.png"), "--json", str(tmp_path / "j")]) == 0
    )
    out = capsys.readouterr().out
    assert "4 pictures, shorter side 32 to 32 px" in out
    assert "not coded (null)" in out
    assert json.loads((tmp_path / "j").read_text())["labels"]["val"] == {"happily sad": 1}
    assert size(tmp_path / "p.png")[0] > 1000
    (tmp_path / "aligned" / "0002_aligned.jpg").unlink()
    assert main(["check", spec]) == 1
    assert "0002.jpg: is missing" in capsys.readouterr().out
    assert main(["check", f"rafce:{tmp_path}"]) == 2
    assert "2709 train" in capsys.readouterr().err


def test_names_that_are_no_unicode_are_read_written_and_printed(tmp_path, monkeypatch):
    """Latin-1 names, as old archives leave them on Linux; standard output as on a desktop."""
    folder = tmp_path / "l\udcf6tin"
    save(folder / "sad" / "J\udcf6rg.png")
    (folder / "sad" / "kaputt_\udce4.png").write_bytes(b"broken")
    shown = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdout", shown)
    files = ["--json", str(tmp_path / "j\udcf6.json"), "--plot", str(tmp_path / "p\udcf6.png")]
    assert main(["check", f"folder:{folder}", *files]) == 1
    assert main(["captions", f"folder:{folder}"]) == 0
    (problem,) = json.loads((tmp_path / "j\udcf6.json").read_text("utf-8"))["problems"]
    assert problem["name"] == "sad/kaputt_\udce4.png"
    assert size(tmp_path / "p\udcf6.png")[0] > 1000
    shown.flush()
    text = shown.buffer.getvalue().decode()
    assert r"sad/kaputt_\udce4.png: cannot be read" in text
    assert r"sad/J\udcf6rg.png (sad)" in text


def test_names_cannot_steer_the_terminal(tmp_path, capsys):
    odd = "\x1b[31mred\u202e"
    save(tmp_path / "in" / "sad" / f"{odd}.png", 1)
    (tmp_path / "in" / "sad" / f"{odd}2.png").write_bytes(b"broken")
    spec = f"folder:{tmp_path / 'in'}"
    for command in (
        ["check", spec],
        ["captions", spec],
        ["align", spec, "--cache", str(tmp_path / "c"), "--as-is"],
        ["check", f"folder:{tmp_path / odd}"],
    ):
        main(command)
    out, err = capsys.readouterr()
    assert "red" in out
    assert "red" in err
    assert not {"\x1b", "\u202e"} & set(out + err)


def test_align_command_lists_failures(tmp_path, capsys):
    save(tmp_path / "in" / "a.png", 1)
    (tmp_path / "in" / "b.png").write_bytes(b"broken")
    run = ["align", f"folder:{tmp_path / 'in'}", "--cache", str(tmp_path / "c"), "--as-is"]
    assert main(run) == 1
    out = capsys.readouterr().out
    assert "b.png" in out
    assert "1 aligned" in out
    assert "1 failed" in out


def test_captions_command(tmp_path, capsys):
    write_rafce(tmp_path)
    assert main(["captions", f"rafce:{tmp_path}?subset=yes", "--count", "4"]) == 0
    out = capsys.readouterr().out
    assert "0002.jpg (angrily disgusted)" in out
    assert "left" in out
    last = out[out.index("0004.jpg") :]  # coded null
    assert last.count("[") == last.count("[cannot be told]") == 1


def test_sheet(tmp_path, smiling, capsys):
    drawn = augment.draw_sheet(
        [augment.SheetCrop(smiling.crop, smiling.landmarks_in_crop)], size=48
    )
    columns = 1 + len(augment.STEPS) + augment.MIXED
    assert drawn.shape == (48 + augment.LINE, 48 * columns, 3)
    assert (
        drawn
        == augment.draw_sheet([augment.SheetCrop(smiling.crop, smiling.landmarks_in_crop)], 0, 48)
    ).all()
    with pytest.raises(ValueError, match="at least one"):
        augment.draw_sheet([])
    save(tmp_path / "in" / "a.png", 1)
    assert main(["sheet", f"folder:{tmp_path / 'in'}", "--output", str(tmp_path / "s.png")]) == 0
    assert size(tmp_path / "s.png")[0] == 112 * columns


def test_what_covers_the_face_is_respected():
    masked = sample("m", "happily sad", [4, 12], attributes={"occluder": "mask"})
    hand = sample("h", "happily sad", [4, 12], attributes={"occluder": "hand"})
    ((_, caption),) = captions([masked, hand])
    assert caption.units == (4,)
    assert "mouth" in caption.text
    (_, asked), (_, of_hand) = questions([masked, hand])
    assert 12 not in {item.unit for item in asked}
    assert [item.kind for item in of_hand] == ["cannot be told"]


def test_the_demo_set_is_sound(capsys):
    from ferce.data.sources import DEMO

    if not (DEMO / "metadata.jsonl").is_file():
        pytest.skip("the demo set is not built")
    assert main(["check", "demo"]) == 0
    assert "neutral" in capsys.readouterr().out


def test_renders_in_the_layout_of_rafce_come_back_as_they_were(tmp_path):
    """What a researcher does with RAF-CE, on pictures that may be shipped."""
    from itertools import islice

    from ferce.core.labels import COMPOUNDS
    from ferce.data import layout, load_data, pixels
    from ferce.data.sources import DEMO

    if not (DEMO / "metadata.jsonl").is_file():
        pytest.skip("the demo set is not built")
    demo = load_data("demo").samples()
    renders = list(islice((s for s in demo if s.label in COMPOUNDS and s.units), 40))
    codes = {"train": 0, "test": 1, "val": 2}
    rows = [
        (f"{i:04d}.jpg", COMPOUNDS.index(s.label), codes[s.split], layout.units_text(s.units))
        for i, s in enumerate(renders)
    ]
    write_rafce(tmp_path, rows, images=())
    (tmp_path / "aligned").mkdir()
    for (name, *_), render in zip(rows, renders, strict=True):
        path = tmp_path / "aligned" / name.replace(".jpg", "_aligned.jpg")
        path.write_bytes(render.image.read_bytes())
    read = list(load_data(f"rafce:{tmp_path}?subset=yes").samples())
    for one, render in zip(read, renders, strict=True):
        assert (one.label, one.split) == (render.label, render.split)
        assert {u.unit for u in one.units} == {u.unit for u in render.units if u.present}
        assert (pixels(one) == pixels(render)).all()
    assert len(list(captions(read))) == len(renders)


def test_a_missing_library_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(DataError, match=r"pip install -r train/requirements\.txt.*--no-duplicates"):
        audit_module.fingerprint(np.zeros((8, 8, 3), np.uint8))
