"""The last stage: the whole network at once, on pictures, questions and answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ferce.models.vlm.blip2 import Blip2
from ferce.training import progress
from ferce.training.examples import Indices
from ferce.training.language.loss_model import LossModel
from ferce.training.language.rows import Row, Tokeniser
from ferce.training.mini import answers, bridge, design, questions, speech
from ferce.training.mini.album import Album, varied
from ferce.training.mini.stage import Schedule, StageTask, fit
from ferce.training.task import Epoch, Position


class Whole(torch.nn.Module):  # type: ignore[misc]
    """A network and the read-out behind its queries, which keeps the code from drifting."""

    def __init__(self, network: torch.nn.Module, link: bridge.Bridge) -> None:
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
        link: bridge.Bridge,
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


def train(
    backend: Blip2,
    link: bridge.Bridge,
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
