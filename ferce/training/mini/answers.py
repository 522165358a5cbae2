"""How well a small model answers and describes, with the right picture and with another."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS
from ferce.core.types import Pixels
from ferce.data.captions import visible
from ferce.data.record import PRESENT, hidden_in
from ferce.evaluation import units
from ferce.explanation.text.verdicts import COUNTS, compare
from ferce.models.prompts import HOUSE
from ferce.models.vlm import scoring
from ferce.models.vlm.base import VisionLanguage
from ferce.models.vlm.blip2 import Blip2
from ferce.training.mini import questions
from ferce.training.mini.album import Album, plain, some
from ferce.training.options import Json

GLANCED = 300  # faces that are asked between steps
DESCRIBED = 300  # renders that are described to be measured
TOKENS = 120  # of a description, at most
ANSWERS = ("Yes", "No")
PICTURED = ("renders", "annotated")  # albums that tell how well a model sees
Numbers = NDArray[np.int64]
Values = NDArray[np.float32]


class Describer(Protocol):
    """What `mentions` needs of a model."""

    def question(self, text: str) -> str:
        """Put a question into the family's format."""
        ...

    def reply(self, crops: Sequence[Pixels], asked: Sequence[str], limit: int) -> list[str]:
        """Answer each formatted prompt about its crop."""
        ...


@dataclass(frozen=True)
class Accuracy:
    """Answers to the questions on the cues.

    Attributes:
        score: balanced accuracy, yes where it is likelier than no.
        swapped: the same with the picture of another face; .5 for a model that looks.
        changed: share of the answers that change with the picture.
    """

    score: units.CueScore
    swapped: float
    changed: float

    def line(self) -> str:
        """Put the figures into one line."""
        return f"{self.score}, swapped {self.swapped:.3f}, changed {self.changed:.2f}"

    def to_json(self) -> Json:
        """Give the figures as a card wants them."""
        return {
            "yes_no_balanced": self.score.mean,
            "cues": {name: value for name, value in self.score.balanced.items() if value == value},
            "swapped": self.swapped,
            "changed": self.changed,
        }


def accuracy(backend: VisionLanguage, album: Album, numbers: Numbers) -> Accuracy:
    """Ask about the cues, and with the next face's picture again."""
    right = margins(backend, album, numbers)
    wanted = units.cue_truths(album.strengths(numbers))
    other = np.roll(right, 1, 0)
    asked = ~np.isnan(wanted)
    changed = float(((right > 0) != (other > 0))[asked].mean())
    return Accuracy(units.score_cues(right, wanted), units.score_cues(other, wanted).mean, changed)


def summary(
    backend: VisionLanguage, albums: Mapping[str, Album], split: str, most: int = GLANCED
) -> str:
    """Measure accuracy on some renders and photos of a split, in one line; 0 takes all."""
    lines = []
    for name in PICTURED:
        numbers = some(albums[name].where(split), most)
        lines.append(f"{name} {accuracy(backend, albums[name], numbers).line()}")
    return "; ".join(lines)


@torch.no_grad()  # type: ignore[untyped-decorator]
def margins(backend: VisionLanguage, album: Album, numbers: Numbers) -> Values:
    """Compute (n, C) log-odds of yes against no on each cue, about the faces with these numbers."""
    asked = [backend.question(text) for text in questions.score_prompts().values()]
    if not isinstance(backend, Blip2):
        crops = list(album.crops(numbers))
        columns = [backend.log_likelihoods(crops, ANSWERS, text) for text in asked]
        return np.stack([column[:, 0] - column[:, 1] for column in columns], 1).astype(np.float32)
    side = backend.processor.image_processor.size["height"]
    rows = []
    for start in range(0, len(numbers), 32):
        pixels = torch.from_numpy(album.crops(numbers[start : start + 32]))
        images = plain(pixels.to(backend.device), side)
        rows.append(np.stack([_margin(backend, images, text) for text in asked], 1))
    return np.concatenate(rows)


def _margin(backend: Blip2, images: torch.Tensor, asked: str) -> Values:
    """Compute (n,) log-odds of yes against no as the first word of the answer to one question."""
    tokenizer, config = backend.processor.tokenizer, backend.network.config
    ids = [config.image_token_id] * config.num_query_tokens + tokenizer(asked)["input_ids"]
    rows = torch.tensor([ids] * len(images), device=backend.device)
    inputs = {"pixel_values": images, "input_ids": rows, "attention_mask": torch.ones_like(rows)}
    tokens = backend.continuations(asked, ANSWERS)
    values = scoring.likelihoods(backend.prefix(inputs), tokens, backend.device)
    return np.asarray((values[:, 0] - values[:, 1]).float().cpu().numpy(), np.float32)


def label_accuracy(backend: VisionLanguage, album: Album, numbers: Numbers) -> float:
    """Measure the accuracy of the likeliest compound over faces that have one; NaN without any."""
    values, truth = likelihoods(backend, album, numbers)
    return float((values.argmax(1) == truth).mean()) if len(truth) else float("nan")


def likelihoods(
    backend: VisionLanguage, album: Album, numbers: Numbers
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Compute (N, 14) log-likelihoods of the compounds, and (N,) truth, of faces that have one."""
    held = [int(i) for i in numbers if album.samples[i].label in COMPOUNDS]
    truth = np.array([COMPOUNDS.index(str(album.samples[i].label)) for i in held], np.intp)
    if not held:
        return np.zeros((0, len(COMPOUNDS))), truth
    return backend.log_likelihoods(list(album.crops(held)), COMPOUNDS), truth


@dataclass(frozen=True)
class Mentioned:
    """Micro precision and recall of the named units, 0..1, and F1 for the faces of others."""

    precision: float
    recall: float
    swapped: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return harmonic(self.precision, self.recall)


def mentions(backend: Describer, album: Album, numbers: Numbers) -> Mentioned:
    """Describe the faces with these numbers whose units are known and in sight, by `HOUSE`."""
    known = [int(i) for i in numbers if _seen(album, int(i)) is not None]
    asked = [backend.question(HOUSE)] * len(known)
    pictures = [np.array(album.pixels[i]) for i in known]  # a map of a file cannot be written to
    texts = backend.reply(pictures, asked, TOKENS)
    own = _shares(texts, album, known)
    return Mentioned(*own, swapped=harmonic(*_shares(texts, album, [*known[1:], *known[:1]])))


def harmonic(a: float, b: float) -> float:
    """Compute the harmonic mean; 0 where both are."""
    return 2 * a * b / (a + b) if a + b else 0.0


def _shares(texts: list[str], album: Album, faces: list[int]) -> tuple[float, float]:
    """Measure precision and recall of texts against faces."""
    table = []
    for text, number in zip(texts, faces, strict=True):
        units = album.samples[number].units or ()
        faint = {u.unit for u in units if (u.intensity or 1.0) < PRESENT}
        table.append(astuple(compare(text, _seen(album, number) or set(), faint)))
    count = dict(zip(COUNTS, np.sum(table, 0).tolist(), strict=True))
    named = count["right"] + count["invented"]
    return count["right"] / max(named, 1), count["found"] / max(count["there"], 1)


def _seen(album: Album, number: int) -> set[int] | None:
    """List the units that can be named; None where that is not known."""
    sample = album.samples[number]
    hidden = hidden_in(sample)
    if sample.units is None or hidden is None:
        return None
    return {unit.unit for unit in visible(sample.units, hidden)}
