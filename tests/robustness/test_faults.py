"""What fails outside ferce: the Hub, the disk, a GPU's memory, a process. One sentence, a way on.

python -m pytest -m slow tests/robustness/test_faults.py

Elsewhere: 401, 403, 404, 409, 412 and 5xx of the Hub while publishing (`test_publish_hub.py`), a
Hub that is down or gates (`test_hub.py`), faults of a model's server (`test_remote_failures.py`), a
full disk and a process that dies while photos are read (`test_resume.py`), cameras that go away
(`test_app_video.py`).
"""

import errno
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
import tiny_models
import torch
from hub_server import Fault, serving
from kill_jobs import PEOPLE, RENDERS, ROOT
from patience import PROGRAM, until
from publish_fixtures import client
from rendering_fixtures import make_studio  # noqa: F401
from safetensors.numpy import save
from safetensors.torch import load_file
from training_fixtures import plan, tiles

from ferce.core.types import ReadingError
from ferce.data.rendering.dataset import Output, write_dataset
from ferce.data.rendering.plan import plan as recipes
from ferce.models import load_classifier, memory, torch_net
from ferce.models.embedded import PACKAGED
from ferce.training import options
from ferce.training.classifier import run
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


def limited(job, folder, most, *arguments):
    """A job of `kill_jobs` by the script's own border, with files of at most so many bytes."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    code = (
        "import sys; sys.path[:0] = ['tests/shared', '.']\nimport kill_jobs\n"
        "from pathlib import Path\nfrom ferce.training import options\n"
        f"job = lambda: kill_jobs.{job}(Path({str(folder)!r}), *{list(map(str, arguments))!r})\n"
        f"options.run({job!r}, job)"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, preexec_fn=limit, capture_output=True, text=True,
        timeout=PROGRAM, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("job", "most"), [("classifier", 60_000), ("adapter", 40_000)])
def test_a_full_disk_is_said_and_the_run_goes_on(tmp_path, job, most):
    base = tiny_models.build_blip2(tmp_path / "base", "opt")
    more = {"classifier": [tmp_path / "cache"], "adapter": [base, tmp_path / "caches"]}[job]
    full = limited(job, tmp_path / "run", most, *more)
    assert full.returncode == 1
    assert full.stderr.splitlines()[-1].startswith(f"{job}: The disk is full (")
    assert "Traceback" not in full.stderr
    assert not list((tmp_path / "run").glob("*.safetensors"))
    assert not list((tmp_path / "run").rglob("*.part"))
    again, whole = (
        limited(job, tmp_path / name, resource.RLIM_INFINITY, *more) for name in ("run", "whole")
    )
    assert (again.returncode, whole.returncode) == (0, 0), again.stderr + whole.stderr
    (name,) = (path.name for path in (tmp_path / "whole").glob("*model.safetensors"))
    one, two = (load_file(tmp_path / folder / name) for folder in ("run", "whole"))
    assert all(torch.equal(one[key], two[key]) for key in two)


def test_what_ends_a_script_is_said_in_a_sentence():
    errors = (
        OSError(errno.ENOSPC, "No space left on device", "x"),
        torch.OutOfMemoryError("CUDA out of memory."),
        BrokenProcessPool("A process in the process pool was terminated abruptly"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
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
