"""From packed faces to a small FastVLM on disk, and what it is measured by."""

import platform
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS
from ferce.evaluation import cues, metrics
from ferce.models.calibration import Calibration, save_calibration, softmax
from ferce.models.hub import read_json
from ferce.training import progress
from ferce.training.checkpoint import write_json
from ferce.training.mini import account, album, chat, house, jitter, speech, talk, tower
from ferce.training.mini.album import Album
from ferce.training.mini.course import Pace, averaged

ALBUMS = ("renders", "faces", "annotated")
SETTLING = 384  # faces that settle the projector's start
GLANCED, DESCRIBED = 200, 300  # faces asked between steps; renders described to be measured
ANSWERS = ("Yes", "No")
METRICS = "metrics.json"
SHARD = "9MB"  # no file of the package is larger


@dataclass(frozen=True, eq=False)
class Recipe:
    """What teaching is given.

    Attributes:
        folder: holds albums and checkpoint.
        tower: folder of the classifier whose network sees.
        pace: how long and how fast.
        report: takes a line every few minutes.
        data: spec of what the albums were packed from, for the card.
    """

    folder: Path
    tower: Path
    pace: Pace
    report: progress.Report = progress.silent
    data: str = "rendered:renders + manifest:taught.jsonl"

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return self.folder / "talk.safetensors"


def teach(recipe: Recipe) -> None:
    """Teach to the last step."""
    albums, backend = opened(recipe)

    def judge() -> str:
        numbers = album.some(albums["renders"].where("val"), GLANCED)
        known = {name: albums[name].where("val") for name in ("renders", "annotated")}
        asked = {
            name: answers(backend, albums[name], album.some(n, GLANCED))
            for name, n in known.items()
        }
        right = named(backend, albums["renders"], numbers)
        told = "; ".join(f"{name} {score.told()}" for name, score in asked.items())
        return f"{told}; labels {right:.3f}"

    talk.teach(backend, albums, recipe.pace, recipe.path, recipe.report, judge)


def opened(recipe: Recipe) -> tuple[dict[str, Album], Any]:
    """The albums, and a `chat.Chat` around a network that has learnt nothing yet."""
    from transformers import AutoProcessor

    albums = {name: album.load(recipe.folder / "albums" / name) for name in ALBUMS}
    kept = recipe.folder / "talk-processor"  # later words of ferce must not move the tokens
    if not kept.is_dir():
        chat.processor(_corpus(albums["renders"], recipe.pace.seed)).save_pretrained(kept)
    processor = AutoProcessor.from_pretrained(kept, trust_remote_code=False)
    torch.manual_seed(recipe.pace.seed)
    some = album.some(albums["renders"].where("train"), SETTLING)
    pixels = torch.from_numpy(np.stack([albums["renders"].pixels[i] for i in some]))
    network = chat.fresh(processor.tokenizer, recipe.tower, jitter.plain(pixels, chat.SIDE))
    return albums, wrapped(network, processor)


def wrapped(network: Any, processor: Any) -> Any:
    """The network as a `chat.Chat`, which reads prompts and makes answers."""
    from ferce.models.vlm.chat import Chat
    from ferce.models.vlm.loading import Checkpoint, Settings

    processor.tokenizer.padding_side = "left"
    return Chat("fastvlm-mini", Checkpoint(network, processor, Path()), Settings(batch=32))


def export(recipe: Recipe, folder: Path) -> None:
    """Write the network as plain transformers loads it, in float16, no file above `SHARD`.

    Its label scores are calibrated on the val split of the renders.
    """
    albums, backend = opened(recipe)
    net = talk.Talker(backend.network)
    net.load_state_dict(averaged(recipe.path))
    calibration = _calibration(backend, albums["renders"])
    backend.network.half().save_pretrained(folder, max_shard_size=SHARD)
    backend.processor.save_pretrained(folder)
    write_json(folder / METRICS, _facts(recipe, backend))
    save_calibration(folder, calibration)


def _calibration(backend: Any, book: Album) -> Calibration:
    """Temperature and set mass on the val split; those of no calibration where it has no labels."""
    found, truth = _likelihoods(backend, book, book.where("val"))
    if not len(truth):
        return Calibration()
    temperature = metrics.fit_temperature(truth, found)
    return Calibration(temperature, metrics.fit_set_mass(truth, softmax(found, temperature)))


