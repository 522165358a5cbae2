"""Models side by side: planted leaks are found, processes share the work, figures are known."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_fixtures import Grey
from hypothesis import given
from hypothesis import strategies as st
from patience import PROGRAM
from PIL import Image

import ferce.models
from ferce.core.labels import COMPOUNDS
from ferce.data import load_data
from ferce.evaluation import (
    EvaluationError,
    Plan,
    benchmark,
    leaderboard,
    leaderboard_page,
    leakage,
    metrics,
    probe,
    shards,
)
from ferce.evaluation.classification import Choice
from ferce.evaluation.leaderboard import (
    FAILED,
    LANGUAGE,
    PASSED,
    UNKNOWN,
    VISION,
    Leaderboard,
    LeaderboardError,
)
from ferce.evaluation.pictures import FILE
from ferce.evaluation.plan import Table, Tools, aligned
from ferce.evaluation.shards import Distributed
from ferce.models.prompts import PromptLog
from train import benchmark as script

ROOT = Path(__file__).parents[2]
SIDE = 56


def picture(path, k, seed):
    """Class k: its mean grey and a light column, among blocks that make every picture another."""
    blocks = np.random.default_rng(seed).normal(0, 3, (8, 8)).repeat(7, 0).repeat(7, 1)
    columns = np.where(np.arange(SIDE) // 4 == k, 7, -0.5)
    pixels = np.clip(10 * k + 8 + blocks - blocks.mean() + columns, 0, 255)
    Image.fromarray(pixels[:, :, None].repeat(3, 2).round().astype(np.uint8)).save(path)


def write_split(folder, each=3, plant=None):
    """A manifest with `each` pictures a class in train and test; `plant` changes its rows."""
    rows = []
    for split in ("train", "test"):
        for k, label in enumerate(COMPOUNDS):
            for j in range(each):
                name = f"{split}-{k:02d}-{j}.png"
                picture(folder / name, k, seed=len(rows))
                row = {"file_name": name, "label": label, "person": f"{split} {j}", "split": split}
                rows.append(row)
    table = folder / "table.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in (plant or list)(rows)))
    return f"manifest:{table}"


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("data"))


@pytest.fixture
def models(monkeypatch):
    return stand_in(monkeypatch)


def stand_in(monkeypatch):
    """Spec -> classifier; anything else cannot be had."""
    known = {"prototypes": Grey(), "timm:wrong": Grey(1), "blip2:half": Half()}

    def load(name, device):
        if name not in known:
            raise ValueError(f"{name} is not here")
        return known[name]

    monkeypatch.setattr(ferce.models, "load_classifier", load)
    monkeypatch.setattr(benchmark.run, "draw", lambda *_: None)  # a second a model
    monkeypatch.setattr(benchmark, "DEALS", 100)
    return known


@pytest.fixture(scope="module")
def measured(spec, tmp_path_factory):
    """Folder and leaderboard of models right, half right, wrong and missing."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patched:
        stand_in(patched)
        names = ["timm:wrong", "blip2:half", "prototypes", "clip:x"]
        board = benchmark.accuracy(bench(spec, folder), names)
        leaderboard_page.write(board, folder / "out")
    return folder / "out", board


class Half(Grey):
    """Right for the first seven classes only."""

    def scores(self, faces):
        told = super().scores(faces)
        late = told.classes.argmax(1) >= 7
        told.classes[late] = np.roll(told.classes[late], 1, axis=1)
        return told


def bench(spec, folder, distributed=None, **more):
    plan = Plan(data=spec, detect="no", draws=50, **more)
    tools = Tools(folder / "cache", shown=False)
    return benchmark.Bench(
        plan, folder / "out", tools, distributed or Distributed(), "cpu", "python this"
    )


def test_models_side_by_side(measured):
    folder, told = measured
    assert [m.spec for m in told.models] == ["prototypes", "blip2:half", "timm:wrong"]
    assert [m.family for m in told.models] == [VISION, LANGUAGE, VISION]
    assert [m.figures["accuracy"].value for m in told.models] == [1, 0.5, 0]
    assert told.failed == {"clip:x": "clip:x is not here"}
    assert (told.faces, told.people, told.pictures) == (42, 3, 42)
    assert told.verdict == PASSED
    words = leaderboard_page.side_by_side(told)
    assert words.startswith("Best macro-F1 of either family. vision only: prototypes 1.000 (1.000")
    assert "vision-language: blip2:half 0.476" in words
    first = told.differences[0]
    assert first.name == "prototypes − blip2:half"
    assert first.figures["accuracy"].value == 0.5
    assert first.mcnemar == pytest.approx(2 * 0.5**21)
    assert {row.name for row in told.differences} == {
        "prototypes − blip2:half",
        "prototypes − timm:wrong",
        "blip2:half − timm:wrong",
    }
    assert first.mcnemar_holm == pytest.approx(2 * first.mcnemar)  # of three, one is smaller
    read = Leaderboard.load(folder)
    assert json.dumps(read.to_json()) == json.dumps(told.to_json())
    assert read.models[0].figures == told.models[0].figures
    for name in ("metrics.json", "images.csv"):
        assert (folder / read.models[0].folder / name).is_file()


