"""Nothing read is lost: runs that are stopped, killed and gone on with, alone and in processes."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from argparse import Namespace
from pathlib import Path

import jsonschema
import pytest
import report_fixtures as known
from reading_fixtures import DIES, FAILS, LOG, NO_FACE, WAITS, Reader, album, open_none, paint

from ferce import report
from ferce.core.parts import Report
from ferce.ui import cli, journal, photos
from ferce.ui.command import Command, Interruption
from ferce.ui.journal import Journal, JournalError, Row
from ferce.ui.photos import AHEAD, Queue

ROOT = Path(__file__).parents[2]
FAKE = (
    "import signal, sys; sys.path[:0] = ['tests/shared', '.'];"
    "from reading_fixtures import open_known;"
    "signal.signal(signal.SIGINT, signal.default_int_handler);"  # a shell may ignore it
    "from ferce.ui import cli; sys.exit(cli.main(sys.argv[1:], opener=open_known))"
)
KINDS = ("json", "csv", "html")
STUCK = 6  # photos that are read before one at which the reader waits


@pytest.fixture(autouse=True)
def heard():
    """Ctrl-C is heard, also where a shell ignores it for what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def outputs(folder):
    return [f"--{kind}={folder / 'out'}.{kind}" for kind in KINDS]


def command(photos, folder, *more):
    return [sys.executable, "-c", FAKE, str(photos), *outputs(folder), *map(str, more)]


def run(photos, folder, *more, log=None):
    """The finished run of the real command with the known reader."""
    env = {**os.environ, **({LOG: str(log)} if log else {})}
    return subprocess.run(
        command(photos, folder, *more), cwd=ROOT, env=env, capture_output=True, text=True
    )


def stopped(photos, folder, number, *more):
    """Status, standard error and journal of a run that got a signal after `STUCK` photos."""
    path = folder / "out.json.partial.jsonl"
    with subprocess.Popen(
        command(photos, folder, *more), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not (path.exists() and lines(path) >= STUCK + 1):
            time.sleep(0.02)
        process.send_signal(number)
        err = process.stderr.read().decode()
        return process.wait(), err, path


def lines(path):
    return path.read_bytes().count(b"\n")


def content(folder):
    """Kind -> text of each output, the page without its date."""
    texts = {kind: (folder / f"out.{kind}").read_text("utf-8") for kind in KINDS}
    return texts | {"html": re.sub("Written [^<]*", "", texts["html"])}


def valid(folder):
    """How many photos each output holds, all of them sound."""
    found = content(folder)
    told = json.loads(found["json"])
    jsonschema.Draft202012Validator(report.json_schema()).validate(told)
    assert found["html"].endswith("</html>\n")
    rows = list(csv.DictReader(found["csv"].splitlines()))
    return len(told["photos"]), len(rows), found["html"].count("<article")


@pytest.fixture
def shots(tmp_path):
    """Twelve photos; at the seventh the reader waits for ever, until `heal` is called."""
    folder = album(tmp_path / "photos")
    paint(folder / f"{STUCK:02}.png", WAITS)
    return folder


def heal(shots):
    paint(shots / f"{STUCK:02}.png", 150)


@pytest.fixture
def here(tmp_path):
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def whole(tmp_path, shots):
    """What an unbroken run over the healed photos writes; call it after healing."""

    def made():
        (tmp_path / "whole").mkdir()
        assert run(shots, tmp_path / "whole").returncode == cli.READ
        return content(tmp_path / "whole")

    return made


# ---- killed and stopped ----


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(
    shots, here, whole, tmp_path, jobs
):
    status, _, kept = stopped(shots, here, signal.SIGKILL, "--jobs", jobs)
    assert status == -signal.SIGKILL
    assert [path.name for path in here.iterdir()] == [kept.name]  # no part file stays
    read = {json.loads(line)["name"] for line in kept.read_bytes().splitlines()[1:]}
    heal(shots)
    done = run(shots, here, "--jobs", jobs, "--resume", log=tmp_path / "log")
    assert (done.returncode, done.stderr) == (cli.READ, "")
    again = set((tmp_path / "log").read_text().split())
    assert len(read) >= STUCK
    assert not again & {Path(name).name for name in read}
    assert valid(here) == (12, 12, 12)
    assert content(here) == whole()
    assert not kept.exists()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("number", "name", "status"),
    [(signal.SIGINT, "SIGINT", cli.INTERRUPTED), (signal.SIGTERM, "SIGTERM", cli.TERMINATED)],
)
def test_a_stopped_run_leaves_sound_files_and_goes_on(
    shots, here, whole, jobs, number, name, status
):
    ended, err, kept = stopped(shots, here, number, "--jobs", jobs)
    assert ended == status
    (line,) = err.splitlines()
    done = lines(kept) - 1
    assert line.startswith(f"ferce: interrupted by {name}; {done} of 12 done, {12 - done} left;")
    assert line.endswith(f"with --resume goes on from {kept}.")
    assert valid(here) == (done, done, done)
    heal(shots)
    assert run(shots, here, "--resume", "--jobs", jobs).returncode == cli.READ
    assert content(here) == whole()


