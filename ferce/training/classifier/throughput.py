"""How many faces a second `train/train_classifier.py` trains on, beside a plain timm loop.

Both sides train the same network on the same pictures for the same epochs, each in a process of
its own, and each epoch ends with a validation and a checkpoint. The first epoch is not measured.
The plain loop is timm's own: its
folder data set, its training transform, its loader and checkpoint, AdamW and cross-entropy.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median

import timm
import torch
from PIL import Image
from timm.utils import CheckpointSaver
from torch import Tensor

from ferce.data import load_data
from ferce.data.align import Aligned
from ferce.data.record import DataSet
from ferce.training import examples
from ferce.training.classifier.network import Opened, open_network
from ferce.training.classifier.plan import Plan
from ferce.training.classifier.run import train

SIDES = ("ours", "plain")
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Comparison:
    """Faces a second of both sides, one value a round."""

    ours: tuple[float, ...]
    plain: tuple[float, ...]
    faces: int
    network: str
    size: int

    @property
    def faster(self) -> float:
        """Faces a second of ours over the plain loop's, by the median round."""
        return median(self.ours) / median(self.plain)

    def table(self) -> str:
        """Write the comparison as Markdown."""
        rows = [
            f"| {name} | {median(rates):.1f} |"
            for name, rates in (("ours", self.ours), ("plain timm loop", self.plain))
        ]
        head = ["| recipe | faces/s |", "|---|--:|"]
        return "\n".join([*head, *rows, f"| ratio | {self.faster:.2f} |"])


def compare(plan: Plan, rounds: int = 2, most: int = 128) -> Comparison:
    """Run both sides by turns, each in a fresh process.

    Args:
        plan: what would be trained; at least two epochs, of which the first is not measured.
        rounds: of each side.
        most: rows of the data that are read, about; every other so many are left out.

    Raises:
        RuntimeError: a side failed; the message ends with what it said.
    """
    turns = [{side: _apart(side, plan, most) for side in SIDES} for _ in range(rounds)]
    first = turns[0]["ours"]
    rates = {side: tuple(turn[side].rate for turn in turns) for side in SIDES}
    return Comparison(rates["ours"], rates["plain"], first.faces, first.network, first.size)


@dataclass(frozen=True)
class Pace:
    """One side of one round: faces a second after the first epoch."""

    rate: float
    faces: int
    network: str
    size: int


def _apart(side: str, plan: Plan, most: int) -> Pace:
    command = [sys.executable, "-m", "ferce.training.classifier.throughput", side]
    command += [json.dumps(asdict(plan)), str(most)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"The side {side!r} failed: {done.stderr[-1500:]}")
    return Pace(**json.loads(done.stdout.splitlines()[-1]))


def ours(plan: Plan, data: DataSet) -> Pace:
    """Train as `train/train_classifier.py` does."""
    faces, labels = _faces(plan, data)
    with tempfile.TemporaryDirectory() as folder:
        history = train(plan, Path(folder), data=data)["history"]
    return _pace(plan, faces, labels, history[-1]["seconds"] - history[0]["seconds"])


def plain(plan: Plan, data: DataSet) -> Pace:
    """Train by timm's loader and checkpoints in a plain loop, on the aligned faces as files."""
    faces, labels = _faces(plan, data)
    opened = open_network(plan, labels)
    network: torch.nn.Module = opened.net.network
    adam = torch.optim.AdamW(network.parameters(), plan.lr, weight_decay=plan.weight_decay)
    with tempfile.TemporaryDirectory() as folder:
        saver = CheckpointSaver(network, adam, checkpoint_dir=folder, max_history=1)
        training = _loader(Path(folder, "train"), faces.train, labels, plan, opened)
        validation = _loader(Path(folder, "val"), faces.val, labels, plan, opened)
        for epoch in range(plan.epochs):
            _train(network, adam, training, plan.smoothing)
            saver.save_checkpoint(epoch, _right(network, validation))
            if epoch == 0:
                begun = time.perf_counter()
    return _pace(plan, faces, labels, time.perf_counter() - begun)


def thinned(spec: str, most: int) -> DataSet:
    """Leave every nth row of a data set, about `most` of those that are not of the test split."""
    whole = load_data(spec)
    step = max(1, sum(row.split != "test" for row in whole.rows()) // most)
    return DataSet(
        spec, lambda: islice((row for row in whole.rows() if row.split != "test"), 0, None, step)
    )


def _faces(plan: Plan, data: DataSet) -> tuple[examples.Examples, tuple[str, ...]]:
    faces = examples.read(plan.data, plan, data)
    return faces, examples.labels_of(faces, plan)


def _pace(plan: Plan, faces: examples.Examples, labels: tuple[str, ...], seconds: float) -> Pace:
    opened = open_network(plan, labels)
    rate = len(faces.train) * (plan.epochs - 1) / seconds
    return Pace(
        rate,
        len(faces.train),
        opened.net.network.default_cfg["architecture"],
        opened.preprocessing.size[0],
    )


def _loader(
    folder: Path, items: Sequence[Aligned], labels: Sequence[str], plan: Plan, opened: Opened
) -> Iterable[tuple[Tensor, Tensor]]:
    """Write the faces as JPEG files, a folder a label, and load them as timm does."""
    for number, item in enumerate(items):
        if item.sample.label in labels:
            home = folder / str(item.sample.label)
            home.mkdir(parents=True, exist_ok=True)
            Image.fromarray(item.face().crop).save(home / f"{number}.jpg", quality=95)
    batches: Iterable[tuple[Tensor, Tensor]] = timm.data.create_loader(
        timm.data.ImageDataset(str(folder), class_map={name: i for i, name in enumerate(labels)}),
        (3, *opened.preprocessing.size),
        plan.batch,
        is_training=folder.name == "train",
        use_prefetcher=False,
        num_workers=plan.workers,
    )
    return batches


def _train(
    network: torch.nn.Module,
    adam: torch.optim.Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    smoothing: float,
) -> None:
    loss = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
    network.train()
    for pictures, targets in batches:
        adam.zero_grad()
        loss(network(pictures), targets).backward()
        adam.step()


def _right(network: torch.nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> int:
    network.eval()
    with torch.inference_mode():
        return sum(int((network(x).argmax(1) == y).sum()) for x, y in batches)


if __name__ == "__main__":
    _sides = {"ours": ours, "plain": plain}
    _plan = Plan(**json.loads(sys.argv[2]))
    _measured = _sides[sys.argv[1]](_plan, thinned(_plan.data, int(sys.argv[3])))
    sys.stdout.write(json.dumps(asdict(_measured)) + "\n")