def test_what_was_measured_is_not_measured_again(spec, tmp_path, models):
    names = ["prototypes", "timm:wrong"]
    one = benchmark.accuracy(bench(spec, tmp_path), names)
    asked = models["prototypes"].asked
    two = benchmark.accuracy(bench(spec, tmp_path), names)
    # The audit of prompts shows nothing to a model that reads no words.
    assert models["prototypes"].asked == asked == 42
    assert two.models[0].speed is None
    assert replace(two, made=one.made, models=one.models) == one
    benchmark.fresh(tmp_path / "out", names)
    benchmark.accuracy(bench(spec, tmp_path), names)
    assert models["prototypes"].asked == 2 * asked


class StoppedError(Exception):
    pass


def test_a_killed_model_goes_on_within_its_shard(spec, tmp_path, models, monkeypatch):
    monkeypatch.setattr(shards, "SIZE", 16)
    model, scores = models["prototypes"], Grey.scores

    def stop(self, faces):
        if self.asked >= 16:
            raise StoppedError
        return scores(self, faces)

    with monkeypatch.context() as patched:
        patched.setattr(Grey, "scores", stop)
        with pytest.raises(StoppedError):
            benchmark.accuracy(bench(spec, tmp_path), ["prototypes"])
    assert model.asked == 16
    told = benchmark.accuracy(bench(spec, tmp_path), ["prototypes"])
    assert model.asked == 42
    assert told.models[0].figures["accuracy"].value == 1