def test_a_line_that_was_cut_off_is_read_again(shots, here, whole):
    _, _, kept = stopped(shots, here, signal.SIGKILL)
    kept.write_bytes(kept.read_bytes()[:-100])
    heal(shots)
    assert run(shots, here, "--resume").returncode == cli.READ
    assert content(here) == whole()


def test_a_broken_line_is_as_if_it_were_not_there(shots, here, whole):
    _, _, kept = stopped(shots, here, signal.SIGKILL)
    rows = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(b"".join([*rows[:2], b"\0" * 50 + b"\n", *rows[3:]]))
    heal(shots)
    assert run(shots, here, "--resume").returncode == cli.READ
    assert content(here) == whole()


# ---- in this process ----


def here_run(*argv, opener=lambda _: Reader()):
    return cli.main([str(arg) for arg in argv], opener=opener)


@pytest.fixture
def begun(tmp_path, here, monkeypatch):
    """A stopped run of three photos in `here`; gives their folder and the log of what is read."""
    folder = album(tmp_path / "few", 4)
    paint(folder / "03.png", 2)  # interrupts
    assert here_run(folder, *outputs(here)) == cli.INTERRUPTED
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    paint(folder / "03.png", 150)
    return folder, tmp_path / "log"


def test_what_changed_is_read_again_and_what_is_new_is_read(begun, here):
    folder, log = begun
    paint(folder / "01.png", 222)
    paint(folder / "00b.png", 180)
    assert here_run(folder, *outputs(here), "--resume") == cli.READ
    assert log.read_text().split() == ["00b.png", "01.png", "03.png"]
    told = json.loads((here / "out.json").read_text())["photos"]
    assert [Path(row["photo"]).stem for row in told] == ["00", "00b", "01", "02", "03"]
    top = told[2]["faces"][0]["prediction"]["outcomes"]["happily surprised"]
    assert top == pytest.approx(222 / 255, abs=1e-6)


def test_what_failed_is_tried_again(tmp_path, here, capsys):
    folder = album(tmp_path / "few", 4)
    paint(folder / "00.png", FAILS)
    paint(folder / "03.png", 2)
    here_run(folder, *outputs(here))
    paint(folder / "03.png", 150)
    assert here_run(folder, *outputs(here), "--resume") == cli.SOME_FAILED
    assert capsys.readouterr().err.count("out of memory") == 2


