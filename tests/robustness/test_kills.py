"""Trainers, rendering, reading and publishing killed with -9 at random moments, and gone on with.

FERCE_KILLS=20 python -m pytest -m slow -s tests/robustness/test_kills.py
"""

import re
import shutil
import subprocess
import sys
from itertools import cycle

import pytest
import tiny_models
import torch
from hub_server import TOKEN, serving
from kill_jobs import ROOT, pack
from kills import ALL, FEW, KILLS, LAUNCHER, RANKS, Forked, Trial, campaign, sound, together
from publish_fixtures import surroundings, timm_run
from reading_fixtures import album
from rendering_fixtures import make_studio  # noqa: F401
from safetensors.torch import load_file, save_file

from ferce.models import load_classifier
from ferce.training import checkpoint
from ferce.training.mini import STAGES, TALK, tower

pytestmark = pytest.mark.slow


def equal(one, two):
    """Both files of weights hold the same bits."""
    first, second = load_file(one), load_file(two)
    assert set(first) == set(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


ALONE = pytest.param(Forked, (ALL,), KILLS, id="alone")
TOGETHER = pytest.param(together, (*RANKS, ALL, LAUNCHER), FEW, id="two processes")


@pytest.mark.parametrize(("start", "killed", "kills"), [ALONE, TOGETHER])
def test_classifier(tmp_path, start, killed, kills):
    whole, weights = tmp_path / "whole", "model.safetensors"

    def check(folder):
        sound(folder)
        checkpoint.load(folder / "checkpoint")
        if (folder / weights).is_file():  # what has weights is whole
            load_classifier(f"timm:{folder}", "cpu")
            assert "calibration" in (folder / "ferce.json").read_text()

    trial = Trial(
        lambda folder: start("classifier", folder, tmp_path / "cache"),
        check,
        lambda folder: equal(folder / weights, whole / weights),
        killed=killed,
    )
    campaign(trial, tmp_path / "runs", whole, kills)


@pytest.mark.parametrize(("start", "killed", "kills"), [ALONE, TOGETHER])
def test_adapter(tmp_path, start, killed, kills):
    base = tiny_models.build_blip2(tmp_path / "base", "opt")
    whole, weights = tmp_path / "whole", "adapter_model.safetensors"
    files = {"adapter_config.json", "processor_config.json", "tokenizer.json", "ferce.json"}

    def check(folder):
        sound(folder)
        sound(tmp_path / "caches")
        checkpoint.load(folder / "checkpoint")
        if (folder / weights).is_file():
            assert files <= {path.name for path in folder.iterdir()}
            assert "calibration" in (folder / "ferce.json").read_text()

    trial = Trial(
        lambda folder: start("adapter", folder, base, tmp_path / "caches"),
        check,
        lambda folder: equal(folder / weights, whole / weights),
        killed=killed,
    )
    campaign(trial, tmp_path / "runs", whole, kills)


def teachers(folder):
    """Random weights of both teachers."""
    import timm

    from ferce.training.mini import chat

    torch.manual_seed(0)
    save_file(timm.create_model(tower.LITE).state_dict(), folder / "teacher.safetensors")
    (folder / "tower").mkdir()
    network = timm.create_model(chat.LITE, num_classes=21)
    save_file(network.state_dict(), folder / "tower" / "model.safetensors")
    units = {"weight": torch.randn(24, chat.SEEN)}
    save_file(units, folder / "tower" / "units.safetensors")


@pytest.mark.parametrize("names", [" ".join(STAGES), TALK])
def test_small_models(tmp_path, names):
    pack(tmp_path)
    teachers(tmp_path)
    whole = tmp_path / "whole"

    def same(folder):
        for name in names.split():
            one, two = (checkpoint.load(place / name) for place in (folder, whole))
            for file, tensors in two.tensors.items():
                assert set(tensors) == set(one.tensors[file])
                for key, value in tensors.items():
                    assert torch.equal(value, one.tensors[file][key]), (name, file, key)

    trial = Trial(
        lambda folder: Forked("mini", folder, tmp_path, names),
        sound,
        same,
    )
    campaign(trial, tmp_path / "runs", whole)


def test_rendering(tmp_path, asset_paths):
    whole = tmp_path / "whole"

    def content(folder):
        return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}

    def same(folder):
        assert content(folder) == content(whole)
        for name in ("metadata.jsonl", "settings.json"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes()

    trial = Trial(
        lambda folder: Forked("rendering", folder, asset_paths.kit.parent),
        sound,
        same,
    )
    campaign(trial, tmp_path / "runs", whole)


def test_reading(tmp_path):
    """By one process and by two in turns, which go on with what the other has read."""
    photos, whole, jobs = album(tmp_path / "photos", 60), tmp_path / "whole", cycle("112")

    def content(folder):
        texts = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
        return texts | {"out.html": re.sub("Written [^<]*", "", texts["out.html"])}

    def check(folder):
        sound(folder)
        for path in folder.glob("out.html"):
            assert path.read_text("utf-8").endswith("</html>\n")
        for path in folder.glob("out.csv"):
            assert path.read_bytes().endswith(b"\n")

    trial = Trial(
        lambda folder: Forked("reading", folder, photos, next(jobs)),
        check,
        lambda folder: content(folder) == content(whole) or pytest.fail("other outputs"),
    )
    campaign(trial, tmp_path / "runs", whole)


class Publishing:
    """`train/publish.py` of a run to a Hub on loopback, under a name for each folder."""

    def __init__(self, hub, run, *options):
        self.hub, self.run, self.options = hub, run, options

    def start(self, folder):
        self.hub.asked.clear()
        folder.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, str(ROOT / "train" / "publish.py"), str(self.run), "--name"]
        words += [f"owner/model-{folder.name}", "--licence", "apache-2.0", *self.options]
        return subprocess.Popen(
            words, env=surroundings(self.hub.url, folder / "home", TOKEN, TMPDIR=str(folder)),
            start_new_session=True, cwd=folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def files(self, folder):
        """Path -> bytes of what the Hub has, the name of the repository left out."""
        repository = self.hub.repositories.get(f"owner/model-{folder.name}")
        blobs = repository.files.items() if repository else ()
        name = f"model-{folder.name}".encode()
        return {path: blob.data.replace(name, b"NAME") for path, blob in blobs}


def test_publishing(tmp_path):
    with serving() as hub:
        made = Publishing(hub, timm_run(tmp_path / "run"))
        whole = tmp_path / "whole"

        def check(folder):  # nothing but the Hub's own file, or all
            if set(made.files(folder)) - {".gitattributes"}:
                assert made.files(folder) == made.files(whole)

        trial = Trial(
            made.start,
            check,
            lambda folder: made.files(folder) == made.files(whole) or pytest.fail("other files"),
            lambda _: hub.asked,
            lambda _: len(hub.asked),
        )
        campaign(trial, tmp_path / "runs", whole)


def test_a_dry_run_of_publishing(tmp_path):
    with serving() as hub:
        made = Publishing(hub, timm_run(tmp_path / "run"), "--dry-run", "--folder", "out")
        whole = tmp_path / "whole"

        def start(folder):
            shutil.rmtree(folder / "out", ignore_errors=True)
            return made.start(folder)

        def content(folder):
            name = f"model-{folder.name}".encode()
            paths = sorted((folder / "out").iterdir())
            return {path.name: path.read_bytes().replace(name, b"NAME") for path in paths}

        def check(folder):
            assert not (folder / "out").exists() or content(folder) == content(whole)

        trial = Trial(
            start,
            check,
            lambda folder: content(folder) == content(whole) or pytest.fail("other files"),
            lambda folder: list(folder.glob(".ferce-*/model/*")),
        )
        campaign(trial, tmp_path / "runs", whole, FEW)
        assert hub.asked == []
