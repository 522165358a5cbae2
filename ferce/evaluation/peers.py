"""The same photos read by ferce and by what else reads expressions on this machine, in one run.

Photos are decoded once and handed over as pixels, so that decoding does not count. Each tool reads
one photo after another, after one that is not timed.
"""

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferce import images
from ferce.core.types import Pixels
from ferce.reading.pipeline import Options, Reader

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "train" / "peers"
LIMIT = 3600  # seconds for all photos
UNTRIED = {
    "deepface 0.0.103": "fetches its weights from GitHub when it is first used",
    "py-feat 2.x": "fetches its weights from the Hub when it is first used",
}


class PeerError(ValueError):
    """A tool that could not be run, in one sentence."""


@dataclass(frozen=True)
class Peer:
    """Another tool: its name, what it returns, and the script that runs it."""

    name: str
    returns: str
    script: str
    options: tuple[str, ...] = ()

    def command(self, manifest: Path, folder: Path) -> list[str]:
        """Build the command that reads a manifest with what `folder` holds."""
        script = str(SCRIPTS / self.script)
        if script.endswith(".py"):
            return [str(folder / "fer" / "bin" / "python"), script, str(manifest)]
        return ["node", script, str(manifest), str(folder), *self.options]


EXPRESSIONS = "boxes, 68 landmarks, 7 expressions"
PEERS = (
    Peer("face-api, SSD", EXPRESSIONS, "face_api.mjs"),
    Peer("face-api, tiny detector", EXPRESSIONS, "face_api.mjs", ("tiny",)),
    Peer("human", "boxes, 478 landmarks, head pose, 7 emotions", "human.mjs"),
    Peer("fer", "boxes, 7 emotions", "fer_reader.py"),
)


@dataclass(frozen=True)
class Measured:
    """What a tool took for the photos: `milliseconds` of each, `faces` found in each."""

    name: str
    returns: str
    milliseconds: tuple[float, ...]
    faces: tuple[int, ...]

    @property
    def rate(self) -> float:
        """Photos a second, by the median photo."""
        return 1000 / statistics.median(self.milliseconds)

    def row(self, first: float) -> str:
        """Write the cells of a table; the ratio is to `first`, photos a second."""
        seen = f"{self.seen} of {len(self.faces)}"
        ratio = f"{self.rate / first:.2f}"
        return " | ".join([self.name, f"{self.rate:.1f}", ratio, seen, self.returns])

    @property
    def seen(self) -> int:
        """Photos in which at least one face was found."""
        return sum(count > 0 for count in self.faces)


@dataclass(frozen=True)
class Comparison:
    """The tools measured in one run, and why others were skipped."""

    photos: int
    measured: tuple[Measured, ...]
    skipped: dict[str, str]

    def table(self) -> str:
        """Write a Markdown table; the ratio is to ferce's prediction."""
        head = "| tool | photos/s | ratio | photos with a face | returns |\n|---|--:|--:|--:|---|"
        first = self.measured[0].rate
        rows = [f"| {one.row(first)} |" for one in self.measured]
        return "\n".join(
            [head, *rows, *(f"\nskipped: {n}: {why}" for n, why in self.skipped.items())]
        )


def compare(photos: Sequence[Path], folder: Path) -> Comparison:
    """Read photos with ferce and with every peer installed in `folder`.

    Raises:
        ImageError: a photo cannot be read.
    """
    pictures = [images.load(photo) for photo in photos]
    measured, skipped = list(own(pictures)), dict(UNTRIED)
    with tempfile.TemporaryDirectory() as temporary:
        manifest = write(pictures, Path(temporary))
        for peer in PEERS:
            try:
                measured.append(run(peer, manifest, folder))
            except PeerError as error:
                skipped[peer.name] = str(error)
    return Comparison(len(pictures), tuple(measured), skipped)


def own(pictures: Sequence[Pixels]) -> Iterator[Measured]:
    """Measure ferce's prediction alone and its whole reading with the default voice."""
    quick = Options(method=None, explain=False)
    components = "478 landmarks, pose, 17 action units, 14 compounds and 7 expressions"
    with Reader() as reader:
        yield _timed(reader, pictures, quick, "ferce, prediction", components)
        whole = f"{components}, heat map, explanation, checks of its claims"
        yield _timed(reader, pictures, Options(), "ferce, whole reading", whole)


def _timed(
    reader: Reader, pictures: Sequence[Pixels], options: Options, name: str, returns: str
) -> Measured:
    reader.read(pictures[0], options=options)
    milliseconds, faces = [], []
    for picture in pictures:
        start = time.perf_counter()
        report = reader.read(picture, options=options)
        milliseconds.append((time.perf_counter() - start) * 1e3)
        faces.append(len(report.readings))
    return Measured(name, returns, tuple(milliseconds), tuple(faces))


def write(pictures: Sequence[Pixels], folder: Path) -> Path:
    """Write pixels as raw RGB bytes, and the manifest that names them with their sizes."""
    photos = []
    for index, picture in enumerate(pictures):
        file = folder / f"{index}.rgb"
        np.ascontiguousarray(picture).tofile(file)
        photos.append({"file": str(file), "height": picture.shape[0], "width": picture.shape[1]})
    manifest = folder / "photos.json"
    manifest.write_text(json.dumps({"photos": photos}), encoding="utf-8")
    return manifest


def run(peer: Peer, manifest: Path, folder: Path) -> Measured:
    """Run a peer's script on a manifest.

    Raises:
        PeerError: it is not installed in `folder`, or stopped without an answer.
    """
    try:
        done = subprocess.run(
            peer.command(manifest, folder.resolve()),
            capture_output=True, text=True, timeout=LIMIT, check=True,
        )  # fmt: skip
        answer = json.loads(done.stdout.splitlines()[-1])
    except FileNotFoundError as error:
        raise PeerError(f"not installed: {error.filename} does not exist") from None
    except subprocess.CalledProcessError as error:
        raise PeerError(f"not installed in {folder}, or stopped: {_last(error.stderr)}") from None
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        raise PeerError("it gave no answer") from None
    faces = tuple(len(labels) for labels in answer["labels"])
    name = f"{peer.name} {answer['version']}"
    return Measured(name, peer.returns, tuple(answer["milliseconds"]), faces)


def _last(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if "Error" in line]
    return lines[0] if lines else "without a word"
