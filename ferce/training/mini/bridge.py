"""The last two stages: a Q-Former that says in code what the tower sees, and the whole at once.

In the former the language model takes no part. The queries are to give the code of the facts, and
a linear read-out of them the units themselves; their likeness shows if they collapse.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ferce.evaluation import units
from ferce.models.vlm.blip2 import Blip2
from ferce.training import progress
from ferce.training.examples import Indices
from ferce.training.language.loss_model import LossModel
from ferce.training.language.rows import Row, Tokeniser
from ferce.training.mini import answers, design, questions, speech, tower
from ferce.training.mini.album import Album, plain, varied
from ferce.training.mini.stage import Schedule, StageTask, fit
from ferce.training.task import Epoch, Position

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration


class Bridge(torch.nn.Module):  # type: ignore[misc]
    """Queries, Q-Former, projection, and a read-out of the facts behind it."""

    def __init__(self, network: "Blip2ForConditionalGeneration") -> None:
        """`network` is a whole BLIP-2, whose parts learn in place."""
        super().__init__()
        self.queries = network.query_tokens
        self.former, self.projection = network.qformer, network.language_projection
        self.facts = torch.nn.Linear(design.QUERIES * design.WIDTH, speech.FACTS)
        with torch.no_grad():
            self.facts.weight.mul_(0.1)
            self.facts.bias.fill_(-2.0)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (N, 1 + P, D) of the tower to the code (N, Q, W), and scores of the facts."""
        read = self.former(
            query_embeds=self.queries.expand(len(tokens), -1, -1), encoder_hidden_states=tokens
        ).last_hidden_state
        seen = self.projection(read)
        return seen, self.facts(seen.flatten(1))


def likeness(seen: Tensor) -> float:
    """Measure the mean cosine of two queries' codes of a face, less the faces' mean; 1: collapse.

    Args:
        seen: (N, Q, W).
    """
    own = functional.normalize(seen - seen.mean(0, keepdim=True), dim=-1)
    alike = own @ own.transpose(1, 2)
    count = alike.shape[-1]
    return float((alike.sum((1, 2)) - count).mean() / (count * (count - 1)))