def _facts(recipe: Recipe, backend: Any) -> dict[str, Any]:
    """What it learnt from and how, as a card wants it."""
    albums = [album.load(recipe.folder / "albums" / name) for name in ALBUMS[:2]]
    labels = Counter(
        book.samples[i].label or "unlabelled" for book in albums for i in book.where("train")
    )
    return {
        "data": {"spec": recipe.data, "train": dict(sorted(labels.items()))},
        "origin": f"tower of {recipe.tower.name}, language model from random weights",
        "parameters": sum(p.numel() for p in backend.network.parameters()),
        "plan": asdict(recipe.pace),
        "machine": {"device": f"{platform.machine()} CPU, {torch.get_num_threads()} threads"}
        | {name: version(name) for name in ("torch", "transformers", "timm")},
    }


def measure(recipe: Recipe, folder: Path, split: str, most: int = 0) -> dict[str, Any]:
    """What the exported network says of a split, also written to its `metrics.json`.

    Returns:
        For renders and annotated photos: balanced accuracy of yes and no and of each cue, the same
        with the next face's picture; for renders: accuracy of the scored labels, and micro F1 of
        the action units that descriptions name.
    """
    from ferce.models.spec import Spec
    from ferce.models.vlm.chat import load

    backend = load(Spec("chat", str(folder)), "cpu")
    albums = {name: album.load(recipe.folder / "albums" / name) for name in ALBUMS}
    told: dict[str, Any] = {}
    for name in ("renders", "annotated"):
        numbers = album.some(albums[name].where(split), most)
        score = answers(backend, albums[name], numbers)
        swapped = answers(backend, albums[name], numbers, shift=1)
        told[name] = {"faces": len(numbers), "yes_no_balanced": score.mean, "swapped": swapped.mean}
        told[name]["cues"] = {k: v for k, v in score.balanced.items() if v == v}
    renders = albums["renders"]
    numbers = album.some(renders.where(split), most)
    told["renders"]["label_accuracy"] = named(backend, renders, numbers)
    said = account.measure(backend, renders, album.some(numbers, DESCRIBED))
    told["renders"] |= {"mention_f1": said.f1, "mention_f1_swapped": said.swapped}
    known = read_json(folder / METRICS) if (folder / METRICS).is_file() else {}
    write_json(folder / METRICS, {**known, "asked": {**known.get("asked", {}), split: told}})
    return told


def answers(backend: Any, book: Album, numbers: NDArray[np.int64], shift: int = 0) -> cues.Score:
    """Balanced accuracy of yes against no on each cue; `shift`: with pictures of other faces."""
    asked = house.score_prompts().values()
    crops = [book.pixels[i] for i in np.roll(numbers, shift)]
    columns = [_margin(backend, crops, backend.question(text)) for text in asked]
    return cues.measure(np.stack(columns, 1), cues.truths(tower.told(book, numbers)))


def _margin(backend: Any, crops: Any, asked: str) -> NDArray[np.float32]:
    found = backend.log_likelihoods(crops, ANSWERS, asked)
    return np.asarray(found[:, 0] - found[:, 1], np.float32)


def named(backend: Any, book: Album, numbers: NDArray[np.int64]) -> float:
    """Accuracy of the likeliest compound label over the faces that have one; NaN without any."""
    found, truth = _likelihoods(backend, book, numbers)
    return float((found.argmax(1) == truth).mean()) if len(truth) else float("nan")


def _likelihoods(backend: Any, book: Album, numbers: NDArray[np.int64]) -> tuple[Any, Any]:
    """(N, 14) log-likelihoods of the compounds, and (N,) the true one, of faces that have one."""
    held = [i for i in numbers if book.samples[i].label in COMPOUNDS]
    truth = np.array([COMPOUNDS.index(str(book.samples[i].label)) for i in held], np.intp)
    if not held:
        return np.zeros((0, len(COMPOUNDS))), truth
    return backend.log_likelihoods([book.pixels[i] for i in held], COMPOUNDS), truth


def _corpus(book: Album, seed: int) -> list[str]:
    """Texts that hold every word of training."""
    among = {"renders": book, "faces": book}
    turns = [t for k in range(speech.CORPUS_ROUNDS) for t in talk.turns(among, k, seed).turns]
    return [*speech.corpus(book, seed), *(text for t in turns for text in (t.prompt, t.answer))]