@given(count=st.integers(0, 40), world=st.integers(1, 5), size=st.integers(1, 9))
def test_every_picture_is_of_one_process(count, world, size):
    parts = [list(Distributed(rank, world).shards(range(count), size)) for rank in range(world)]
    pieces = dict(piece for part in parts for piece in part)
    assert sum(len(part) for part in parts) == len(pieces) == -(-count // size)
    assert [i for number in sorted(pieces) for i in pieces[number]] == list(range(count))


def test_processes_make_the_table_of_one(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SIZE", 8)
    tables = []
    for world in (1, 2):
        one, folder = bench(spec, tmp_path), tmp_path / str(world)
        for rank in range(world):
            if rank:
                with pytest.raises(EvaluationError, match=r"has 0 pictures of 8: run the same"):
                    shards.join(folder, 42)
            distributed = Distributed(rank, world)
            shards.measure(
                one.plan, shards.TimedClassifier(Grey()), folder, one.tools, distributed, 42
            )
        tables.append(shards.join(folder, 42).path.read_bytes())
    assert tables[0] == tables[1]
    assert len(list(Table(tmp_path / "1" / FILE, shards.pictures.COLUMNS).rows())) == 42


def test_names_that_are_no_unicode_stand_in_a_table_as_their_bytes(tmp_path):
    table = Table(tmp_path / "t.csv", ("name", "label"))
    table.append([{"name": "J\udcf6rg.jpg", "label": "sad"}])
    assert (tmp_path / "t.csv").read_bytes() == b"name,label\nJ\xf6rg.jpg,sad\n"
    assert Table(tmp_path / "t.csv", ("name", "label")).done() == {"J\udcf6rg.jpg": "sad"}


def test_a_table_disarms_formulas_and_reads_back_what_was_written(tmp_path):
    table = Table(tmp_path / "t.csv", ("name", "label", "score"))
    names = ["=cmd|' /C calc'!A0.jpg", "+1", "-1", "@a", "'b", "'=c", "plain"]
    table.append([{"name": name, "label": "sad", "score": -0.5} for name in names])
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert not any(line.startswith(("=", "+", "-", "@")) for line in lines)
    assert all(line.endswith(",sad,-0.5") for line in lines[1:])
    assert [row["name"] for row in table.rows()] == names


def test_a_shard_of_other_pictures_is_refused(spec, tmp_path, monkeypatch):
    one = bench(spec, tmp_path)
    row = next(r for r in load_data(spec).rows() if r.split == "train")
    table = Table(tmp_path / "out/shards/00000.csv", shards.pictures.COLUMNS)
    table.append([{"name": row.name, "status": "read"}])
    with pytest.raises(EvaluationError, match="which the data does not have there"):
        shards.measure(
            one.plan, shards.TimedClassifier(Grey()), tmp_path / "out", one.tools, Distributed(), 42
        )


def checks_of(spec, tmp_path):
    one = bench(spec, tmp_path)
    counted = leakage.census(one.plan, shown=False)
    return {c.name: c for c in leakage.of_data(one.plan, counted, one.output, one.tools)}


def test_the_audit_of_clean_data(spec, tmp_path, monkeypatch):
    found = checks_of(spec, tmp_path)
    assert {c.verdict for c in found.values()} == {PASSED}
    assert float(found["shuffled labels"].told.split()[-1]) > 0.8
    monkeypatch.setattr(leakage.audit, "audit", None)  # kept: the pictures are not opened again
    assert checks_of(spec, tmp_path) == found


def test_the_audit_finds_planted_leaks(tmp_path):
    def plant(rows):
        train, test = (next(r for r in rows if r["split"] == s) for s in ("train", "test"))
        with Image.open(tmp_path / train["file_name"]) as photo:
            photo.resize((100, 100)).save(tmp_path / "copy.png")
        picture(tmp_path / "again.png", 0, seed=999)
        copy = test | {"file_name": "copy.png", "person": "somebody"}
        again = test | {"file_name": "again.png", "person": train["person"]}
        return [*rows, copy, again]

    spec = write_split(tmp_path, plant=plant)
    found = checks_of(spec, tmp_path / "bench")
    assert found["pictures"].verdict == FAILED
    assert "train-00-0.png and copy.png" in found["pictures"].told
    assert found["people"].verdict == FAILED
    assert "train 0" in found["people"].told
    assert found["shuffled labels"].verdict == PASSED


def test_a_lone_split_cannot_be_audited(tmp_path):
    spec = write_split(tmp_path, plant=lambda rows: [r for r in rows if r["split"] == "test"])
    found = checks_of(spec, tmp_path / "bench")
    assert {c.verdict for c in found.values()} == {UNKNOWN}


def test_what_a_model_learnt_from_elsewhere_is_compared(spec, tmp_path):
    def plant(rows):
        (test,) = [r for r in load_data(spec).rows() if r.name.endswith("test-03-1.png")]
        (tmp_path / "stolen.png").write_bytes(test.image.read_bytes())
        return [{**rows[0], "file_name": "stolen.png"}]

    other = write_split(tmp_path, plant=plant)
    one = bench(spec, tmp_path)
    counted = leakage.census(one.plan, shown=False)

    def checks(learnt):
        return leakage.of_training(one.plan, counted, learnt, one.output, one.tools)

    (found,) = checks(other)
    assert found.verdict == FAILED
    assert "stolen.png and" in found.told
    assert checks(other) == [found]
    assert checks(spec) == []  # looked at already
    (gone,) = checks(f"manifest:{tmp_path}/gone.jsonl")
    assert gone.verdict == UNKNOWN


class Still:
    """A shuffle that leaves everything where it is."""

    def permutation(self, values):
        return values


def test_a_shuffle_that_does_not_shuffle_is_noticed(spec, monkeypatch):
    rows = list(load_data(spec).rows())
    train, test = (probe.read(s for s in rows if s.split == name) for name in ("train", "test"))
    assert train.x.shape == (42, probe.SIDE**2)
    assert probe.run(train, test).at_chance
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Still())
    assert not probe.run(train, test).at_chance


def test_the_probe_draws_evenly_from_many(spec):
    rows = [s for s in load_data(spec).rows() if s.split == "train"]
    few = probe.read(rows, most=10)
    assert 10 <= len(few.y) < 20
    assert set(np.bincount(few.y, minlength=14)) <= {0, 1}


class Asked(Grey):
    """Reads words; `leak` puts the true label into them."""

    template = "plain"

    def __init__(self, leak):
        super().__init__()
        self.leak, self.log = leak, PromptLog()

    def recording(self):
        return self.log.recording()

    def scores(self, faces):
        told = super().scores(faces)
        for k in told.classes.argmax(1):
            self.log.note([f"Is it {COMPOUNDS[k]}?" if self.leak else "What is it?"])
        return told


@pytest.mark.parametrize("leak", [False, True])
def test_prompts_that_name_the_true_label_are_found(spec, tmp_path, leak):
    one = bench(spec, tmp_path)
    items = list(aligned(leakage.sample_rows(one.plan), False, one.tools))
    assert len(items) == 14
    model = Asked(leak)
    found = leakage.of_prompts(model, items, "chat:x")
    assert found.verdict == (FAILED if leak else PASSED), found.told
    assert ("gives the true label away" in found.told) == leak
    with model.recording() as later:
        pass
    assert later == []  # a record ends with its context


def test_control_runs_must_be_at_chance(spec, tmp_path, models):
    folder = tmp_path / "control"
    folder.mkdir()
    (folder / "run.json").write_text('{"shuffle_labels": true}')
    name = f"blip2:base+{folder}"
    models[name] = Half()
    assert benchmark.is_control(name)
    told = benchmark.accuracy(bench(spec, tmp_path), ["timm:wrong", name])
    assert told.models[-1].control
    assert told.verdict == FAILED
    assert told.audit[-1].told.startswith("macro-F1 0.476; 95 %")
    assert not told.differences
    assert told.family(LANGUAGE) == ()


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("prototypes", VISION),
        ("timm:a/b", VISION),
        ("clip:a/b", LANGUAGE),
        ("clip:a/b+runs/probe", VISION),
        ("blip2:a/b+c/d", LANGUAGE),
        ("remote:http://x/v1#m", LANGUAGE),
    ],
)
def test_families(name, family):
    assert benchmark.family(name) == family


