import contextlib
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from patience import PATIENCE
from PIL import Image
from reading_fixtures import FAILS, INTERRUPTS, NO_FACE, Reader, paint

from ferce import report
from ferce.core import notice
from ferce.ui import cli


@pytest.fixture
def folder(tmp_path):
    """Three photos with a face, one without, one broken."""
    for name, value in {"a": 200, "b": 210, "c": 220, "empty": NO_FACE}.items():
        paint(tmp_path / f"{name}.png", value)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    return tmp_path


def run(*argv, reader=None):
    """Status of the command with the fake reader."""
    return cli.main([str(arg) for arg in argv], opener=lambda _: reader or Reader())


# ---- outputs ----


def test_text_by_default(folder, capsys):
    assert run(folder / "a.png") == cli.READ
    out, err = capsys.readouterr()
    assert "a.png (60 x 40 pixels" in out
    assert "resembles happily surprised" in out
    assert out.endswith(notice.SHORT + "\n")
    assert err == ""


def test_json_on_standard_output_is_alone(folder, capsys):
    assert run(folder, "--json", "-") == cli.SOME_FAILED
    out, err = capsys.readouterr()
    photos = json.loads(out)["photos"]
    assert [Path(row["photo"]).name for row in photos] == [
        *("a.png", "b.png", "broken.jpg", "c.png", "empty.png")
    ]
    assert ["error" in row for row in photos] == [False, False, True, False, True]
    assert [line.split(":")[0] for line in err.splitlines()] == [
        str(folder / "broken.jpg"),
        str(folder / "empty.png"),
    ]


def test_clips_in_a_folder_of_photos_are_named(folder, capsys):
    (folder / "IMG_1.MOV").write_bytes(b"x")
    assert run(folder, "--json", "-") == cli.SOME_FAILED
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "ferce: not read, as only photos are in a folder: IMG_1.MOV (1)."


def test_every_output_at_once(folder, tmp_path, capsys):
    names = [tmp_path / "out" / f"r.{kind}" for kind in ("json", "csv", "html")]
    names[0].parent.mkdir()
    status = run(folder, "--json", names[0], "--csv", names[1], "--html", names[2])
    assert status == cli.SOME_FAILED
    assert len(json.loads(names[0].read_text())["photos"]) == 5
    assert len(list(csv.DictReader(names[1].read_text().splitlines()))) == 5
    assert names[2].read_text().count("<article") == 5
    assert sorted(names[0].parent.iterdir()) == sorted(names)  # no temporary file stays
    assert capsys.readouterr().out.count("The expression resembles") == 2 * 3  # headline and text


def test_questions_and_switches_reach_the_reader(folder):
    reader = Reader()
    run(
        *(folder / "a.png", "--ask", "Is it open?", "--ask", "Why?", "--no-heatmap"),
        *("--no-explanation", "--target", "Sadly-Angry"),
        reader=reader,
    )
    (options,) = reader.options
    assert options.questions == ("Is it open?", "Why?")
    assert (options.method, options.explain, options.target) == (None, False, "sadly angry")
    assert reader.closed


def test_a_fault_in_a_model_costs_one_photo(folder, capsys):
    paint(folder / "aa.png", FAILS)
    assert run(folder, "--json", "-") == cli.SOME_FAILED
    out, err = capsys.readouterr()
    assert len(json.loads(out)["photos"]) == 6
    assert "RuntimeError: out of memory" in err


def test_interrupted_writes_what_was_read(folder, tmp_path, capsys):
    paint(folder / "b.png", INTERRUPTS)
    target = tmp_path / "r.json"
    assert run(folder, "--json", target) == cli.INTERRUPTED
    assert len(json.loads(target.read_text())["photos"]) == 1
    assert "interrupted" in capsys.readouterr().err


def test_interrupted_while_loading_writes_nothing(folder, capsys):
    def opener(_):
        raise KeyboardInterrupt

    argv = [str(folder / "a.png"), "--json", str(folder / "o.json")]
    assert cli.main(argv, opener=opener) == cli.INTERRUPTED
    assert not (folder / "o.json").exists()
    assert "no file was written" in capsys.readouterr().err


def test_names_cannot_steer_the_terminal(folder, capsys):
    paint(folder / "\x1b[31mred\u202e.png", 200)
    (folder / "\x1b[31m.jpg").write_bytes(b"x")
    run(folder)
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "\u202e" not in out


# ---- wrong usage ----


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "PHOTO"),
        (["{}/a.png", "--frobnicate"], "--frobnicate"),
        (["{}/a.png", "--json"], "expected one argument"),
        (["{}/a.png", "--js", "x"], "--js"),  # no abbreviations
        (["{}/none.png"], "names no photo"),
        (["{}/*.tiff"], "names no photo"),
        (["https://example.org/a.png"], "web address"),
        (["{}/a.png", "--csv", "{}"], "is a folder"),
        (["{}/a.png", "--csv", "{}/no/out.csv"], "does not exist"),
        (["{}/a.png", "--csv", "-", "--json", "-"], "both name"),
        (["{}/a.png", "--csv", "{}/o", "--json", "{}/./o"], "both name"),
        (["{}/a.png", "--json", "{}/a.png"], "overwrite"),
        (["{}/a.png", "--method", "tea-leaves"], "Known methods: auto"),
        (["{}/a.png", "--method", "grad-cam"], "looks inside a network"),
        (["{}/a.png", "--method", "auto", "--no-heatmap"], "contradict"),
        (["{}/a.png", "--target", "hungry"], "Unknown label"),
    ],
)
def test_wrong_usage_is_one_sentence(folder, capsys, argv, words):
    before = sorted(folder.iterdir())
    assert run(*(arg.format(folder) for arg in argv)) == cli.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("ferce: ")
    assert err.count("\n") == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("option", ["--classifier", "--voice"])