def test_without_resume_nothing_is_overwritten(begun, here, capsys):
    kept = here / "out.json.partial.jsonl"
    before = kept.read_bytes()
    capsys.readouterr()
    assert here_run(begun[0], *outputs(here)) == cli.USAGE
    assert "holds what a stopped run has read (3); go on with --resume" in capsys.readouterr().err
    assert kept.read_bytes() == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--method", "rise"], "has method = 'auto', not 'rise'"),
        (["--ask", "Why?"], "has ask = [], not ['Why?']"),
        (["--classifier", "prototypes"], "has classifier = 'embedded', not 'prototypes'"),
        (["--no-explanation"], "has explanation = True, not False"),
    ],
)
def test_a_run_of_other_options_is_refused_before_models_are_loaded(
    begun, here, capsys, more, words
):
    capsys.readouterr()
    argv = [begun[0], *outputs(here), "--resume", *more]
    assert here_run(*argv, opener=open_none) == cli.USAGE
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_other_outputs_are_refused(begun, here, capsys):
    assert here_run(begun[0], f"--json={here / 'out.json'}", "--resume") == cli.USAGE
    assert "has formats = " in capsys.readouterr().err


def test_other_models_and_another_version_are_refused(begun, here, capsys, monkeypatch):
    reader = Reader()
    reader.models = {**reader.models, "voice": "other"}
    argv = [begun[0], *outputs(here), "--resume"]
    assert here_run(*argv, opener=lambda _: reader) == cli.USAGE
    assert "other models" in capsys.readouterr().err
    monkeypatch.setattr(journal, "__version__", "9")
    assert here_run(*argv) == cli.USAGE
    assert "has ferce = " in capsys.readouterr().err


def test_other_weights_in_the_same_folder_are_refused(tmp_path, here, capsys):
    weights = tmp_path / "model" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"one")
    folder = album(tmp_path / "few", 2)
    paint(folder / "01.png", 2)
    argv = [folder, *outputs(here), "--classifier", f"timm:{weights.parent}"]
    assert here_run(*argv) == cli.INTERRUPTED
    weights.write_bytes(b"two")
    assert here_run(*argv, "--resume") == cli.USAGE
    assert "has weights = " in capsys.readouterr().err


def test_a_stranger_is_left_alone(tmp_path, here, capsys):
    stranger = here / "out.json.partial.jsonl"
    stranger.write_text("mine\n")
    assert here_run(album(tmp_path / "few", 1), *outputs(here)) == cli.USAGE
    assert "is no journal of ferce" in capsys.readouterr().err
    assert stranger.read_text() == "mine\n"


def test_resume_needs_a_file_and_begins_where_there_is_nothing(tmp_path, here, capsys):
    folder = album(tmp_path / "few", 2)
    assert here_run(folder, "--resume") == cli.USAGE
    assert "--resume goes on from what lies beside a file" in capsys.readouterr().err
    assert here_run(folder, *outputs(here), "--resume") == cli.READ
    assert sorted(path.name for path in here.iterdir()) == ["out.csv", "out.html", "out.json"]


def test_standard_output_of_a_resumed_run_holds_everything(begun, here, capsys):
    capsys.readouterr()
    assert here_run(begun[0], *outputs(here), "--resume") == cli.READ
    assert capsys.readouterr().out.count("resembles happily surprised.") == 4


def test_a_run_stopped_before_the_first_photo_leaves_no_journal(tmp_path, here):
    folder = album(tmp_path / "few", 2)
    paint(folder / "00.png", 2)
    assert here_run(folder, *outputs(here)) == cli.INTERRUPTED
    assert valid(here) == (0, 0, 0)
    assert not (here / "out.json.partial.jsonl").exists()


def test_a_full_disk_is_told_in_a_sentence(tmp_path, here, capsys, monkeypatch):
    def full(self, row):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "add", full)
    assert here_run(album(tmp_path / "few", 2), *outputs(here)) == cli.SOME_FAILED
    err = capsys.readouterr().err
    assert err.startswith("ferce: the result cannot be written: [Errno 28] No space left")
    assert err.count("\n") == 1


# ---- several processes ----


def test_two_processes_give_what_one_gives(tmp_path):
    folder = album(tmp_path / "photos", 9)
    paint(folder / "02.png", NO_FACE)
    paint(folder / "05.png", FAILS)
    found = []
    for jobs in (1, 2, 40):
        (place := tmp_path / str(jobs)).mkdir()
        done = run(folder, place, "--jobs", jobs)
        assert done.returncode == cli.SOME_FAILED
        found.append((content(place), done.stdout, done.stderr))
    assert found[0] == found[1] == found[2]
    assert [line.split(":")[0] for line in found[0][2].splitlines()] == [
        str(folder / "02.png"),
        str(folder / "05.png"),
    ]