class BridgeTask(StageTask[tuple[Tensor, Tensor]]):
    """Learns the language model's code of the facts from what a frozen tower sees."""

    def __init__(
        self,
        network: "Blip2ForConditionalGeneration",
        known: speech.Code,
        albums: Mapping[str, Album],
        schedule: Schedule,
    ) -> None:
        """`known` is the code that the language model reads."""
        self.network, self.known, self.albums = network, known, albums
        self.pool = tower.faces(albums["renders"], albums["faces"], tower.REAL)
        self.facts = _facts(albums)
        network.vision_model.eval().requires_grad_(False)
        known.to(network.device).requires_grad_(False)
        self.bridge: Bridge = Bridge(network).to(network.device)
        super().__init__("bridge", self.bridge, schedule)

    def batches(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give tokens (N, 1 + P, D) of the tower, and facts (N, FACTS) with NaN where unknown."""
        step, seed, device = first, self.schedule.seed, str(self.network.device)
        while True:
            some = self.pool.draw(self.schedule.batch, (seed + 2, step))
            dice = torch.Generator(device).manual_seed(seed * 1_000_003 + step + 1)
            images, flags = varied(self.pool.pixels(some).to(device), design.SIDE, dice)
            with torch.no_grad():
                tokens = self.network.vision_model(pixel_values=images).last_hidden_state
            yield tokens, speech.mirrored(self.facts[some].to(device), flags)
            step += 1

    def loss(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Compute the distance from the code over its spread, and cross-entropy of the known facts.

        What nobody knows of a face is taken from the read-out itself.
        """
        tokens, facts = batch
        seen, scores = self.bridge(tokens)
        known = ~facts.isnan()
        with torch.no_grad():
            wanted = self.known(torch.where(known, facts.nan_to_num(), scores.sigmoid()))
            spread = self.known.words.weight.square().mean()
        apart = functional.mse_loss(seen, wanted) / spread
        wrong = functional.binary_cross_entropy_with_logits(scores[known], facts[known])
        return {"code": apart, "facts": wrong}

    def describe_validation(self) -> str:
        """Measure the read-out behind the queries, and their likeness.

        The limits of yes come from training renders.
        """
        renders = self.albums["renders"]
        known = np.random.default_rng(0).permutation(renders.where("train"))[: tower.CHECKED]
        scores, _ = self._read(renders, known)
        at = units.cue_limits(scores, units.cue_truths(renders.strengths(known)))
        lines = []
        for name in ("renders", "annotated"):
            numbers = self.albums[name].where("val")
            scores, alike = self._read(self.albums[name], numbers)
            score = units.score_cues(
                scores, units.cue_truths(self.albums[name].strengths(numbers)), at
            )
            lines.append(f"{name} {score}, queries alike {alike:.2f}")
        return "; ".join(lines)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _read(self, album: Album, numbers: NDArray[np.int64]) -> tuple[NDArray[np.float32], float]:
        """Compute (n, C) scores of the cues, and the likeness of the queries."""
        rows, alike = [], []
        for start in range(0, len(numbers), 128):
            pixels = torch.from_numpy(album.crops(numbers[start : start + 128]))
            images = plain(pixels.to(self.network.device), design.SIDE)
            tokens = self.network.vision_model(pixel_values=images).last_hidden_state
            seen, scores = self.bridge(tokens)
            sides = scores[:, : 2 * tower.UNITS].view(-1, 2, tower.UNITS)
            rows.append(sides.amax(1).cpu().numpy())
            alike.append(likeness(seen))
        return units.cue_scores(np.concatenate(rows)), float(np.mean(alike))


def train(
    network: "Blip2ForConditionalGeneration",
    known: speech.Code,
    albums: Mapping[str, Album],
    schedule: Schedule,
    folder: Path,
    report: progress.Report = progress.silent,
) -> Bridge:
    """Train the bridge of a network whose tower is taught, from a checkpoint if there is one."""
    torch.manual_seed(schedule.seed)
    task = BridgeTask(network, known, albums, schedule)
    fit(task, folder, network.device.type, report)
    return task.bridge


def _facts(albums: Mapping[str, Album]) -> Tensor:
    """Collect (N, FACTS) of the training faces in the order of `tower.faces`."""
    pair = (albums["renders"], albums["faces"])
    return speech.facts_of([book.samples[i] for book in pair for i in book.where("train")])


class Whole(torch.nn.Module):  # type: ignore[misc]
    """A network and the read-out behind its queries, which keeps the code from drifting."""

    def __init__(self, network: torch.nn.Module, link: Bridge) -> None:
        super().__init__()
        self.network = network
        self.facts = link.facts


@dataclass(frozen=True, eq=False)
class Lesson:
    """Rows of a step with their pictures (N, 3, S, S) and facts (N, FACTS)."""

    rows: list[Row]
    images: Tensor
    facts: Tensor


class WholeTask(StageTask[Lesson]):
    """Learns to answer and to describe what a picture shows.

    The learning rates should be a third of those of the stages before.
    """

    def __init__(
        self,
        backend: Blip2,
        link: Bridge,
        albums: Mapping[str, Album],
        schedule: Schedule,
    ) -> None:
        """`link` is the bridge that was taught; its read-out goes on learning."""
        self.backend, self.albums = backend, albums
        self.tokeniser, self.loss_model = Tokeniser(backend), LossModel(backend)
        self.loss_model.projected = True  # pictures are read before, for the facts, too
        backend.network.requires_grad_(True)
        self.whole = Whole(backend.network, link).to(backend.device)
        super().__init__("whole", self.whole, schedule)

    def steps(self, at: Position) -> Epoch[Lesson]:
        """Put the network into training mode, and give the steps until the next checkpoint."""
        self.backend.network.train()
        return super().steps(at)

    def batches(self, first: int) -> Iterator[Lesson]:
        """Make rows, pictures and facts of each step; three rounds of four are about renders."""
        batch, seed = self.schedule.batch, self.schedule.seed
        for step, number, made, members in questions.steps_of(self._round, batch, seed, first):
            yield self._lesson(self._album(number), made, members, seed + step)

    def loss(self, batch: Lesson) -> dict[str, Tensor]:
        """Compute negative log-likelihood of the answers, and cross-entropy of the facts."""
        seen = self.loss_model.see({"pixel_values": batch.images})
        tensors = self.tokeniser.batch(batch.rows, self.backend.device)
        loss = self.loss_model({**tensors, "features": seen}).mean()
        scores, known = self.whole.facts(seen.flatten(1)), ~batch.facts.isnan()
        wrong = functional.binary_cross_entropy_with_logits(scores[known], batch.facts[known])
        return {"answers": loss, "facts": wrong}

    def describe_validation(self) -> str:
        """Measure how well it answers yes or no."""
        self.backend.network.eval()
        return answers.summary(self.backend, self.albums, "val")

    def _album(self, number: int) -> Album:
        return self.albums["renders" if number % 4 else "faces"]

    def _round(self, number: int) -> questions.Round:
        album = self._album(number)
        return questions.spoken(album, album.where("train"), number, self.schedule.seed + 1)

    def _lesson(self, album: Album, made: questions.Round, members: Indices, seed: int) -> Lesson:
        """Vary the pictures, but mirror them only as the text says."""
        device = self.backend.device
        examples = [made.examples[i] for i in members]
        faces = [int(made.faces[example.number // 2]) for example in examples]
        flags = torch.tensor([example.number % 2 == 1 for example in examples])
        facts = speech.mirrored(speech.facts_of([album.samples[i] for i in faces]), flags)
        pixels = torch.from_numpy(album.crops(faces)).to(device)
        dice = torch.Generator(str(device)).manual_seed(seed)
        images, turned = varied(pixels, design.SIDE, dice)
        wrong = (turned != flags.to(device))[:, None, None, None]
        images = torch.where(wrong, images.flip(3), images)
        rows = [self.tokeniser.row(example) for example in examples]
        return Lesson(rows, images, facts.to(device))


def train_whole(
    backend: Blip2,
    link: Bridge,
    albums: Mapping[str, Album],
    schedule: Schedule,
    folder: Path,
    report: progress.Report = progress.silent,
) -> None:
    """Train a `Blip2` in place, from a checkpoint if there is one."""
    torch.manual_seed(schedule.seed)
    task = WholeTask(backend, link, albums, schedule)
    fit(task, folder, backend.device.type, report)
    backend.network.eval()
