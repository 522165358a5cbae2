"""What fails outside ferce: the Hub, the disk, a GPU's memory, a process. One sentence, a way on.

python -m pytest -m slow tests/robustness/test_faults.py

Elsewhere: 401, 403, 404, 409, 412 and 5xx of the Hub while publishing (`test_publish_hub.py`), a
Hub that is down or gates (`test_hub.py`), faults of a model's server (`test_remote_failures.py`), a
process that dies while photos are read (`test_resume.py`), one of two that train together
(`test_kills.py`).
"""

import errno
import json
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
import tiny_models
import torch
from app_server import connect
from browser_fixtures import CHROMIUM, chromium, new_page
from gradio_client import handle_file
from hub_server import Fault, serving
from kill_jobs import PEOPLE, RENDERS, ROOT
from patience import PROGRAM, until
from publish_fixtures import client, timm_run
from reading_fixtures import album
from rendering_fixtures import make_studio  # noqa: F401
from safetensors.numpy import save
from safetensors.torch import load_file
from training_fixtures import plan, tiles

from ferce.core.types import ReadingError
from ferce.data import align
from ferce.data.rendering.dataset import Output, write_dataset
from ferce.data.rendering.plan import plan as recipes
from ferce.models import load_classifier, memory, torch_net
from ferce.models.embedded import PACKAGED
from ferce.training import options
from ferce.training.classifier import run
from ferce.training.classifier.batches import Faces
from ferce.training.classifier.task import ClassifierTask
from ferce.training.language import run as language
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.task import LanguageTask
from ferce.training.progress import TrainingError

WEIGHTS = save({"w": np.arange(300_000.0)})
RESOLVE = """
import json
from ferce.models import hub
try:
    print(json.dumps(sorted(path.name for path in hub.resolve("owner/good", REVISION).iterdir())))
except hub.CheckpointError as error:
    print(json.dumps(str(error)))
"""
WHOLE = ["config.json", "model.safetensors"]
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def resolve(url, home, revision=None, token=""):
    hurry = {"HF_HUB_ETAG_TIMEOUT": "2", "HF_HUB_DOWNLOAD_TIMEOUT": "2"}
    done = client(f"REVISION = {revision!r}\n{RESOLVE}", url, home, token, **hurry)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


