"""What is killed: each trainer, rendering and reading on tiny data, a function of a folder each.

All go on from what the folder holds. `python tests/shared/kill_jobs.py JOB FOLDER ARGUMENTS...`
does one, which is how several processes do it together.
"""

import contextlib
import io
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "shared")]

import torch
from language_fixtures import data_of
from reading_fixtures import open_known
from tiny_fixtures import aligned, sample, units
from training_fixtures import plan, tiles

from ferce.core.labels import COMPOUNDS
from ferce.data.rendering.compose import AssetPaths
from ferce.data.rendering.dataset import Output, write_dataset, write_settings
from ferce.data.rendering.plan import PHOTO, Settings, Subject, clay_subjects
from ferce.data.rendering.plan import plan as recipes
from ferce.training import options
from ferce.training.classifier import run
from ferce.training.language import run as language
from ferce.training.language.plan import LanguagePlan
from ferce.training.mini import STAGES, TALK, album, recipe
from ferce.training.mini.stage import Schedule
from ferce.ui import cli

# Everything random is switched on.
MIXED = {
    "epochs": 2, "mixup": 0.3, "cutmix": 0.5, "ema": 0.9, "drop": 0.3, "augment": "full",
    "save_every": 2, "sampler": "weighted", "loss": "focal", "basic_epochs": 1,
}  # fmt: skip
UNITS = ({12: 0.9, 25: 0.9}, {4: 0.9}, {1: 0.9, 2: 0.9, 5: 0.8}, {9: 0.9, 10: 0.6}, {43: 1.0}, {})
PEOPLE = [Subject("ann", PHOTO, "train"), Subject("bob", PHOTO, "test"), *clay_subjects(4)]
RENDERS = Settings(count=10, seed=1, size=96, clay=0.4, occluded=0.4, degraded=0.5)


def classifier(folder, cache):
    """Two stages of the classifier's training."""
    torch.set_num_threads(1)
    run.train(plan(cache, **MIXED), folder, resume=True, data=tiles(3, 1))


def adapter(folder, base, caches):
    """LoRA on a tiny BLIP-2."""
    torch.set_num_threads(1)
    chosen = LanguagePlan(
        base=str(base), data="coloured", detect="no", cache=str(Path(caches) / "aligned"),
        feature_cache=str(Path(caches) / "features"), epochs=2, batch=8, views=2, augment="flip",
        lr=3e-3, rank=4, rouge_faces=0, device="cpu", save_every=2, dropout=0.1,
    )  # fmt: skip
    language.tune(chosen, folder, data=data_of(), resume=True)


def faces(split, count):
    """Faces of a split, every second of which has a label."""
    made = [sample(k, units(UNITS[k % len(UNITS)]), split) for k in range(count)]
    return [replace(one, label=COMPOUNDS[k % 4]) if k % 2 else one for k, one in enumerate(made)]


def pack(root):
    """The albums of the recipe."""
    sets = {
        "renders": [*faces("train", 12), *faces("val", 6), *faces("test", 6)],
        "faces": [replace(s, coded=frozenset({4, 12, 25})) for s in faces("train", 6)],
        "annotated": [*faces("val", 3), *faces("test", 6)],
    }
    for name, rows in sets.items():
        album.pack(aligned(rows, root / name), len(rows), root / "albums" / name)


def mini(folder, albums, names):
    """Stages of the small models, one after the other, a checkpoint every step."""
    torch.set_num_threads(1)
    if not (folder / "albums").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "albums").symlink_to(Path(albums) / "albums")
    schedule = Schedule(steps=2, batch=4, warm=1, save=0.0)
    chosen = recipe.Recipe(
        folder,
        teacher=str(Path(albums) / "teacher.safetensors"),
        tower=Path(albums) / "tower",
        schedules=dict.fromkeys((*STAGES, TALK), schedule),
        least=0.0,
    )
    for name in names.split():
        recipe.run(chosen, name)


def rendering(folder, studio):
    """A rendered data set."""
    place = Path(studio)
    paths = AssetPaths(place / "kit.npz", place / "people", place / "landmarks.npz")
    write_settings(folder, RENDERS, [one.name for one in PEOPLE])
    list(write_dataset(recipes(RENDERS, PEOPLE), paths, Output(folder, 96, ".png")))


def reading(folder, photos, jobs):
    """A folder of photos as JSON, CSV and HTML."""
    folder.mkdir(parents=True, exist_ok=True)
    targets = [f"--{kind}={folder / 'out'}.{kind}" for kind in ("json", "csv", "html")]
    with contextlib.redirect_stdout(io.StringIO()):
        status = cli.main([str(photos), *targets, "--resume", "--jobs", jobs], opener=open_known)
    assert status == cli.READ, status


JOBS = {one.__name__: one for one in (classifier, adapter, mini, rendering, reading)}


def do(job, folder, *arguments):
    """Do a job, after a sign beside its folder that it begins."""
    folder.with_name(f"{folder.name}.begun").touch()
    JOBS[job](folder, *arguments)


if __name__ == "__main__":
    name, place, *rest = sys.argv[1:]
    options.run(name, lambda: do(name, Path(place), *rest))