def test_json_is_streamed_in_order_from_two_processes(tmp_path):
    folder = album(tmp_path / "photos", 6)
    argv = [sys.executable, "-c", FAKE, str(folder), "--json", "-"]
    one, two = (
        subprocess.run([*argv, "--jobs", n], cwd=ROOT, capture_output=True, check=True).stdout
        for n in "12"
    )
    assert one == two


def test_a_process_that_dies_costs_its_photo_and_is_replaced(tmp_path, here):
    folder = album(tmp_path / "photos", 8)
    for name in ("01.png", "04.png", "05.png"):
        paint(folder / name, DIES)
    done = run(folder, here, "--jobs", "2")
    assert done.returncode == cli.SOME_FAILED
    assert [line.split(": ", 1) for line in done.stderr.splitlines()] == [
        [
            str(folder / name),
            "The process that read it ended with signal 9, perhaps for want of memory.",
        ]
        for name in ("01.png", "04.png", "05.png")
    ]
    assert valid(here) == (8, 8, 8)


def test_models_that_no_process_can_load_are_told_once(tmp_path, capsys):
    folder = album(tmp_path / "photos", 3)
    assert here_run(folder, "--jobs", "2", opener=open_none) == cli.USAGE
    assert capsys.readouterr().err == "ferce: The Hub does not answer.\n"


# ---- memory ----


class Same:
    """A reader that gives the same report under every name."""

    models = Reader.models

    def __init__(self, made):
        self.classifier, self._made = self, made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self, source, name=None, options=None):
        return Report(name, (640, 480), 0.01, self._made)


def peak(tmp_path, count, readings):
    """Bytes that a run over so many photos holds at most, paths left out."""
    paths = [Path(f"photo-{i:06}.jpg") for i in range(count)]
    arguments = Namespace(ask=[], method=None, target=None, explanation=False, jobs=1)
    targets = {kind: str(tmp_path / f"{count}.{kind}") for kind in KINDS}
    kept = Journal(tmp_path / f"{count}.jsonl", {}, resume=False)
    tracemalloc.start()
    try:
        with Command(
            arguments, paths, targets, lambda _: Same(readings), Interruption(), kept
        ) as made:
            tally = photos.run(made)
        assert tally.read == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_photos(tmp_path):
    bare = (known.bare("The face is 20 pixels wide; at least 48 are needed."),)
    peak(tmp_path, 50, bare)  # what is imported and cached on the way
    few, many = peak(tmp_path, 200, bare), peak(tmp_path, 2200, bare)
    assert many - few < 2000 * 400  # the journal's index: a name and a place a photo


@pytest.mark.slow
def test_memory_of_six_thousand_photos(tmp_path):
    full = (known.reading(),)
    peak(tmp_path, 350, full)
    few, many = peak(tmp_path, 400, full), peak(tmp_path, 6_000, full)
    assert many - few < 5_600 * 400
    assert many < 60e6


# ---- the parts ----


def test_the_queue_gives_rows_in_order_and_holds_few():
    paths = [Path(str(i)) for i in range(300)]
    queue = Queue(paths, lambda path: Row(path.name) if int(path.name) % 3 == 0 else None)
    first, waiting = queue.take(), []
    while (task := queue.take()) is not None:
        waiting.append(task)
    assert first.index == 1
    assert waiting[-1].index < AHEAD
    assert [row.name for row in queue.due()] == ["0"]
    assert list(queue.due()) == []
    given = ["0"]
    queue.put(first, Row("1"))
    while not queue.ended:
        for task in waiting:
            queue.put(task, Row(str(task.index)))
        given += [row.name for row in queue.due()]
        waiting = list(iter(queue.take, None))
    assert given == [str(i) for i in range(300)]