FAULTS = {
    "slow": (Fault("GET .*/resolve/.*safetensors", pause=6), "cannot be reached"),
    "cut": (Fault("GET .*/resolve/.*safetensors", cut=100_000), "cannot be reached"),
    "garbled": (Fault("GET .*/resolve/.*safetensors", garbled=True), "not have the checksum"),
    "401": (Fault(".", 401), r"does not take your token (401)"),
    "404": (Fault(".", 404, code="RepoNotFound"), "The Hub has no owner/good"),
    "503": (Fault(".", 503), "is not in the cache, and http://127.0.0.1:"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_hub_that_fails_is_named_and_the_next_try_has_all(tmp_path, name):
    fault, words = FAULTS[name]
    with serving() as hub:
        hub.put("owner/good", {"model.safetensors": WEIGHTS, "config.json": b"{}"})
        hub.faults.append(fault)
        problem = resolve(hub.url, tmp_path / "home")
        assert words in problem
        assert len(problem) < 300
        hub.faults.clear()
        assert resolve(hub.url, tmp_path / "home") == WHOLE
        (weights,) = (tmp_path / "home").rglob("snapshots/*/model.safetensors")
        assert weights.read_bytes() == WEIGHTS


@pytest.mark.slow
def test_a_revision_that_went_away_is_read_from_the_cache(tmp_path):
    with serving() as hub:
        repository = hub.put("owner/good", {"model.safetensors": WEIGHTS, "config.json": b"{}"})
        repository.refs["v1"] = first = repository.refs["main"]
        assert resolve(hub.url, tmp_path / "home", "v1") == WHOLE
        del repository.refs["v1"]
        assert "but not at revision 'v1'" in resolve(hub.url, tmp_path / "home", "v1")
        assert resolve(hub.url, tmp_path / "home", first) == WHOLE


# ---- the disk ----


def bounded(most, words, **environment):
    """A finished run of Python whose files have at most so many bytes; it never shows a trace."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, preexec_fn=limit, capture_output=True,
        text=True, timeout=PROGRAM, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def limited(job, folder, most, *arguments):
    """A job of `kill_jobs` by the script's own border, with files of at most so many bytes."""
    code = (
        "import sys; sys.path[:0] = ['tests/shared', '.']\nimport kill_jobs\n"
        "from pathlib import Path\nfrom ferce.training import options\n"
        f"job = lambda: kill_jobs.{job}(Path({str(folder)!r}), *{list(map(str, arguments))!r})\n"
        f"options.run({job!r}, job)"
    )
    return bounded(most, ["-c", code])


@pytest.mark.slow
@pytest.mark.parametrize(("job", "most"), [("classifier", 60_000), ("adapter", 40_000)])
def test_a_full_disk_is_said_and_the_run_goes_on(tmp_path, job, most):
    base = tiny_models.build_blip2(tmp_path / "base", "opt")
    more = {"classifier": [tmp_path / "cache"], "adapter": [base, tmp_path / "caches"]}[job]
    full = limited(job, tmp_path / "run", most, *more)
    assert full.returncode == 1
    assert full.stderr.splitlines()[-1].startswith(f"{job}: The disk is full (")
    assert not list((tmp_path / "run").glob("*.safetensors"))
    assert not list((tmp_path / "run").rglob("*.part"))
    again, whole = (
        limited(job, tmp_path / name, resource.RLIM_INFINITY, *more) for name in ("run", "whole")
    )
    assert (again.returncode, whole.returncode) == (0, 0), again.stderr + whole.stderr
    (name,) = (path.name for path in (tmp_path / "whole").glob("*model.safetensors"))
    one, two = (load_file(tmp_path / folder / name) for folder in ("run", "whole"))
    assert all(torch.equal(one[key], two[key]) for key in two)


def full(*arguments, **more):
    raise OSError(errno.ENOSPC, "No space left on device", "x")


@pytest.mark.parametrize(
    ("last", "there"),
    [
        ("classifier.export.save_calibration", False),
        ("classifier.export.plots.draw_confusion", True),
    ],
)
def test_a_disk_that_is_full_at_the_last_moment(tmp_path, monkeypatch, last, there):
    """While the model is written, and once its weights are there."""
    chosen = plan(tmp_path / "cache", epochs=1, max_steps=2)
    with monkeypatch.context() as patch:
        patch.setattr(f"ferce.training.{last}", full)
        with pytest.raises(OSError, match="No space left"):
            run.train(chosen, tmp_path / "run", data=tiles(3, 1))
    weights = tmp_path / "run" / "model.safetensors"
    assert weights.is_file() == there
    assert not list((tmp_path / "run").glob(".*"))
    for name in ("run", "whole"):
        run.train(chosen, tmp_path / name, resume=True, data=tiles(3, 1))
    one, two = load_file(weights), load_file(tmp_path / "whole" / "model.safetensors")
    assert all(torch.equal(one[key], two[key]) for key in two)


READS = (
    "import sys; sys.path[:0] = ['tests/shared', '.']\nfrom reading_fixtures import open_known\n"
    "from ferce.ui import cli\nsys.exit(cli.main(sys.argv[1:], opener=open_known))"
)


def test_a_disk_that_is_full_while_photos_are_read(tmp_path):
    """The journal keeps what fitted; nothing half stays, and --resume reads the rest."""
    photos = album(tmp_path / "photos", 12)

    def read(name, most, *more):
        (tmp_path / name).mkdir(exist_ok=True)
        words = ["-c", READS, photos, "--json", tmp_path / name / "out.json", *more]
        return bounded(most, words)

    assert read("whole", resource.RLIM_INFINITY).returncode == 0
    whole = (tmp_path / "whole" / "out.json").read_text()
    stopped = read("run", len(whole) // 2)
    assert stopped.returncode == 1
    (line,) = stopped.stderr.splitlines()
    assert line.startswith("ferce: the result cannot be written: [Errno 27] File too large")
    assert "The same command with --resume goes on from" in line
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["out.json.partial.jsonl"]
    assert read("run", resource.RLIM_INFINITY, "--resume").returncode == 0
    assert (tmp_path / "run" / "out.json").read_text() == whole


def test_a_disk_that_is_full_when_results_are_written(tmp_path):
    photos, out = album(tmp_path / "photos", 3), tmp_path / "out.json"
    words = ["-c", READS, photos, "--json", out, "--html", "/dev/full"]
    stopped = bounded(resource.RLIM_INFINITY, words)
    assert stopped.returncode == 1
    (line,) = stopped.stderr.splitlines()
    assert line.startswith("ferce: the result cannot be written: [Errno 28] No space left")
    assert "--resume goes on from" in line
    assert not out.exists()


@pytest.mark.slow
def test_a_disk_that_is_full_while_rendering(tmp_path, asset_paths):
    studio = asset_paths.kit.parent
    stopped = limited("rendering", tmp_path / "run", 9_000, studio)
    assert stopped.returncode == 1
    assert stopped.stderr.splitlines()[-1].startswith("rendering: The disk is full (")
    for name in ("run", "whole"):
        done = limited("rendering", tmp_path / name, resource.RLIM_INFINITY, studio)
        assert done.returncode == 0, done.stderr
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "images").iterdir()}
        for name in ("run", "whole")
    )
    assert one == two


