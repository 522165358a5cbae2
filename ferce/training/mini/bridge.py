"""The third thing taught: a Q-Former that says in code what the tower sees.

The language model takes no part. The queries are to give the code of the facts, and a linear
read-out of them the units themselves; their likeness to one another shows if they collapse.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ferce.evaluation import cues
from ferce.training import progress
from ferce.training.mini import code, design, jitter, tower
from ferce.training.mini.album import Album
from ferce.training.mini.course import Course, Pace
from ferce.training.mini.tower_loop import CHECKED

REAL = 0.25  # share of real faces
Module: Any = torch.nn.Module


class Bridge(Module):  # type: ignore[misc]
    """Queries, Q-Former, projection, and a read-out of the facts behind it."""

    def __init__(self, network: Any) -> None:
        """`network` is a whole BLIP-2, whose parts learn in place."""
        super().__init__()
        self.queries = network.query_tokens
        self.former, self.projection = network.qformer, network.language_projection
        self.facts = torch.nn.Linear(design.QUERIES * design.WIDTH, code.FACTS)
        with torch.no_grad():
            self.facts.weight.mul_(0.1)
            self.facts.bias.fill_(-2.0)

    def forward(self, tokens: Any) -> tuple[Any, Any]:
        """Tokens (N, 1 + P, D) of the tower to the code (N, Q, W), and scores of the facts."""
        read = self.former(
            query_embeds=self.queries.expand(len(tokens), -1, -1), encoder_hidden_states=tokens
        ).last_hidden_state
        seen = self.projection(read)
        return seen, self.facts(seen.flatten(1))


def loss(bridge: Bridge, known: Any, tokens: Any, facts: Any) -> tuple[Any, Any]:
    """Distance from the code in units of its spread, and cross-entropy of the known facts.

    What nobody knows of a face is taken from the read-out itself.

    Args:
        bridge: what learns.
        known: the `code.Code` of the language model, frozen.
        tokens: (N, 1 + P, D) of the tower.
        facts: (N, FACTS), nan where unknown.
    """
    seen, scores = bridge(tokens)
    told = ~facts.isnan()
    with torch.no_grad():
        wanted = known(torch.where(told, facts.nan_to_num(), scores.sigmoid()))
        spread = known.words.weight.square().mean()
    apart = functional.mse_loss(seen, wanted) / spread
    return apart, functional.binary_cross_entropy_with_logits(scores[told], facts[told])


def likeness(seen: Any) -> float:
    """Mean cosine between two queries' codes of one face, less what all faces share; 1: collapse.

    Args:
        seen: (N, Q, W).
    """
    own = functional.normalize(seen - seen.mean(0, keepdim=True), dim=-1)
    alike = own @ own.transpose(1, 2)
    count = alike.shape[-1]
    return float((alike.sum((1, 2)) - count).mean() / (count * (count - 1)))


def teach(
    network: Any,
    known: Any,
    albums: Mapping[str, Album],
    pace: Pace,
    path: Path,
    report: progress.Report = progress.silent,
) -> Bridge:
    """The bridge of a network whose tower is taught, from `path` on where that is a checkpoint."""
    torch.manual_seed(pace.seed)
    device = str(network.device)
    pool = tower.faces(albums["renders"], albums["faces"], REAL)
    told = _facts(albums)
    network.vision_model.eval().requires_grad_(False)
    known.to(device).requires_grad_(False)
    bridge = Bridge(network)
    bridge.to(device)
    course = Course(bridge, pace, path)
    if course.resume():
        report(f"bridge: going on from step {course.step}")
    sums, begun = np.zeros(3), time.monotonic()
    while not course.done:
        tokens, facts = _batch(network, pool, told, pace, course.step)
        apart, wrong = loss(bridge, known, tokens, facts)
        (apart + wrong).backward()
        course.advance()
        sums += (apart.item(), wrong.item(), 1)
        if course.due:
            course.save()
            speed = sums[2] * pace.batch / (time.monotonic() - begun)
            report(
                f"bridge step {course.step}: code {sums[0] / sums[2]:.4f}, facts "
                f"{sums[1] / sums[2]:.4f}, {speed:.0f} faces/s; " + judged(course, network, albums)
            )
            sums, begun = np.zeros(3), time.monotonic()
    course.finish()
    return bridge


def judged(course: Course, network: Any, albums: Mapping[str, Album], split: str = "val") -> str:
    """The read-out behind the queries, with the limits of training renders, and their likeness."""
    with course.ema.used():
        renders, device = albums["renders"], network.device
        known = np.random.default_rng(0).permutation(renders.where("train"))[:CHECKED]
        scores, _ = read(network, course.net, renders, known, device)
        at = cues.limits(scores, cues.truths(tower.told(renders, known)))
        lines = []
        for name in ("renders", "annotated"):
            numbers = albums[name].where(split)
            scores, alike = read(network, course.net, albums[name], numbers, device)
            wanted = cues.truths(tower.told(albums[name], numbers))
            found = cues.measure(scores, wanted, at)
            lines.append(f"{name} {found.told()}, queries alike {alike:.2f}")
    return "; ".join(lines)


@torch.no_grad()  # type: ignore[untyped-decorator]
def read(
    network: Any, bridge: Bridge, album: Album, numbers: Any, device: Any
) -> tuple[Any, float]:
    """(n, C) scores of the cues, and the likeness of the queries."""
    rows, alike = [], []
    for start in range(0, len(numbers), 128):
        some = numbers[start : start + 128]
        pixels = torch.from_numpy(np.stack([album.pixels[i] for i in some])).to(device)
        images = jitter.plain(pixels, design.SIDE)
        seen, scores = bridge(network.vision_model(pixel_values=images).last_hidden_state)
        rows.append(scores[:, : 2 * tower.UNITS].view(-1, 2, tower.UNITS).amax(1).cpu().numpy())
        alike.append(likeness(seen))
    return cues.of_units(np.concatenate(rows)), float(np.mean(alike))


def _facts(albums: Mapping[str, Album]) -> Any:
    """(N, FACTS) of the training faces in the order of `tower.faces`."""
    pair = (albums["renders"], albums["faces"])
    return code.facts([book.samples[i] for book in pair for i in book.where("train")])


def _batch(network: Any, pool: tower.Faces, told: Any, pace: Pace, step: int) -> tuple[Any, Any]:
    """Tokens and facts of a step; the same whenever it is made."""
    some = pool.draw(pace.batch, (pace.seed + 2, step))
    device = str(network.device)
    dice = torch.Generator(device).manual_seed(pace.seed * 1_000_003 + step + 1)
    images, flags = jitter.varied(pool.pixels(some).to(device), design.SIDE, dice)
    with torch.no_grad():
        tokens = network.vision_model(pixel_values=images).last_hidden_state
    return tokens, code.mirrored(told[some].to(device), flags)