def test_unknown_spec(folder, capsys, option):
    assert cli.main([str(folder / "a.png"), option, "crystal:ball"]) == cli.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "crystal" in err
    assert err.count("\n") == 1


def test_models_that_cannot_be_had_are_wrong_usage(folder, capsys):
    def opener(_):
        raise OSError("The Hub does not answer.")

    assert cli.main([str(folder / "a.png")], opener=opener) == cli.USAGE
    assert capsys.readouterr().err == "ferce: The Hub does not answer.\n"


def test_help_names_the_exit_statuses(capsys):
    with pytest.raises(SystemExit) as left:
        run("--help")
    assert left.value.code == 0
    assert "exit status: 0 all read" in capsys.readouterr().out


# ---- many photos ----


def test_reports_are_not_kept(folder, monkeypatch):
    """Of many photos, no more than the last two readings are alive at a time."""
    import weakref

    alive = weakref.WeakSet()
    most = 0

    class Counting(Reader):
        def read(self, source, name=None, options=None):
            nonlocal most
            made = super().read(source, name, options)
            alive.update(made.readings)
            most = max(most, len(alive))
            return made

    for i in range(20):
        paint(folder / f"n{i}.png", 200)
    reader = Counting()
    outputs = [f"--{kind}={folder / 'out'}.{kind}" for kind in ("json", "csv", "html")]
    run(folder, *outputs, reader=reader)
    assert len(reader.options) == 25
    assert most <= 2


class Terminal:
    """Standard error that claims to be a terminal."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return True


def test_progress_bar_on_a_terminal_only(folder, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(folder / "a.png", folder / "b.png", "--csv", folder / "o.csv")
    assert "2/2" in terminal.text
    single = Terminal()
    monkeypatch.setattr(sys, "stderr", single)
    run(folder / "a.png")
    assert single.text == ""


# ---- the real command ----

ROOT = Path(__file__).parents[2]
FAKE = (
    "import sys; sys.path[:0] = ['tests/shared', '.']; from reading_fixtures import open_known;"
    "from ferce.ui import cli; sys.exit(cli.main(sys.argv[1:], opener=open_known))"
)


def command(*argv):
    return [sys.executable, "-c", FAKE, *map(str, argv)]


@contextlib.contextmanager
def closed_after_one_line(*argv):
    """The running command, its standard output closed after a line was read."""
    with subprocess.Popen(
        command(*argv), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        yield process


def fill(folder):
    """Photos whose text is more than a pipe holds, so that no command ends before it is closed."""
    for i in range(160):
        paint(folder / f"n{i:03}.png", 200)


def test_broken_pipe_ends_quietly(folder):
    fill(folder)
    (folder / "broken.jpg").unlink()
    (folder / "empty.png").unlink()
    with closed_after_one_line(folder) as process:
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == cli.PIPE


def test_broken_pipe_does_not_cost_the_files(folder):
    fill(folder)
    with closed_after_one_line(folder, "--json", folder / "o.json") as process:
        assert b"Broken" not in process.stderr.read()
        assert process.wait(PATIENCE) == cli.SOME_FAILED
    assert len(json.loads((folder / "o.json").read_text())["photos"]) == 165


def test_standard_output_is_utf8_whatever_the_terminal(folder):
    paint(folder / "å中.png", 200)
    done = subprocess.run(
        command(folder / "å中.png", "--json", "-"),
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout.decode("utf-8"))["photos"][0]["photo"].endswith("中.png")


@pytest.fixture(scope="module")
def astronaut(tmp_path_factory):
    """The astronaut as she is, and a photo of a cup of coffee."""
    import skimage.data

    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(skimage.data.astronaut()).save(folder / "astronaut.png")
    Image.fromarray(skimage.data.coffee()).save(folder / "coffee.png")
    return folder


def real(*argv):
    return subprocess.run(
        [sys.executable, "-m", "ferce", *map(str, argv)], cwd=ROOT, capture_output=True, text=True
    )


def test_a_real_photo_end_to_end(astronaut, tmp_path):
    outputs = [f"--{kind}={tmp_path / 'out'}.{kind}" for kind in ("json", "csv", "html")]
    done = real(astronaut, *outputs)
    assert done.returncode == cli.SOME_FAILED, done.stderr
    assert "resembles happiness, with no clear second emotion" in done.stdout
    (line,) = done.stderr.splitlines()  # nothing of the detector's own log
    assert line.startswith(f"{astronaut / 'coffee.png'}: No face was found")
    result = json.loads((tmp_path / "out.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(report.json_schema()).validate(result)
    (face,) = result["photos"][0]["faces"]
    assert face["state"] == "basic"
    assert face["prediction"]["label"] == "happy"
    assert face["heatmap"]["regions"]["mouth"] > 0.5
    units = {row["unit"]: row for row in face["action_units"]}
    assert units[12]["left"] > 0.8
    assert units[12]["right"] > 0.8
    assert "error" in result["photos"][1]
    assert set(result["models"]) == {"detector", "classifier", "voice"}


def test_a_real_photo_read_in_full_ends_well(astronaut):
    done = real(astronaut / "astronaut.png", "--json", "-", "--no-heatmap", "--no-explanation")
    assert (done.returncode, done.stderr) == (cli.READ, "")
    (face,) = json.loads(done.stdout)["photos"][0]["faces"]
    assert face["heatmap"] is None
    assert face["explanation"] is None


def test_starting_the_command_loads_no_model_library():
    code = (
        "import sys, ferce.ui.cli; "
        "print({'torch', 'transformers', 'gradio', 'cv2'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