def test_chance_of_one_answer_for_all():
    truth = np.arange(28) % 14
    p = np.eye(14)[np.zeros(28, int)]
    found = benchmark.chance(Choice(truth, p.argmax(1), p, truth.astype(str)), 0)
    assert found["accuracy"].value == pytest.approx(1 / 14)
    assert found["accuracy"].interval == (pytest.approx(1 / 14), pytest.approx(1 / 14))


def test_holm_of_known_values():
    assert metrics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert metrics.holm([0.6, 0.9]) == [1.0, 1.0]


def test_the_page_loads_nothing_and_escapes(measured, tmp_path):
    folder = shutil.copytree(measured[0], tmp_path / "out")
    first, _, last = measured[1].models
    named = replace(last, spec="timm:<b>|x")
    board = replace(measured[1], models=(first, named), failed={"clip:<i>": "no <i>"})
    Image.new("RGB", (8, 8)).save(folder / named.folder / "confusion.png")
    leaderboard_page.write(board, folder)
    page = (folder / "leaderboard.html").read_text()
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "timm:&lt;b&gt;|x" in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert page.count("data:image/png;base64,") == 3 + 1
    assert "timm:&lt;b>\\|x" in (folder / "leaderboard.md").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 1 was expected; got 2"),
        ({"models": 3}, "models must be a list"),
        ({"audit": [{"name": "x", "verdict": "fine", "told": ""}]}, "must be one of passed"),
        ({"models": [{"spec": "x"}]}, "Entry lacks family"),
    ],
)
def test_a_broken_leaderboard_is_refused(measured, tmp_path, change, message):
    told = measured[1].to_json()
    with pytest.raises(LeaderboardError, match=message):
        Leaderboard.from_json(json.loads(json.dumps(told)) | change)
    with pytest.raises(LeaderboardError, match=r"leaderboard\.json cannot be read"):
        Leaderboard.load(tmp_path / "nowhere")
    (tmp_path / leaderboard.FILE).write_text("[]")
    with pytest.raises(LeaderboardError, match="must hold an object"):
        Leaderboard.load(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [([], "each once; got none"), (["timm:a", "timm:a"], "each once"), (["clip:x"], "is not here")],
)
def test_nothing_to_measure(spec, tmp_path, models, names, message):
    with pytest.raises(EvaluationError, match=message):
        benchmark.accuracy(bench(spec, tmp_path), names)


def test_an_empty_split(spec, tmp_path, models):
    with pytest.raises(EvaluationError, match="no pictures in its val split"):
        benchmark.accuracy(bench(spec, tmp_path, split="val"), ["prototypes"])


def words(spec, folder):
    return ["accuracy", "prototypes", "--data", spec, "--output", str(folder / "out"), "--cache",
            str(folder / "cache"), "--draws", "30", "--device", "cpu", "--quiet"]  # fmt: skip


def test_the_script(spec, tmp_path, models, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *words(spec, tmp_path), "--detect", "no"])
    script.main()
    assert "Leakage audit: **passed**" in capsys.readouterr().out
    assert Leaderboard.load(tmp_path / "out").models[0].figures["macro_f1"].value == 1
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "accuracy", "x:y", "--data", spec])
    with pytest.raises(SystemExit, match="benchmark: No model could be measured"):
        script.main()


@pytest.mark.slow
def test_two_processes(tmp_path):
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
    ]
    command = [*launch, str(ROOT / "train/benchmark.py"), *words("demo", tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PROGRAM)
    assert done.returncode == 0, done.stderr[-2000:]
    told = Leaderboard.load(tmp_path / "out")
    assert told.made["processes"] == 2
    assert told.models[0].faces == 99
