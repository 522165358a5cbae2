"""Each kind of file as ferce takes it; what comes back is "read", or the sentence of the refusal.

Any other exception than those stated for the kind is a fault: a visitor would see no sentence.
"""

import csv
import io
import json
import shutil
import tempfile
from pathlib import Path

import clip_fixtures
import numpy as np
import tiny_models
import torch
from harmless import harmless, sentence
from harnesses import rows, zipped
from image_fixtures import GOOD
from PIL import Image
from publish_fixtures import adapter_run, timm_run

from ferce import images
from ferce.core.parts import Report
from ferce.data import DataError, load_data
from ferce.images.archive import Archive, ArchiveError
from ferce.models import load_classifier
from ferce.models.hub import CheckpointError
from ferce.publishing import dossier
from ferce.publishing.publish import Publication, PublishError, prepare
from ferce.reading.video import VideoError
from ferce.reading.video.frames import open_clip
from ferce.report.page import HtmlWriter
from ferce.training import checkpoint
from ferce.training.progress import TrainingError
from ferce.ui.journal import Journal, JournalError
from ferce.ui.web.panels import models as panel

torch.set_num_threads(1)


def picture(path, _):
    photo = images.load(path)
    assert photo.ndim == 3
    assert photo.dtype == np.uint8


def clip(path, _):
    with open_clip(path) as opened:
        for _number, frame in zip(range(40), opened.frames(10.0), strict=False):
            assert frame.pixels.shape[2] == 3


def archive(path, _):
    with Archive(path) as opened:
        for member in opened.members:
            if member.problem:
                continue
            try:
                images.load(opened.read(member.name))
            except (ArchiveError, images.ImageError) as error:
                sentence(str(error))


def table(path, _):
    list(load_data(f"manifest:{path}").rows())


def journal(path, _):
    with Journal(path, {}, resume=True) as kept:
        kept.begin({})


def network(path, place):
    """A folder of timm with one broken file."""
    load_classifier(f"timm:{beside(path, place / 'network')}", "cpu")


def adapter(path, place):
    """An adapter on a tiny BLIP-2 with one broken file."""
    load_classifier(f"blip2:{place / 'base'}+{beside(path, place / 'adapter')}", "cpu")


def card(path, place):
    """A run that is to be published, with one broken file: card and page of it."""
    run = beside(path, place / "network")
    harmless(panel.draw(dossier.read(f"timm:{run}"), True, "ready"))
    harmless(
        prepare(run, path.with_suffix(".out"), Publication("owner/name", licence="apache-2.0"))
    )


def saved(path, place):
    """A checkpoint of a run with one broken file."""
    folder = beside(path, place / "checkpoint" / "one")
    root = Path(tempfile.mkdtemp(dir=folder))
    shutil.copytree(folder, root / "one", ignore=shutil.ignore_patterns(root.name))
    (root / "latest").write_text("one")
    try:
        checkpoint.load(root)
    finally:
        shutil.rmtree(root)


def beside(path, good):
    """A folder of good files but the one, whose name stands before the first dash of `path`."""
    folder = path.with_suffix(".folder")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, folder)
    shutil.move(path, folder / path.name.split("--")[0])
    return folder


JOBS = {
    "picture": (picture, (images.ImageError,)),
    "clip": (clip, (VideoError,)),
    "archive": (archive, (ArchiveError,)),
    "table": (table, (DataError,)),
    "journal": (journal, (JournalError,)),
    "network": (network, (CheckpointError, ValueError)),
    "adapter": (adapter, (CheckpointError, ValueError)),
    "card": (card, (PublishError,)),
    "saved": (saved, (TrainingError,)),
}


def serve(connection, place):
    """Do what comes: (kind, path) gives "read", "refused" or the fault."""
    connection.send("ready")  # whatever was imported until now is not the file's time
    while (asked := connection.recv()) is not None:
        kind, path = asked
        job, expected = JOBS[kind]
        try:
            job(Path(path), Path(place))
            connection.send("read")
        except expected as error:
            try:
                sentence(str(error))
                page_of(path, error)
                connection.send("refused")
            except AssertionError as odd:
                connection.send(f"{type(error).__name__} is no sentence: {str(odd)[:500]}")
        except BaseException as error:
            connection.send(f"{type(error).__name__}: {str(error)[:500]}")


def page_of(path, error):
    """The refusal in a page, where nothing of it is markup."""
    file = io.StringIO()
    with HtmlWriter(file, {}) as writer:
        writer.add(Report(Path(path).name, error=str(error)))
        writer.finish()
    harmless(file.getvalue())


def good(place):
    """Kind -> (name of the file, its bytes, whether it is text), of all that is broken."""
    photos = [(f"{name.replace(' ', '-')}.x", data, False) for name, (data, _) in GOOD.items()]
    frames = [np.full((64, 96, 3), 20 * i, np.uint8) for i in range(10)]
    clips = [
        (name, clip_fixtures.write(place / name, frames, codec=codec).read_bytes(), False)
        for name, codec in (
            ("a.mp4", "mpeg4"),
            ("a.mkv", "mpeg4"),
            ("a.avi", "mpeg4"),
            ("a.mts", "mpeg2video"),
        )
    ]
    base = tiny_models.build_blip2(place / "base", "opt")
    timm_run(place / "network")
    adapter_run(place / "adapter", base, str(base))
    tensors = {"model": {"w": torch.zeros(3)}, "optimiser-0": {"0.step": torch.zeros(())}}
    root = place / "checkpoint"
    for name, values in tensors.items():
        checkpoint.write_tensors(root / "one" / f"{name}.safetensors", values)
    checkpoint.write_json(root / "one" / "state.json", {"format": 2, "stage": "a", "plan": {}})
    return {
        "picture": photos,
        "clip": clips,
        "archive": [("a.zip", zipped(photos[:6]), False)],
        "table": tables(place),
        "journal": [("out.jsonl", rows(), True)],
        "network": folder(place / "network", "config.json", "ferce.json", "model.safetensors"),
        "adapter": folder(place / "adapter"),
        "card": folder(place / "network", "metrics.json", "ferce.json", "config.json"),
        "saved": folder(root / "one"),
    }


def folder(place, *names):
    paths = [place / name for name in names] or sorted(place.iterdir())
    return [(path.name, path.read_bytes(), path.suffix != ".safetensors") for path in paths]


def tables(place):
    """A manifest as CSV and as JSON lines."""
    Image.new("RGB", (60, 60)).save(place / "face.png")
    made = [
        {"file": "face.png", "label": "happily surprised", "split": "train", "subject": f"p{i}"}
        for i in range(5)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, made[0])
    writer.writeheader()
    writer.writerows(made)
    lines = "\n".join(map(json.dumps, made))
    return [("a.csv", text.getvalue().encode(), True), ("a.jsonl", lines.encode(), True)]