@pytest.mark.slow
def test_a_disk_that_is_full_while_a_model_is_measured(tmp_path):
    words = [ROOT / "train" / "evaluate.py", "--model", "prototypes", "--cache", tmp_path / "cache"]
    words += ["--output", tmp_path / "run", "--draws", "10", "--split", "val"]
    stopped = bounded(6_000, words)
    assert stopped.returncode == 1
    last = stopped.stderr.splitlines()[-1]
    assert last.startswith("evaluate: The disk is full (")
    assert last.endswith("the same command goes on where it was.")
    assert bounded(resource.RLIM_INFINITY, words).returncode == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())


@pytest.mark.slow
def test_a_disk_that_is_full_while_publishing(tmp_path):
    made = timm_run(tmp_path / "run")
    words = [ROOT / "train" / "publish.py", made, "--name", "owner/model", "--dry-run"]
    words += ["--licence", "apache-2.0", "--folder", tmp_path / "out"]
    stopped = bounded(100_000, words, TMPDIR=str(tmp_path))
    assert stopped.returncode == 1
    assert stopped.stderr.splitlines()[-1].startswith("publish: ")
    assert "too large" in stopped.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_ends_a_script_is_said_in_a_sentence():
    errors = (
        OSError(errno.ENOSPC, "No space left on device", "x"),
        torch.OutOfMemoryError("CUDA out of memory."),
        BrokenProcessPool("A process in the process pool was terminated abruptly"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
        RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:7"),
    )
    for error in errors:
        assert "--resume goes on" in options.mishap(error)
    assert options.mishap(ValueError("a fault of ours")) is None
    assert options.mishap(FileNotFoundError(errno.ENOENT, "No such file")) is None


# ---- the memory of a GPU ----


def small(most, function, size):
    """A function that runs out of memory where `size` of its arguments is above `most`."""

    def tried(*arguments, **more):
        if size(*arguments) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return function(*arguments, **more)

    return tried


@pytest.fixture
def faces():
    return [tiny_models.face(seed) for seed in range(7)]


def test_faces_that_do_not_fit_are_scored_in_smaller_passes(faces, monkeypatch, caplog):
    model = torch_net.load(PACKAGED)
    logits, units = model.look(faces)
    inputs = model.net.inputs
    monkeypatch.setattr(model.net, "inputs", small(2, inputs, len))
    for got, whole in zip(model.look(faces), (logits, units), strict=True):
        np.testing.assert_allclose(got, whole, atol=1e-4)
    assert "The GPU's memory is too small for 7 at once; now 3." in caplog.text
    monkeypatch.setattr(model.net, "inputs", small(0, inputs, len))
    with pytest.raises(ReadingError, match="does not hold this model and one face"):
        model.look(faces)


def test_voices_answer_in_smaller_passes(faces, monkeypatch, caplog):
    voice = load_classifier("blip2-mini", "cpu")
    questions = ["Is the mouth open?", "Are the brows raised?", "Is the nose wrinkled?"]
    scores, answers = voice.scores(faces), voice.answer(faces[0], questions)
    sized = small(2, voice.encode, lambda crops, texts: len(texts))
    monkeypatch.setattr(voice, "encode", sized)
    np.testing.assert_allclose(voice.scores(faces).classes, scores.classes, atol=1e-5)
    assert voice.answer(faces[0], questions) == answers
    assert caplog.text.count("The GPU's memory is too small for 3 at once; now 1.") == 2


def test_passes_give_all_in_order():
    work = small(3, list, len)
    assert [n for part in memory.passes(work, range(20), 8) for n in part] == list(range(20))


def trained(tmp_path, name, monkeypatch, most):
    """What a training reports whose GPU holds so many faces, and its weights."""
    said = []
    with monkeypatch.context() as patch:
        sized = small(most, ClassifierTask.loss, lambda task, batch: len(batch.batch.images))
        patch.setattr(ClassifierTask, "loss", sized)
        chosen = plan(tmp_path / "cache", epochs=1, batch=16, max_steps=2, network="test_vit")
        run.train(chosen, tmp_path / name, data=tiles(3, 1), report=said.append)
    return said, load_file(tmp_path / name / "model.safetensors")


def test_a_pass_that_does_not_fit_is_cut_in_two(tmp_path, monkeypatch):
    _, whole = trained(tmp_path, "whole", monkeypatch, 16)
    said, cut = trained(tmp_path, "cut", monkeypatch, 5)
    words = [line for line in said if "the GPU's memory does not hold a pass of" in line]
    assert [line.split(" of ")[1].split(" x ")[0] for line in words] == ["14", "7"]
    for name, weight in whole.items():  # test_vit has no statistics over a pass
        torch.testing.assert_close(cut[name], weight, atol=1e-4, rtol=1e-3)
    with pytest.raises(TrainingError, match=r"does not hold a pass of 1 x 3 .*--accumulate"):
        trained(tmp_path, "none", monkeypatch, 0)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning")
def test_texts_that_do_not_fit_are_cut_in_two(tmp_path, monkeypatch):
    from language_fixtures import data_of

    base = tiny_models.build_blip2(tmp_path / "base", "opt")
    chosen = LanguagePlan(
        base=str(base), data="coloured", detect="no", cache=str(tmp_path / "aligned"),
        feature_cache=str(tmp_path / "features"), epochs=1, max_steps=2, batch=8, views=1,
        augment="flip", rank=4, rouge_faces=0, device="cpu",
    )  # fmt: skip
    language.tune(chosen, tmp_path / "whole", data=data_of())
    said, sized = [], small(3, LanguageTask.loss, lambda task, batch: len(batch.rows))
    monkeypatch.setattr(LanguageTask, "loss", sized)
    language.tune(chosen, tmp_path / "cut", data=data_of(), report=said.append)
    assert "the GPU's memory does not hold a pass of" in "\n".join(said)
    whole, cut = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("whole", "cut"))
    for name, weight in whole.items():  # Adam's first steps make much of gradients near zero
        assert ((cut[name] - weight).abs() > 1e-5).float().mean() < 0.2


