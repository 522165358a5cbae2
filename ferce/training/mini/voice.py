"""How well a small BLIP-2 answers: yes or no on each cue, with the right picture and another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.evaluation import cues
from ferce.models.vlm import scoring
from ferce.training.mini import house, jitter, tower
from ferce.training.mini.album import Album

SOME = 300  # faces that are asked between steps
ANSWERS = ("Yes", "No")


@dataclass(frozen=True)
class Said:
    """What came out.

    Attributes:
        score: balanced accuracy of the answers, yes where it is likelier than no.
        swapped: the same with the picture of another face; .5 for a voice that looks.
        changed: share of the answers that change with the picture.
    """

    score: cues.Score
    swapped: float
    changed: float

    def told(self) -> str:
        """One line."""
        return f"{self.score.told()}, swapped {self.swapped:.3f}, changed {self.changed:.2f}"


@torch.no_grad()  # type: ignore[untyped-decorator]
def margins(backend: Any, album: Album, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, C) log-odds of yes against no on each cue, about the faces with these numbers."""
    asked = [backend.question(text) for text in house.score_prompts().values()]
    side = backend.processor.image_processor.size["height"]
    rows = []
    for start in range(0, len(numbers), 32):
        some = numbers[start : start + 32]
        pixels = torch.from_numpy(np.stack([album.pixels[i] for i in some]))
        images = jitter.plain(pixels.to(backend.device), side)
        rows.append(np.stack([_margin(backend, images, text) for text in asked], 1))
    return np.concatenate(rows)


def _margin(backend: Any, images: Any, asked: str) -> NDArray[np.float32]:
    """(n,) log-odds of yes against no as the first word of the answer to one question."""
    tokenizer, config = backend.processor.tokenizer, backend.network.config
    ids = [config.image_token_id] * config.num_query_tokens + tokenizer(asked)["input_ids"]
    told = torch.tensor([ids] * len(images), device=backend.device)
    inputs = {"pixel_values": images, "input_ids": told, "attention_mask": torch.ones_like(told)}
    tokens = backend.continuations(asked, ANSWERS)
    found = scoring.likelihoods(backend.prefix(inputs), tokens, backend.device)
    return np.asarray((found[:, 0] - found[:, 1]).float().cpu().numpy(), np.float32)


def measure(backend: Any, album: Album, numbers: NDArray[np.int64]) -> Said:
    """Yes/no accuracy, and what a change of pictures does to it."""
    found = margins(backend, album, numbers)
    wanted = cues.truths(tower.told(album, numbers))
    other = np.roll(found, 1, 0)
    asked = ~np.isnan(wanted)
    changed = float(((found > 0) != (other > 0))[asked].mean())
    return Said(cues.measure(found, wanted), cues.measure(other, wanted).mean, changed)


def judged(backend: Any, albums: Mapping[str, Album], split: str = "val", some: int = SOME) -> str:
    """In one line, on renders and annotated photos of a split; `some` 0 asks about all."""
    lines = []
    for name in ("renders", "annotated"):
        numbers = albums[name].where(split)
        if some:
            numbers = np.random.default_rng(1).permutation(numbers)[:some]
        lines.append(f"{name} {measure(backend, albums[name], numbers).told()}")
    return "; ".join(lines)