def test_the_queue_gives_what_is_there_when_it_is_stopped():
    paths = [Path(str(i)) for i in range(200)]
    queue = Queue(paths, lambda path: Row(path.name) if path.name in ("3", "190") else None)
    one, two = queue.take(), queue.take()
    queue.put(two, Row("1"))
    assert (one.index, two.index) == (0, 1)
    assert [row.name for row in queue.rest()] == ["1", "3", "190"]


def test_pictures_are_drawn_as_long_as_the_page_shows_them():
    paths = [Path(str(i)) for i in range(500)]
    queue, drawn = Queue(paths, lambda _: None), 0
    while not queue.ended:
        if (task := queue.take()) is not None:
            drawn += task.draw
            queue.put(task, Row(task.path.name, faces=2))
        list(queue.due())
    assert drawn == 150


def test_a_row_survives_its_line():
    row = Row("bad\udcff.jpg", (3, 5), None, 1, {"json": {"a": 0.1, "b": None}, "csv": "1,ä\n"})
    assert Row.from_line(row.to_line()) == row
    with pytest.raises(ValueError, match="JSON"):
        Row("a", entries={"json": float("nan")}).to_line()


def test_of_several_rows_on_one_photo_the_last_counts(tmp_path):
    photo = tmp_path / "a.png"
    photo.write_bytes(b"1")
    with Journal(tmp_path / "j", {}, resume=False) as kept:
        kept.begin({})
        kept.add(Row(str(photo), journal.stamp_of(photo), faces=1))
        kept.add(Row(str(photo), journal.stamp_of(photo), faces=2))
    with Journal(tmp_path / "j", {}, resume=True) as kept:
        kept.begin({})
        assert len(kept) == 1
        assert kept.known(photo).faces == 2
        photo.write_bytes(b"22")
        assert kept.known(photo) is None
    with pytest.raises(JournalError, match="resume"):
        Journal(tmp_path / "j", {}, resume=False)


def test_a_signal_breaks_off_reading_and_not_writing():
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGTERM)  # nothing is read: it is noted
        assert (interruption.noted, interruption.name) == (True, "SIGTERM")
        assert interruption.status == 143
        with pytest.raises(KeyboardInterrupt), interruption.breaking():
            pytest.fail("a signal that came before ends reading")
        with pytest.raises(KeyboardInterrupt):  # the second one ends all
            signal.raise_signal(signal.SIGINT)
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt), interruption.breaking():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption, interruption.breaking():
            signal.raise_signal(signal.SIGINT)
        assert not interruption.noted
    finally:
        signal.signal(signal.SIGINT, before)


# ---- the real models ----


@pytest.mark.slow
def test_a_real_run_that_is_killed_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums of other threads differ in the last digits
    examples = ROOT / "ferce" / "data" / "demo" / "examples"
    argv = [sys.executable, "-m", "ferce", str(examples)]
    kept = tmp_path / "out.json.partial.jsonl"
    with subprocess.Popen([*argv, *outputs(tmp_path)], cwd=ROOT) as process:
        while process.poll() is None and not (kept.exists() and lines(kept) >= 3):
            time.sleep(0.02)
        process.kill()
    assert 2 <= lines(kept) - 1 < 8
    subprocess.run([*argv, *outputs(tmp_path), "--resume"], cwd=ROOT, check=True)
    found = [without_times(content(tmp_path))]
    for jobs in "12":
        (place := tmp_path / jobs).mkdir()
        subprocess.run([*argv, *outputs(place), "--jobs", jobs], cwd=ROOT, check=True)
        found.append(without_times(content(place)))
    assert found[0] == found[1] == found[2]


def without_times(texts):
    """The outputs without how long each photo took."""
    rows = list(csv.DictReader(texts["csv"].splitlines()))
    return {
        "json": re.sub(r'"seconds": [\d.]+', "", texts["json"]),
        "csv": [{name: cell for name, cell in row.items() if name != "seconds"} for row in rows],
        "html": re.sub(r", [\d.]+ s</p>", "", texts["html"]),
    }