# ---- processes ----


def test_a_process_that_dies_while_it_prepares_pictures_ends_the_training(tmp_path, monkeypatch):
    here, item = os.getpid(), Faces.__getitem__

    def dies(faces, drawn):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return item(faces, drawn)

    monkeypatch.setattr(Faces, "__getitem__", dies)
    monkeypatch.setattr(sys, "argv", ["train_classifier"])
    chosen = plan(tmp_path / "cache", epochs=1, workers=1)
    with pytest.raises(SystemExit, match=r"^train_classifier: A process that prepared pictures"):
        options.run(
            "train_classifier", lambda: run.train(chosen, tmp_path / "run", data=tiles(3, 1))
        )


def dying():
    """Opens a detector in a process that is killed thereby."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_process_that_dies_while_it_aligns_faces_ends_the_run(tmp_path):
    rows = tiles(1, 1).rows()
    with pytest.raises(SystemExit, match=r"^evaluate: A process that prepared pictures .* goes on"):
        options.run(
            "evaluate", lambda: list(align.align(rows, tmp_path, jobs=2, factory=dying)),
            again="the same command goes on",
        )  # fmt: skip


@pytest.mark.slow
def test_a_process_that_dies_while_rendering_ends_the_run(asset_paths, tmp_path):
    """And does not hang; the same call makes the rest."""
    output = Output(tmp_path / "out", 96, ".png")
    made = write_dataset(recipes(RENDERS, PEOPLE), asset_paths, output, workers=2)
    next(made)
    multiprocessing.active_children()[0].kill()
    outcome = []
    waiting = threading.Thread(target=lambda: outcome.append(ended(made)))
    waiting.start()
    until(lambda: not waiting.is_alive(), "end")
    assert "A process that renders ended" in outcome[0]
    list(write_dataset(recipes(RENDERS, PEOPLE), asset_paths, output))
    assert len(list((tmp_path / "out" / "images").glob("*.png"))) == RENDERS.count


def ended(made):
    try:
        list(made)
    except OSError as error:
        return str(error)
    return ""


# ---- a camera ----


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on the path (apt: chromium)")
def test_pages_with_a_camera_that_vanish_cost_nobody(real):
    """Closed while frames are read, and cut off within a frame; the next camera is read."""
    for _ in range(2):
        with chromium(*CAMERA) as browser:
            page = new_page(browser, 1280, 900)
            page.context.grant_permissions(["camera"])
            page.goto(real)
            page.get_by_role("tab", name="Live").click()
            page.get_by_role("button", name="Start the camera").click()
            page.locator("[data-part=pace]", has_text="frames a second").wait_for()
    host, port = real.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as cut:
        head = "POST /gradio_api/component_server HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
        cut.sendall(f'{head}Content-Type: application/json\r\n\r\n{{"data"'.encode())
    photo = ROOT / "ferce" / "data" / "demo" / "examples" / "smile.jpg"
    assert connect(real).predict(handle_file(str(photo)), api_name="/read")["faces"]
